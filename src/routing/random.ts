/**
 * The random distribution: the list of live servers, and the generator that picks from it.
 * Keys have no home here, so every lane may have its own sequence.
 */
import type { RouteServer } from './server-order.js';

/** The indexes of `servers`, which are all live. Weights do not count. */
export function buildRandom(servers: readonly RouteServer[]): Int32Array {
  return Int32Array.from(servers, (server) => server.index);
}

/** A seed that differs from lane to lane and from start to start; never 0, where xorshift stays. */
export function randomSeed(): number {
  return (Math.random() * 0x7fffffff) | 1;
}

/** The step of Marsaglia's 32-bit xorshift: visits every number but 0. */
export function xorshift(state: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  return state ^ (state << 5);
}
