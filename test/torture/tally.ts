/**
 * Counts of a torture: kills by kind and by place, and places that nobody came to in time.
 */
import type { KillKind } from './kills.js';

export interface Verdict {
  readonly trouble: readonly string[]; // what went wrong, in words
  readonly replies: number; // verified
  readonly pardoned: number; // errors by which a server, or a unix socket, was lost
  readonly cuts: number; // unix sockets that were closed
}

export class Tally {
  readonly byKind = new Map<KillKind, number>();
  readonly byPlace = new Map<string, number>();
  readonly missed = new Map<string, number>();
  kills = 0;

  count(kind: KillKind, place: string): void {
    this.kills += 1;
    add(this.byKind, kind, 1);
    if (place !== 'random') add(this.byPlace, place, 1);
  }

  miss(place: string): void {
    add(this.missed, place, 1);
  }

  add(other: Tally): void {
    this.kills += other.kills;
    for (const [kind, count] of other.byKind) add(this.byKind, kind, count);
    for (const [place, count] of other.byPlace) add(this.byPlace, place, count);
    for (const [place, count] of other.missed) add(this.missed, place, count);
  }

  describe(): string {
    const list = (counts: ReadonlyMap<string, number>): string =>
      [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
    return `${this.kills} kills: ${list(this.byKind)}\nby place: ${list(this.byPlace)}`
      + (this.missed.size === 0 ? '' : `\nnot reached in time: ${list(this.missed)}`);
  }
}

function add<Key>(counts: Map<Key, number>, key: Key, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
