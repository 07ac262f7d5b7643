/**
 * Transactions: MULTI and its companions.
 * Rows of the command table; their form is described in ../command.ts.
 */
import { Plan, Refusal, type CommandRow } from '../command.js';

export const transactionCommands: readonly CommandRow[] = [
  { name: 'discard', arity: 1, flags: 'noscript loading stale fast allow_busy', plan: Plan.Refused,
    refusal: Refusal.Connection, since: '2.0.0',
    summary: 'Forgets the commands queued since MULTI' },
  { name: 'exec', arity: 1, flags: 'noscript loading stale skip_slowlog', plan: Plan.Refused,
    refusal: Refusal.Connection, since: '1.2.0',
    summary: 'Executes the commands queued since MULTI' },
  { name: 'multi', arity: 1, flags: 'noscript loading stale fast allow_busy', plan: Plan.Refused,
    refusal: Refusal.Connection, since: '1.2.0', summary: 'Begins a transaction' },
  { name: 'unwatch', arity: 1, flags: 'noscript loading stale fast allow_busy', plan: Plan.Refused,
    refusal: Refusal.Connection, since: '2.2.0', summary: 'Forgets the watched keys' },
  { name: 'watch', arity: -2, flags: 'noscript loading stale fast allow_busy',
    keys: 'RO at 1 to -1', plan: Plan.Refused, refusal: Refusal.Connection, since: '2.2.0',
    summary: 'Makes the next EXEC depend on keys' },
];
