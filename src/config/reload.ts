/**
 * What a reload cannot change. Directives say in their table whether HUP applies them; for the
 * others the running value stays until a restart, and the operator is told so.
 */
import type { Scope } from './directives.js';
import { directivesOf } from './directives.js';
import type { Lines, Settings } from './settings.js';

/**
 * One line for each directive that differs between the running settings and the new ones and that
 * a reload does not apply, in the form of the loader's warnings. Pools are matched by name; a pool
 * that is new, or whose `listen` has moved, has nothing old to keep.
 */
export function findRestartOnly(running: Settings, next: Settings): string[] {
  const lines = differences('global', running.global, next.global, next.file, next.global.lines, 1);
  for (const pool of next.pools) {
    const old = running.pools.find(({ name }) => name === pool.name);
    if (old === undefined || old.listen.text !== pool.listen.text) continue;
    lines.push(...differences('pool', old, pool, next.file, pool.lines, pool.line));
  }
  return lines;
}

function differences(
  scope: Scope, running: object, next: object, file: string, lines: Lines, ownLine: number,
): string[] {
  const found: string[] = [];
  for (const { name, field, type, reload } of directivesOf(scope)) {
    if (reload || type.kind === 'list') continue;
    const before = type.print((running as { [field: string]: unknown })[field]);
    const after = type.print((next as { [field: string]: unknown })[field]);
    if (before === after) continue;
    found.push(`${file}:${lines[name] ?? ownLine}:1: ${name}: stays ${before || '""'} until a ` +
      `restart, a reload does not change it to ${after || '""'}`);
  }
  return found;
}
