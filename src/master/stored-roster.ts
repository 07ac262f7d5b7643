/**
 * A roster as JSON in the conf region: whoever knows the half can read it, also the master of
 * another version. A zero byte ends it.
 */
import { directivesOf, REQUIRED, type Scope } from '../config/directives.js';
import type { Roster } from '../config/roster.js';

export function rosterBytes(roster: Roster): Buffer {
  return Buffer.from(JSON.stringify(roster));
}

/** Room for it, its end included. */
export function storedBytes(roster: Roster): number {
  return Buffer.byteLength(JSON.stringify(roster)) + 1;
}

/**
 * Reads what a master, perhaps of another version, has written; null when there is nothing. What
 * its directives did not know yet has their default.
 */
export function readRoster(region: Uint8Array): { roster: Roster; bytes: number } | null {
  const bytes = region.indexOf(0);
  if (bytes <= 0) return null;
  const text = Buffer.from(region.subarray(0, bytes)).toString('utf8');
  return { roster: complete(JSON.parse(text) as Roster), bytes };
}

function complete(roster: Roster): Roster {
  const { settings } = roster;
  return {
    ...roster,
    settings: {
      ...settings,
      global: withDefaults('global', settings.global),
      pools: settings.pools.map((pool) => withDefaults('pool', pool)),
    },
    pools: roster.pools.map((pool) =>
      ({ ...pool, settings: withDefaults('pool', pool.settings) })),
  };
}

function withDefaults<T extends object>(scope: Scope, values: T): T {
  const defaults = directivesOf(scope)
    .filter(({ fallback }) => fallback !== REQUIRED)
    .map(({ field, fallback }) => [field, fallback]);
  return { ...Object.fromEntries(defaults) as Partial<T>, ...values };
}
