/**
 * HyperLogLogs: estimates of how many distinct elements were added.
 * Rows of the command table; their form is described in ../command.ts.
 */
import { Plan, Refusal, type CommandRow } from '../command.js';

export const hyperloglogCommands: readonly CommandRow[] = [
  { name: 'pfadd', arity: -2, flags: 'write denyoom fast', keys: 'RW insert at 1', plan: Plan.Plain,
    since: '2.8.9', summary: 'Adds elements to a HyperLogLog' },
  { name: 'pfcount', arity: -2, flags: 'readonly', keys: 'RW access at 1 to -1', plan: Plan.Keys,
    since: '2.8.9', summary: 'Estimates the distinct elements of HyperLogLogs' },
  { name: 'pfdebug', arity: 3, flags: 'write denyoom admin', keys: 'RW access at 2',
    plan: Plan.Refused, refusal: Refusal.Administers, since: '2.8.9',
    summary: 'Shows the inside of a HyperLogLog' },
  { name: 'pfmerge', arity: -2, flags: 'write denyoom',
    keys: 'RW access insert at 1; RO access at 2 to -1', plan: Plan.Keys, since: '2.8.9',
    summary: 'Merges HyperLogLogs into one key' },
  { name: 'pfselftest', arity: 1, flags: 'admin', plan: Plan.Refused, refusal: Refusal.Administers,
    since: '2.8.9', summary: 'Tests the HyperLogLog code' },
];
