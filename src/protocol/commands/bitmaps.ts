/**
 * Bitmaps: strings seen as bits.
 * Rows of the command table; their form is described in ../command.ts.
 */
import { Plan, type CommandRow } from '../command.js';

export const bitmapCommands: readonly CommandRow[] = [
  { name: 'bitcount', arity: -2, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    since: '2.6.0', summary: 'Counts the set bits of a string, or of a part of it' },
  { name: 'bitfield', arity: -2, flags: 'write denyoom',
    keys: 'RW access update variable_flags at 1', plan: Plan.Plain, since: '3.2.0',
    summary: 'Reads and changes integers of any width inside a string' },
  { name: 'bitfield_ro', arity: -2, flags: 'readonly fast', keys: 'RO access at 1',
    plan: Plan.Plain, since: '6.0.0', summary: 'Reads integers of any width inside a string' },
  { name: 'bitop', arity: -4, flags: 'write denyoom', keys: 'OW update at 2; RO access at 3 to -1',
    plan: Plan.Keys, since: '2.6.0',
    summary: 'Combines strings bit by bit and stores the outcome' },
  { name: 'bitpos', arity: -3, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    since: '2.8.7', summary: 'Finds the first bit that is set, or clear' },
  { name: 'getbit', arity: 3, flags: 'readonly fast', keys: 'RO access at 1', plan: Plan.Plain,
    since: '2.2.0', summary: 'Reads one bit of a string' },
  { name: 'setbit', arity: 4, flags: 'write denyoom', keys: 'RW access update at 1',
    plan: Plan.Plain, since: '2.2.0',
    summary: 'Writes one bit of a string and returns the old one' },
];
