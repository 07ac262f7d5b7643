/**
 * Hashes: fields and values under one key.
 * Rows of the command table; their form is described in ../command.ts.
 */
import { Plan, type CommandRow } from '../command.js';

export const hashCommands: readonly CommandRow[] = [
  { name: 'hdel', arity: -3, flags: 'write fast', keys: 'RW delete at 1', plan: Plan.Plain,
    since: '2.0.0', summary: 'Deletes fields of a hash' },
  { name: 'hexists', arity: 3, flags: 'readonly fast', keys: 'RO at 1', plan: Plan.Plain,
    since: '2.0.0', summary: 'Tells whether a hash has a field' },
  { name: 'hget', arity: 3, flags: 'readonly fast', keys: 'RO access at 1', plan: Plan.Plain,
    since: '2.0.0', summary: 'Reads one field of a hash' },
  { name: 'hgetall', arity: 2, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    tips: 'nondeterministic_output_order', since: '2.0.0',
    summary: 'Reads all fields and values of a hash' },
  { name: 'hincrby', arity: 4, flags: 'write denyoom fast', keys: 'RW access update at 1',
    plan: Plan.Plain, since: '2.0.0', summary: 'Adds an integer to a field of a hash' },
  { name: 'hincrbyfloat', arity: 4, flags: 'write denyoom fast', keys: 'RW access update at 1',
    plan: Plan.Plain, since: '2.6.0', summary: 'Adds a float to a field of a hash' },
  { name: 'hkeys', arity: 2, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    tips: 'nondeterministic_output_order', since: '2.0.0', summary: 'Lists the fields of a hash' },
  { name: 'hlen', arity: 2, flags: 'readonly fast', keys: 'RO at 1', plan: Plan.Plain,
    since: '2.0.0', summary: 'Counts the fields of a hash' },
  { name: 'hmget', arity: -3, flags: 'readonly fast', keys: 'RO access at 1', plan: Plan.Plain,
    since: '2.0.0', summary: 'Reads several fields of a hash' },
  { name: 'hmset', arity: -4, flags: 'write denyoom fast', keys: 'RW update at 1', plan: Plan.Plain,
    since: '2.0.0', summary: 'Writes several fields of a hash' },
  { name: 'hrandfield', arity: -2, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    tips: 'nondeterministic_output', since: '6.2.0', summary: 'Returns some fields of a hash' },
  { name: 'hscan', arity: -3, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    tips: 'nondeterministic_output', since: '2.8.0', summary: 'Walks the fields of a hash' },
  { name: 'hset', arity: -4, flags: 'write denyoom fast', keys: 'RW update at 1', plan: Plan.Plain,
    since: '2.0.0', summary: 'Writes fields of a hash' },
  { name: 'hsetnx', arity: 4, flags: 'write denyoom fast', keys: 'RW insert at 1', plan: Plan.Plain,
    since: '2.0.0', summary: 'Writes a field of a hash unless it exists' },
  { name: 'hstrlen', arity: 3, flags: 'readonly fast', keys: 'RO at 1', plan: Plan.Plain,
    since: '3.2.0', summary: 'Tells the length of a hash field\'s value' },
  { name: 'hvals', arity: 2, flags: 'readonly', keys: 'RO access at 1', plan: Plan.Plain,
    tips: 'nondeterministic_output_order', since: '2.0.0', summary: 'Lists the values of a hash' },
];
