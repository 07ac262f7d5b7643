/**
 * Splits a command over the servers that own its keys, once per server: MGET of ten keys on three
 * servers becomes three MGETs. Written as a Split operation; C++ copies the bytes and merges the
 * replies as the command table says (native/merge.cc).
 */
import { Operation } from '../shm/codes.js';
import type { PoolRoute } from './pool-route.js';
import type { Program } from './program.js';

/** More parts than that cannot be numbered in a whole's order list. */
export const PARTS_MAX = 65_535;

export class Splitter {
  #partOf = new Int32Array(16); // by backend of the pool: its part in this request
  #stamp = new Int32Array(16); // by backend: the request for which #partOf is right
  #now = 0;
  #keyParts = new Int32Array(64);
  readonly links: number[] = []; // of each part
  #keys = 0;

  /**
   * Groups keys by server. hashes: words[first + 3 * (1 + key * step)]. Returns the number of parts;
   * -1 when no server is live.
   */
  group(
    words: Int32Array,
    first: number,
    keys: number,
    step: number,
    route: PoolRoute,
    resp3: number,
    session: number,
  ): number {
    this.#prepare(route.settings.servers.length, keys);
    this.links.length = 0;
    for (let key = 0; key < keys; key++) {
      const backend = route.view.route(words[first + 3 * (1 + key * step) + 2]!);
      if (backend < 0) return -1;
      if (this.#stamp[backend] !== this.#now) {
        this.#stamp[backend] = this.#now;
        this.#partOf[backend] = this.links.length;
        this.links.push(route.linkOf(backend, resp3, session));
      }
      this.#keyParts[key] = this.#partOf[backend]!;
    }
    this.#keys = keys;
    return this.links.length;
  }

  get wordsNeeded(): number {
    return 5 + this.links.length + this.#keys;
  }

  /** Writes the operation for the request that was grouped last. */
  write(program: Program, merge: number, step: number): void {
    program.word(Operation.Split).word(merge).word(this.links.length).word(this.#keys).word(step);
    for (const link of this.links) program.word(link);
    for (let key = 0; key < this.#keys; key++) program.word(this.#keyParts[key]!);
  }

  #prepare(servers: number, keys: number): void {
    if (servers > this.#partOf.length) {
      this.#partOf = new Int32Array(servers);
      this.#stamp = new Int32Array(servers);
      this.#now = 0;
    }
    if (keys > this.#keyParts.length) this.#keyParts = new Int32Array(2 * keys);
    this.#now = (this.#now + 1) | 0;
  }
}
