/**
 * One roster where it lies in shared memory. Rosters count from 0 at the start, one more at each
 * reload or upgrade; even ones live in half 0 of the tables, odd ones in half 1.
 */
import type { Roster } from '../config/roster.js';

export interface Generation {
  readonly roster: Roster;
  readonly half: number; // roster.generation & 1
  readonly confOffset: number; // of the roster as JSON, bytes from the object's start
  readonly confBytes: number;
}
