/**
 * Goal: split commands hold at any size: many keys, large values, parts of very different length,
 *   slow readers and servers that die in the middle of a large part.
 * Method: what one command writes through three servers is read back by another and compared; the
 *   servers of the last tests are scripted.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { FakeBackend, ownedKeys } from '../support/fake-backend.js';
import { Redis } from '../support/redis.js';
import { encode, errorText, plain, type Reply } from '../support/resp.js';
import { dice } from '../support/seed.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000);
const MIB = 1024 * 1024;
const POOL = { hash: 'md5', distribution: 'modula' };
const servers = await Redis.startMany(t, 3);
const baton = await Baton.start(t, { servers, pool: POOL, global: { worker_processes: 2 } });

for (const count of [1000, 20_000, 100_000]) {
  t.test(`${count} keys`, async (t) => {
    const client = await baton.client();
    const keys = Array.from({ length: count }, (_, i) => `n${i}`);
    const mset = await client.pipeline([
      ['MSET', ...keys.flatMap((key, i) => [key, i])], ['ECHO', 'between'],
    ], 30_000);
    t.same(mset.map(plain), ['OK', 'between']);
    const [got, exists, unlinked] = await client.pipeline([
      ['MGET', ...keys.slice().reverse()], ['EXISTS', ...keys, 'none'], ['UNLINK', ...keys],
    ], 30_000) as [Reply, Reply, Reply];
    const wrong = got.items.findIndex((item, i) => plain(item) !== String(count - 1 - i));
    t.equal(wrong, -1, 'values in their places');
    t.equal(got.items.length, count);
    t.equal(plain(exists), count);
    t.equal(plain(unlinked), count);
  });
}

t.test('values of a megabyte and more, sent in pieces', async (t) => {
  const game = dice(t);
  const client = await baton.client();
  const values = Array.from({ length: 24 }, (_, i) => game.bytes(i % 5 === 0 ? 3 : i * 100_000));
  const request = encode(['MSET', ...values.flatMap((value, i) => [`v${i}`, value])]);
  for (let at = 0; at < request.length;) {
    const size = game.between(1, 400_000);
    await client.send(request.subarray(at, at + size));
    at += size;
  }
  t.equal(plain(await client.reply(30_000)), 'OK');
  const order = Array.from({ length: 60 }, () => game.below(values.length));
  const replies = await client.pipeline([
    ['MGET', ...order.map((i) => `v${i}`)], ['PING'], ['MGET', 'v1', 'none', 'v23'],
  ], 30_000);
  const wrong = order.findIndex((i, place) => !replies[0]!.items[place]!.bytes!.equals(values[i]!));
  t.equal(wrong, -1);
  t.equal(plain(replies[1]!), 'PONG');
  t.ok(replies[2]!.items[2]!.bytes!.equals(values[23]!));
});

t.test('a merged reply that its client reads slowly, or not at all', async (t) => {
  const front = await Baton.start(t, { servers, pool: { ...POOL, client_output_limit: '16m' } });
  const keys = Array.from({ length: 30 }, (_, i) => `slow${i}`);
  const [reader, glutton, other] = [
    await front.client(), await front.client(), await front.client(),
  ];
  for (const key of keys) await other.call('SET', key, Buffer.alloc(MIB / 4, 's'));
  reader.pause();
  reader.push(encode(['MGET', ...keys]));
  glutton.pause();
  for (let i = 0; i < 20; i += 1) glutton.push(encode(['MGET', ...keys]));
  await waitFor('the one who never reads to be closed', async () => {
    t.equal((await other.command('MGET', 'slow1', 'slow2')).items.length, 2);
    return await front.metric('baton_pool_errors_total', 'output_limit') === 1;
  });
  reader.resume();
  const reply = await reader.reply(30_000);
  t.equal(reply.items.filter((item) => item.bytes!.length === MIB / 4).length, 30);
  glutton.resume();
  await glutton.closed();
});

t.test('a server that dies in the middle of a large part', async (t) => {
  const fakes = await Promise.all([0, 1, 2].map(() => FakeBackend.start(t, (request) => {
    request.reply(request.name === 'MGET'
      ? `*${request.args.length}\r\n${'$2\r\nok\r\n'.repeat(request.args.length)}` : '+OK\r\n');
  })));
  const front = await Baton.start(t, {
    servers: fakes, pool: { ...POOL, reconnect_min: 1, reconnect_max: 20 },
  });
  const client = await front.client();
  const keys = await ownedKeys(client, fakes);
  const well = fakes[1]!.handler;
  for (let round = 0; round < 10; round += 1) {
    fakes[1]!.handler = (request) => {
      request.reply(`*1\r\n$${8 * MIB}\r\n`);
      request.reply(Buffer.alloc(round * MIB / 2, 'h'));
      request.link.socket.end();
    };
    const [reply, echo] = await client.pipeline([['MGET', ...keys], ['ECHO', round]]);
    t.match(errorText(reply!), /^[A-Z]+ /);
    t.equal(plain(echo!), String(round));
    fakes[1]!.handler = well;
    await waitFor('the server to be back', async () =>
      (await client.command('MGET', ...keys)).type === '*');
  }
});

t.test('a client that leaves in the middle of a large split request', async (t) => {
  const client = await baton.client();
  for (let round = 0; round < 10; round += 1) {
    const leaver = await baton.client();
    const request = encode(['MSET', ...Array.from({ length: 12 }, (_, i) =>
      [`gone${round}:${i}`, Buffer.alloc(100_000, 'g')]).flat()]);
    await leaver.send(request.subarray(0, request.length - 1 - round * 100_000));
    if (round % 2 === 0) leaver.reset();
    else leaver.destroy();
    t.equal(await client.call('EXISTS', `gone${round}:0`, `gone${round}:5`), 0);
  }
});
