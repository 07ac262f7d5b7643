/**
 * One configuration while it is in use, and where it lies in shared memory. Numbers count from 0
 * at the start, one more at each reload; even ones live in half 0 of the tables, odd ones in 1.
 */
import type { Settings } from '../config/settings.js';

export interface Generation {
  readonly number: number;
  readonly half: number;
  readonly settings: Settings;
  readonly workers: number;
  readonly firstLane: number;
  readonly firstPool: number;
  readonly firstBackend: number;
  readonly firstRouteWord: number;
  readonly confOffset: number; // bytes from the object's start
  readonly confBytes: number;
}
