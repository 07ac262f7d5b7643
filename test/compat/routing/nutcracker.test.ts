/**
 * Goal: a key lands where twemproxy puts it.
 * Method: 10,000 keys are written through a real nutcracker in front of four Redis servers; then
 * each server is asked whether it has exactly those keys that our hash and our lookup give to it.
 * For all hashes under ketama and modula, for weights, names, tags, and after ejections.
 */
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { DISTRIBUTION_NAMES, Distribution } from '../../../src/routing/distribution.js';
import { HASH_NAMES, HashKind } from '../../../src/routing/hash-kinds.js';
import { RouteView, routeWordsMax, writeRoute } from '../../../src/routing/route-table.js';
import { orderServers } from '../../../src/routing/server-order.js';
import { HashProgram } from '../../unit/routing/hash-program.js';
import type { KeyHashes } from '../../unit/routing/hash-program.js';
import { Seeded } from '../../unit/routing/seeded.js';
import { Peers } from './peers.js';
import type { Redis } from './peers.js';

interface PoolServer {
  readonly redis: number; // which of the Redis servers
  readonly weight: number;
  readonly name?: string; // without one, its address is its name
}

interface Pool {
  readonly title: string;
  readonly distribution: Distribution.Ketama | Distribution.Modula;
  readonly hash: HashKind;
  readonly tag: string;
  readonly ejects: boolean;
  readonly servers: readonly PoolServer[];
}

const REDIS_COUNT = 4;
const KEY_COUNT = 10_000;

const peers = new Peers();
t.teardown(() => peers.stop());
const program = new HashProgram(['-O2']);
t.teardown(() => program.remove());
const random = new Seeded(t);

/** Distinct keys: as people write them, in other scripts, with tags, and any bytes. */
function makeKeys(): Buffer[] {
  const keys = new Map<string, Buffer>();
  for (let i = 0; keys.size < KEY_COUNT; i++) {
    const word = (['中文', 'ключ', 'clé', '🔑', 'user'] as const)[random.below(5)]!;
    const key = [
      () => Buffer.from(`key:${String(i).padStart(12, '0')}`),
      () => Buffer.from(`${word}:${i}`),
      () => Buffer.from(`{${word}${random.below(500)}}:${i}$${i % 77}$`),
      () => Buffer.from(`${'}{'.repeat(i % 3)}${i}{}$$${word}`),
      () => random.bytes(1 + random.below(60)),
      () => Buffer.concat([random.bytes(3), Buffer.from('{\r\n\0'), random.bytes(5)]),
    ][i % 6]!();
    keys.set(key.toString('hex'), key);
  }
  return [...keys.values()];
}

function plainServers(weights: readonly number[]): PoolServer[] {
  return weights.map((weight, redis) => ({ redis, weight }));
}

function namedServers(names: readonly string[], weights: readonly number[] = []): PoolServer[] {
  return names.map((name, i) => ({ redis: i % REDIS_COUNT, weight: weights[i] ?? 1, name }));
}

function makePools(): Pool[] {
  const pools: Pool[] = [];
  for (const distribution of [Distribution.Ketama, Distribution.Modula] as const) {
    const name = DISTRIBUTION_NAMES[distribution]!;
    const base = { distribution, hash: HashKind.Fnv1ax64, tag: '', ejects: false };
    const add = (what: string, changes: Partial<Pool> & Pick<Pool, 'servers'>): unknown =>
      pools.push({ ...base, title: `${name}_${what}`, ...changes });

    const four = plainServers([1, 1, 1, 1]);
    HASH_NAMES.forEach((hash, kind) => add(hash, { hash: kind, servers: four }));
    add('weights', { servers: plainServers([1, 2, 3, 10]) });
    add('names', { servers: namedServers(['zz', 'aaa', 'b', 'aab'], [7, 11, 13, 2]) });
    add('starved', { servers: namedServers(['a', 'b', 'c'], [100000, 1, 50000]) });
    add('braces', { tag: '{}', servers: four });
    add('dollars', { tag: '$$', hash: HashKind.Murmur, servers: plainServers([3, 1, 1, 1]) });
    const many = Array.from({ length: 25 }, (_, i) => `s${i + 1}`); // 156 points each
    add('25_servers', { servers: namedServers(many) });
    add('ejecting', { ejects: true, servers: plainServers([2, 1, 1, 3]) });
  }
  return pools;
}

function socketOf(pool: Pool): string {
  return join(peers.folder, `${pool.title}.sock`);
}

/** The configuration of all pools in nutcracker's own words. */
function configOf(pools: readonly Pool[], redises: readonly Redis[]): string {
  return pools.map((pool) => [
    `${pool.title}:`,
    `  listen: ${socketOf(pool)}`,
    `  hash: ${HASH_NAMES[pool.hash]}`,
    `  distribution: ${DISTRIBUTION_NAMES[pool.distribution]}`,
    ...(pool.tag === '' ? [] : [`  hash_tag: "${pool.tag}"`]),
    '  redis: true',
    `  auto_eject_hosts: ${pool.ejects}`,
    '  server_failure_limit: 1',
    '  server_retry_timeout: 3600000',
    '  servers:',
    ...pool.servers.map(({ redis, weight, name }) =>
      `   - 127.0.0.1:${redises[redis]!.port}:${weight}${name === undefined ? '' : ` ${name}`}`),
    '',
  ].join('\n')).join('\n');
}

/** Which Redis server each key belongs to by our own routing; `dead` ones are ejected. */
function homesOf(
  pool: Pool,
  hashes: readonly KeyHashes[],
  redises: readonly Redis[],
  dead = -1,
): number[] {
  const redisOf = new Map<string, number>();
  const servers = orderServers(pool.servers.map(({ redis, weight, name }) => {
    const named = name ?? `127.0.0.1:${redises[redis]!.port}`;
    redisOf.set(named, redis);
    return { name: named, weight };
  }));
  const live = servers.map(({ name }) => redisOf.get(name) !== dead);
  const words = new Int32Array(routeWordsMax(servers.length, pool.distribution));
  writeRoute(words, 0, pool.distribution, servers, live);
  const view = new RouteView(words, 0);
  return hashes.map(({ routed }) => redisOf.get(servers[view.route(routed[pool.hash]!)]!.name)!);
}

/** Asks each live server how many keys it has, and how many of those that belong to it. */
async function checkHomes(
  t: Test,
  title: string,
  keys: readonly Buffer[],
  homes: readonly number[],
  redises: readonly (Redis | undefined)[],
): Promise<void> {
  const found: number[][] = [];
  const expected: number[][] = [];
  for (const [i, redis] of redises.entries()) {
    const own = keys.filter((_, k) => homes[k] === i);
    const queries: (Buffer | string)[][] = [['DBSIZE']];
    for (let k = 0; k < own.length; k += 1000) queries.push(['EXISTS', ...own.slice(k, k + 1000)]);
    if (redis === undefined) {
      t.equal(own.length, 0, `${title}: the ejected server owns nothing`);
      continue;
    }
    const [size, ...present] = (await redis.client.send(queries)) as number[];
    found.push([size!, present.reduce((a, b) => a + b, 0)]);
    expected.push([own.length, own.length]);
  }
  t.same(found, expected, `${title}: keys on each server ${expected.map(([size]) => size)}`);
}

async function flush(redises: readonly (Redis | undefined)[]): Promise<void> {
  await Promise.all(redises.map((redis) => redis?.client.send([['FLUSHALL']])));
}

t.test('keys land where nutcracker puts them', async (t) => {
  const keys = makeKeys();
  const sets = keys.map((key) => ['SET', key, 'x']);
  const redises = await Promise.all(Array.from({ length: REDIS_COUNT }, () => peers.startRedis()));
  const pools = makePools();
  await peers.startNutcracker(configOf(pools, redises), socketOf(pools[pools.length - 1]!));
  const hashesByTag = new Map(['', '{}', '$$'].map((tag) => [tag, program.hash(keys, tag)]));

  t.test('all servers live', async (t) => {
    for (const pool of pools) {
      await flush(redises);
      const proxy = await peers.open({ path: socketOf(pool) });
      const replies = await proxy.send(sets);
      t.ok(replies.every((reply) => reply === '+OK'), `${pool.title}: all written`);
      const homes = homesOf(pool, hashesByTag.get(pool.tag)!, redises);
      await checkHomes(t, pool.title, keys, homes, redises);
      proxy.close();
    }
  });

  t.test('one server ejected', async (t) => {
    const dead = 1;
    await redises[dead]!.kill();
    const left = redises.map((redis, i) => (i === dead ? undefined : redis));
    for (const pool of pools.filter(({ ejects }) => ejects)) {
      const proxy = await peers.open({ path: socketOf(pool) });
      // The dead server is noticed by its first failures; after that, every key has a home.
      let failures = -1;
      for (let round = 0; round < 10 && failures !== 0; round++) {
        await flush(left);
        failures = (await proxy.send(sets)).filter((reply) => reply !== '+OK').length;
      }
      t.equal(failures, 0, `${pool.title}: all written after the ejection`);
      const homes = homesOf(pool, hashesByTag.get(pool.tag)!, redises, dead);
      await checkHomes(t, `${pool.title} without one`, keys, homes, left);
      proxy.close();
    }
  });
});
