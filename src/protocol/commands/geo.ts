/**
 * Geospatial indexes: sorted sets whose scores are places.
 * Rows of the command table; their form is described in ../command.ts.
 */
import { Plan, type CommandRow } from '../command.js';

export const geoCommands: readonly CommandRow[] = [
  { name: 'geoadd', arity: -5, flags: 'write denyoom', keys: 'RW update at 1', plan: Plan.Plain,
    since: '3.2.0', summary: 'Adds places to a geospatial index' },
  { name: 'geodist', arity: -4, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    since: '3.2.0', summary: 'Tells the distance of two places' },
  { name: 'geohash', arity: -2, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    since: '3.2.0', summary: 'Returns places as geohash strings' },
  { name: 'geopos', arity: -2, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    since: '3.2.0', summary: 'Returns longitude and latitude of places' },
  { name: 'georadius', arity: -6, flags: 'write denyoom',
    keys: 'RO access at 1; OW update after STORE 6; OW update after STOREDIST 6', plan: Plan.Keys,
    since: '3.2.0', summary: 'Finds places around a point, and may store them' },
  { name: 'georadius_ro', arity: -6, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    since: '3.2.10', summary: 'Finds places around a point' },
  { name: 'georadiusbymember', arity: -5, flags: 'write denyoom',
    keys: 'RO access at 1; OW update after STORE 5; OW update after STOREDIST 5', plan: Plan.Keys,
    since: '3.2.0', summary: 'Finds places around a place, and may store them' },
  { name: 'georadiusbymember_ro', arity: -5, flags: 'readonly', keys: 'RO access at 1',
    plan: Plan.Plain, since: '3.2.10', summary: 'Finds places around a place' },
  { name: 'geosearch', arity: -7, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    since: '6.2.0', summary: 'Finds places inside a circle or a box' },
  { name: 'geosearchstore', arity: -8, flags: 'write denyoom',
    keys: 'OW update at 1; RO access at 2', plan: Plan.Keys, since: '6.2.0',
    summary: 'Stores the places inside a circle or a box' },
];
