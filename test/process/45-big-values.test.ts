/**
 * Goal: a value of any size and any bytes goes through unchanged both ways, and the memory it
 *   needed on the way is given back.
 * Method: sizes around every boundary that buffers may have, up to Redis' own limit of 512 MB; what
 *   arrives at the server, and what comes back, is compared byte by byte.
 */
import t from 'tap';
import { createHash } from 'node:crypto';
import { Baton } from '../support/baton.js';
import { privateBytesOf } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { encode, plain, show } from '../support/resp.js';
import { dice } from '../support/seed.js';
import { waitFor } from '../support/wait-for.js';

const MIB = 1024 * 1024;

t.setTimeout(800_000);
const redis = await Redis.start(t);
const baton = await Baton.start(t, { servers: [redis] });

function sizes(): number[] {
  const list = new Set<number>([0, 1, 2, 3, 100, 1000]);
  const edges = [4096, 8192, 16_384, 32_768, 65_536, 24 * 4096, 131_072, 262_144, 524_288, MIB];
  for (const edge of edges) {
    for (let off = -40; off <= 4; off += 1) list.add(edge + off); // headers lie before the value
  }
  return [...list].sort((a, b) => a - b);
}

t.test('values of every size, one at a time', async (t) => {
  const game = dice(t);
  const client = await baton.client();
  const source = game.bytes(MIB + 100);
  let wrong = 0;
  for (const size of sizes()) {
    const value = source.subarray(0, size);
    const [set, got] = await client.pipeline([['SET', 'sized', value], ['GET', 'sized']]);
    if (plain(set!) === 'OK' && got!.bytes!.equals(value)) continue;
    wrong += 1;
    t.fail(`${size} bytes: ${show(set!.raw)}, then ${show(got!.raw)}`);
  }
  t.equal(wrong, 0, `${sizes().length} sizes`);
});

t.test('values of many sizes in one pipeline, among small commands', async (t) => {
  const game = dice(t);
  const client = await baton.client();
  const values = Array.from({ length: 200 }, (_, i) =>
    game.bytes(i % 3 === 0 ? game.below(20) : game.below(200_000)));
  const commands = values.flatMap((value, i) => [
    ['SET', `many${i}`, value], ['ECHO', value.subarray(0, 500)], ['GET', `many${i}`], ['PING'],
  ]);
  const replies = await client.pipeline(commands, 60_000);
  const wrong = values.filter((value, i) => !replies[i * 4 + 2]!.bytes!.equals(value));
  t.equal(wrong.length, 0);
  t.same(replies.filter((_, i) => i % 4 === 3).map(plain), values.map(() => 'PONG'));
});

t.test('a reply of many big parts', async (t) => {
  const client = await baton.client();
  const items = Array.from({ length: 300 }, (_, i) => 'x'.repeat((i * 997) % 30_000));
  await client.call('DEL', 'list');
  await client.call('RPUSH', 'list', ...items);
  t.same(await client.call('LRANGE', 'list', 0, -1), items);
  const rest = await client.pipeline([['LRANGE', 'list', 100, 299], ['PING']]);
  t.same(plain(rest[0]!), items.slice(100));
  t.equal(plain(rest[1]!), 'PONG');
});

/** Sends SET and GET of a value made of one repeated block; returns the digest of what came. */
async function roundTrip(name: string, block: Buffer, blocks: number): Promise<string> {
  const client = await baton.client();
  const head = `*3\r\n$3\r\nSET\r\n$${name.length}\r\n${name}\r\n`;
  await client.send(`${head}$${block.length * blocks}\r\n`);
  for (let i = 0; i < blocks; i += 1) await client.send(block);
  await client.send('\r\n');
  const set = await client.reply(60_000);
  if (plain(set) !== 'OK') throw new Error(`SET was answered by ${show(set.raw)}`);
  client.push(encode(['GET', name]));
  const got = await client.reply(60_000);
  client.destroy();
  return digest([got.bytes!]);
}

function digest(parts: Iterable<Buffer>): string {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

for (const megabytes of [100, 512]) {
  t.test(`a value of ${megabytes} MB`, async (t) => {
    const block = dice(t).bytes(MIB);
    const wanted = digest(Array.from({ length: megabytes }, () => block));
    t.equal(await roundTrip('huge', block, megabytes), wanted);
    t.equal(await redis.call('STRLEN', 'huge'), megabytes * MIB);
    await redis.flush();
  });
}

t.test('afterwards the memory is free again', async (t) => {
  await waitFor('chunks to be given back', async () => await usedChunks() === 0);
  t.equal(await usedChunks(), 0, 'nothing is held for idle clients');
  const [worker] = baton.workers();
  const own = privateBytesOf(worker!);
  t.ok(own < 300 * MIB, `${Math.round(own / MIB)} MB are the worker's own, values are elsewhere`);
});

async function usedChunks(): Promise<number> {
  return baton.metric('baton_lane_chunks');
}
