/** Where a directive stands in the configuration file, as the loader's own remarks say it. */
import type { PoolSettings, Settings } from '../config/settings.js';

/** "file:line:1: directive" of a global directive; line 1 when it is left to its default. */
export function placeOf({ file, global }: Settings, directive: string): string {
  return `${file}:${global.lines[directive] ?? 1}:1: ${directive}`;
}

/** The same for a directive of a pool; the pool's own line when it is left to its default. */
export function placeIn({ file }: Settings, pool: PoolSettings, directive: string): string {
  return `${file}:${pool.lines[directive] ?? pool.line}:1: ${directive}`;
}
