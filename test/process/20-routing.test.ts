/**
 * Goal: keys land where twemproxy puts them, whatever their bytes.
 * Method: the same pools are served by a real nutcracker and by Baton over the same servers; ten
 *   thousand keys per pool written through one are read through the other.
 */
import t from 'tap';
import { HASHES } from '../../src/config/settings.js';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import type { Directives } from '../support/conf.js';
import { startNutcracker } from '../support/nutcracker.js';
import { Redis } from '../support/redis.js';
import { plain, type Argument, type Plain } from '../support/resp.js';
import { dice, type Dice } from '../support/seed.js';

const KEYS = 10_000;
const BATCH = 500;

const servers = await Redis.startMany(t, 5);
const plainList = servers.map((server) => server.entry);
const named = servers.map((server, i) => `${server.entry} server${i + 1}`);
const weighted = servers.map((server, i) => `127.0.0.1:${server.port}:${[1, 2, 3, 10, 7][i]}`);
const weightedNamed = weighted.map((entry, i) => `${entry} ${['zz', 'aaa', 'b', 'x9', 'm'][i]}`);

function poolsOf(): { [name: string]: Directives } {
  const pools: { [name: string]: Directives } = {};
  for (const hash of HASHES) {
    pools[`k_${hash}`] = { hash, distribution: 'ketama', servers: named };
    pools[`m_${hash}`] = { hash, distribution: 'modula', servers: weightedNamed };
  }
  pools.by_default = { servers: plainList };
  pools.weighted = { distribution: 'ketama', hash: 'md5', servers: weighted };
  pools.weights_and_names = { distribution: 'ketama', hash: 'crc32a', servers: weightedNamed };
  pools.plain_modula = { distribution: 'modula', hash: 'crc16', servers: plainList };
  pools.braces = { hash_tag: '"{}"', servers: named };
  pools.one_mark = { hash_tag: '"$$"', hash: 'murmur', distribution: 'modula', servers: named };
  pools.single = { servers: [named[0]!] };
  return pools;
}

t.setTimeout(400_000);
const pools = poolsOf();
const nutcracker = await startNutcracker(t, pools);
const baton = await Baton.start(t, { pools, global: { worker_processes: 2 } });

/** Keys of every kind: numbered, words of other scripts, raw bytes, tagged, long. */
function keysFrom(game: Dice): Buffer[] {
  const seen = new Set<string>();
  const keys: Buffer[] = [];
  while (keys.length < KEYS) {
    const key = anyKey(game, keys.length);
    const text = key.toString('latin1');
    if (seen.has(text)) continue;
    seen.add(text);
    keys.push(key);
  }
  return keys;
}

function anyKey(game: Dice, i: number): Buffer {
  switch (i % 8) {
    case 0: return Buffer.from(`key:${String(i).padStart(12, '0')}`);
    case 1: return Buffer.from(`${game.pick(['中文', 'ключ', 'schlüssel', '🔑', 'مفتاح'])}${i}`);
    case 2: case 3: return game.bytes(game.between(1, 24));
    case 4: return Buffer.from(`{tag${i % 97}}:${game.bits()}`);
    case 5: return Buffer.from(`a{${i}}{${game.bits()}}$${i % 13}$ {}`);
    case 6: return game.bytes(game.between(25, 250));
    default: return Buffer.from(String(game.bits()));
  }
}

/** One command per key, in batches: a nutcracker's buffers are not endless. */
async function play(client: Client, commands: Argument[][]): Promise<Plain[]> {
  const replies: Plain[] = [];
  for (let at = 0; at < commands.length; at += BATCH) {
    replies.push(...(await client.pipeline(commands.slice(at, at + BATCH))).map(plain));
  }
  return replies;
}

async function misplaced(writer: Client, reader: Client, keys: Buffer[], mark: string):
Promise<string[]> {
  await play(writer, keys.map((key, i) => ['SET', key, `${mark}${i}`]));
  const values = await play(reader, keys.map((key) => ['GET', key]));
  return keys.filter((_, i) => values[i] !== `${mark}${i}`).map((key) => key.toString('hex'));
}

t.test('keys written through one are read through the other', async (t) => {
  const keys = keysFrom(dice(t));
  for (const pool of Object.keys(pools)) {
    const theirs = await Client.open(t, nutcracker[pool]!);
    const ours = await baton.client(baton.ports[pool]!);
    const lost = await misplaced(theirs, ours, keys, `${pool} theirs `);
    t.same(lost.slice(0, 5), [], `${pool}: from nutcracker to Baton (${lost.length} lost)`);
    const strayed = await misplaced(ours, theirs, keys, `${pool} ours `);
    t.same(strayed.slice(0, 5), [], `${pool}: from Baton to nutcracker (${strayed.length} lost)`);
    theirs.destroy();
    ours.destroy();
  }
});

t.test('split commands go the same ways', async (t) => {
  const keys = keysFrom(dice(t)).slice(0, 2000);
  for (const pool of ['by_default', 'm_hsieh', 'braces']) {
    const theirs = await Client.open(t, nutcracker[pool]!);
    const ours = await baton.client(baton.ports[pool]!);
    for (let at = 0; at < keys.length; at += 50) {
      const some = keys.slice(at, at + 50);
      await ours.call('MSET', ...some.flatMap((key, i) => [key, `${pool}${at + i}`]));
      const values = some.map((_, i) => `${pool}${at + i}`);
      t.same(await theirs.call('MGET', ...some), values, `${pool}: MSET to MGET of nutcracker`);
      t.equal(await theirs.call('DEL', ...some.slice(0, 20)), 20);
      t.equal(await ours.call('EXISTS', ...some), 30, `${pool}: DEL by nutcracker to EXISTS`);
    }
  }
});

t.test('tagged keys stay together', async (t) => {
  await Promise.all(servers.map((server) => server.flush()));
  const client = await baton.client(baton.ports.braces!);
  const keys = Array.from({ length: 100 }, (_, i) => `${i}{one tag}${i * 7}`);
  await client.pipeline(keys.map((key) => ['SET', key, '1']));
  const sizes = await Promise.all(servers.map((server) => server.call('DBSIZE')));
  t.same(sizes.filter((size) => size !== 0), [100]);
});

t.test('random uses all servers', async (t) => {
  await Promise.all(servers.map((server) => server.flush()));
  const random = await Baton.start(t, { servers: named, pool: { distribution: 'random' } });
  const client = await random.client();
  const commands = Array.from({ length: 2000 }, (_, i) => ['SET', `random${i}`, '1']);
  for (const reply of await play(client, commands)) {
    if (reply !== 'OK') t.equal(reply, 'OK');
  }
  for (const server of servers) {
    const size = Number(await server.call('DBSIZE'));
    t.ok(size > 2000 / 5 / 2 && size < 2000 / 5 * 2, `${size} of 2000 keys`);
  }
});
