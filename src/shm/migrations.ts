/**
 * How columns of before become columns of now, and back. A migration is data, not code: it is
 * listed in the directory of the version that registers it, so that the version of before, which
 * knows nothing of it, can take a lane back by itself, even when nothing of the new one is alive.
 *
 *   before   session.idle_ms i32 ──── now = before * factor + plus ────►  session.idle_us f64   now
 *            session.idle_ms i32 ◄─── before = (now - plus) / factor ───  session.idle_us f64
 *
 * Only session, session_info, link and request know migrations: their rows belong to one lane and
 * have room in its journal. What this cannot say takes two releases: the first adds a column and
 * keeps both up to date, the second removes the old one. A column that only lies elsewhere needs
 * no migration, an added one just its default. A change of meaning is a change of name.
 */
import type { ColumnType } from './schema.js';

/** A column as a version knows it; `count` elements. */
export interface Place {
  readonly column: string;
  readonly type: ColumnType;
  readonly count: number;
}

export interface Migration {
  readonly table: string;
  readonly was: Place; // in versions before
  readonly is: Place | null; // in this one; null: there is none any more
  readonly factor: number; // not 0
  readonly plus: number; // of a removed column: what a version that still has it finds
  readonly oneWay: boolean; // true: there is no way back, and the log says so
}

/**
 * Kept as long as upgrades from a version that has the old column are wanted, and always straight
 * to the column of now: a column that changed twice has two, one from each of its pasts.
 */
export const migrations: readonly Migration[] = [];

/** The value that this version keeps for what a version of before has written. */
export function forward({ factor, plus }: Migration, was: number): number {
  return was * factor + plus;
}

/** The value that a version of before finds for what this one has written. */
export function back({ factor, plus, is: now }: Migration, is: number): number {
  return now === null ? plus : (is - plus) / factor;
}
