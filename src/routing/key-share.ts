/**
 * Which share of all keys is looked up on another server after a pool was changed.
 *
 *   before   |--a--|----b----|--c--|        both maps are runs that repeat over the range of the
 *   after    |--a-----|--b--|--d---|        hash: a ketama ring once, modula every weightTotal
 *             stay    ^move ^stay
 *
 * The two are walked together and the lengths of what stays are added up, which is exact. Where a
 * walk would take too many steps (ketama on one side, modula on the other) hashes spread evenly
 * over the range are looked up instead, in the tables that lanes use. When the hash function itself
 * changes, keys are made up and hashed by both: some functions agree in their lowest bit, which is
 * half of modula over two servers. All servers count as live. Control plane: allocates freely.
 */
import { assert } from '../base/assert.js';
import { native } from '../native/binding.js';
import { Distribution, distributionOf } from './distribution.js';
import { HashKind, hashKindOf } from './hash-kinds.js';
import { buildKetama } from './ketama.js';
import { buildModula } from './modula.js';
import { xorshift } from './random.js';
import { RouteView, routeWordsMax, writeRoute } from './route-table.js';

/** What decides where the keys of a pool live. */
export interface KeyMap {
  readonly hash: string; // by the names that a configuration uses, this and the next
  readonly distribution: string;
  readonly servers: readonly KeyServer[]; // in the pool's order; at least one
}

export interface KeyServer {
  readonly name: string;
  readonly weight: number;
  readonly home: string; // what the keys live on: servers of equal home are the same to them
}

/** Runs that repeat every `period` hashes; run i ends before ends[i], the last one at period. */
interface Runs {
  readonly period: number;
  readonly ends: readonly number[];
  readonly homes: readonly string[];
}

const HASHES_ALL = 2 ** 32;
const CRC32_HASHES = 2 ** 15; // twemproxy cuts that one to 15 bits
const WALK_STEPS_MAX = 2 ** 22;
const SAMPLES = 2 ** 20;
const KEYS = 2 ** 16;
const SEED = 0x2545f491; // always the same, so that the same change gives the same figure

/**
 * From 0 to 1; null when keys have no home, before or after (distribution random). Within 0.0001
 * while the hash function stays, within 0.01 when it changes. A hash tag is not looked at: the
 * figure is of keys that the tag does not cut.
 */
export function movedShare(before: KeyMap, after: KeyMap): number | null {
  if (isHomeless(before) || isHomeless(after)) return null;
  if (before.hash !== after.hash) return shareOfSomeKeys(before, after);
  const hashes = hashCount(before);
  const [from, to] = [runsOf(before), runsOf(after)];
  const span = commonPeriod(from.period, to.period, hashes);
  const steps = Math.ceil(span / from.period) * from.ends.length
    + Math.ceil(span / to.period) * to.ends.length;
  if (steps > WALK_STEPS_MAX) return sampledShare(before, after, hashes);
  const whole = Math.floor(hashes / span);
  return 1 - (whole * stayingIn(from, to, span) + stayingIn(from, to, hashes % span)) / hashes;
}

function isHomeless({ distribution }: KeyMap): boolean {
  return distributionOf(distribution) === Distribution.Random;
}

function hashCount({ hash }: KeyMap): number {
  return hashKindOf(hash) === HashKind.Crc32 ? CRC32_HASHES : HASHES_ALL;
}

function routeServers({ servers }: KeyMap) {
  return servers.map(({ name, weight }, index) => ({ name, weight, index }));
}

function runsOf(map: KeyMap): Runs {
  const servers = routeServers(map);
  const homesOf = (owners: Int32Array) => Array.from(owners, (owner) => map.servers[owner]!.home);
  if (distributionOf(map.distribution) === Distribution.Modula) {
    const { lasts, owners } = buildModula(servers);
    const ends = Array.from(lasts, (last) => last + 1);
    return { period: ends.at(-1)!, ends, homes: homesOf(owners) };
  }
  const { points, owners } = buildKetama(servers);
  assert(points.length > 0, 'the heaviest server has points');
  const ends = Array.from(points, (point) => ((point ^ 0x80000000) >>> 0) + 1);
  const homes = homesOf(owners); // and behind the last point the ring closes
  return { period: HASHES_ALL, ends: [...ends, HASHES_ALL], homes: [...homes, homes[0]!] };
}

/** After how many hashes both repeat; all of them when that is not within `hashes`. */
function commonPeriod(a: number, b: number, hashes: number): number {
  let [divisor, rest] = [a, b];
  while (rest > 0) [divisor, rest] = [rest, divisor % rest];
  return Math.min((a / divisor) * b, hashes);
}

/** How many of the hashes [0, span) have the same home in both. */
function stayingIn(from: Runs, to: Runs, span: number): number {
  let staying = 0;
  let [i, j, turnOfFrom, turnOfTo] = [0, 0, 0, 0];
  for (let at = 0; at < span;) {
    const endOfFrom = turnOfFrom + from.ends[i]!;
    const endOfTo = turnOfTo + to.ends[j]!;
    const end = Math.min(endOfFrom, endOfTo, span);
    if (from.homes[i] === to.homes[j]) staying += end - at;
    at = end;
    if (end === endOfFrom && ++i === from.ends.length) [i, turnOfFrom] = [0, end];
    if (end === endOfTo && ++j === to.ends.length) [j, turnOfTo] = [0, end];
  }
  return staying;
}

/** One hash of each of SAMPLES equal parts of the range, at a place in it that differs. */
function sampledShare(before: KeyMap, after: KeyMap, hashes: number): number {
  const [from, to] = [viewOf(before), viewOf(after)];
  const part = hashes / SAMPLES;
  assert(part >= 1, 'a short range is walked, not sampled');
  let random = SEED;
  let moved = 0;
  for (let i = 0; i < SAMPLES; i++) {
    random = xorshift(random);
    const hash = Math.floor((i + (random >>> 0) / 2 ** 32) * part);
    const isHome = before.servers[from.route(hash)]!.home === after.servers[to.route(hash)]!.home;
    if (!isHome) moved++;
  }
  return moved / SAMPLES;
}

/** By keys that are made up, of digits, and hashed as lanes hash them. */
function shareOfSomeKeys(before: KeyMap, after: KeyMap): number {
  const [from, to] = [viewOf(before), viewOf(after)];
  const [fromKind, toKind] = [hashKindOf(before.hash)!, hashKindOf(after.hash)!];
  let random = SEED;
  let moved = 0;
  for (let i = 0; i < KEYS; i++) {
    random = xorshift(random);
    const key = Buffer.from(`key:${random >>> 0}:${i}`, 'latin1');
    const old = before.servers[from.route(native.hashKey(fromKind, -1, -1, key))]!;
    const next = after.servers[to.route(native.hashKey(toKind, -1, -1, key))]!;
    if (old.home !== next.home) moved++;
  }
  return moved / KEYS;
}

function viewOf(map: KeyMap): RouteView {
  const distribution = distributionOf(map.distribution)!;
  const words = new Int32Array(routeWordsMax(map.servers.length, distribution));
  writeRoute(words, 0, distribution, routeServers(map), map.servers.map(() => true));
  return new RouteView(words, 0);
}
