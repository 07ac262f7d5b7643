/**
 * Publish and subscribe.
 * Rows of the command table; their form is described in ../command.ts.
 */
import { Plan, Refusal, type CommandRow } from '../command.js';

export const pubsubCommands: readonly CommandRow[] = [
  { name: 'psubscribe', arity: -2, flags: 'pubsub noscript loading stale', plan: Plan.Refused,
    refusal: Refusal.Connection, since: '2.0.0', summary: 'Subscribes to channels by pattern' },
  { name: 'publish', arity: 3, flags: 'pubsub loading stale fast', plan: Plan.Refused,
    refusal: Refusal.PubSub, since: '2.0.0', summary: 'Sends a message to a channel' },
  { name: 'pubsub', arity: -2, flags: '', plan: Plan.Container, since: '2.8.0',
    summary: 'Groups the commands about subscriptions' },
  { name: 'pubsub|channels', arity: -2, flags: 'pubsub loading stale', plan: Plan.Refused,
    refusal: Refusal.PubSub, since: '2.8.0', summary: 'Lists the channels that have subscribers' },
  { name: 'pubsub|help', arity: 2, flags: 'loading stale', plan: Plan.Local, acl: 'slow',
    since: '6.2.0', summary: 'Lists the subcommands' },
  { name: 'pubsub|numpat', arity: 2, flags: 'pubsub loading stale', plan: Plan.Refused,
    refusal: Refusal.PubSub, since: '2.8.0', summary: 'Counts the patterns subscribed to' },
  { name: 'pubsub|numsub', arity: -2, flags: 'pubsub loading stale', plan: Plan.Refused,
    refusal: Refusal.PubSub, since: '2.8.0', summary: 'Counts the subscribers of channels' },
  { name: 'pubsub|shardchannels', arity: -2, flags: 'pubsub loading stale', plan: Plan.Refused,
    refusal: Refusal.PubSub, since: '7.0.0',
    summary: 'Lists the shard channels that have subscribers' },
  { name: 'pubsub|shardnumsub', arity: -2, flags: 'pubsub loading stale', plan: Plan.Refused,
    refusal: Refusal.PubSub, since: '7.0.0', summary: 'Counts the subscribers of shard channels' },
  { name: 'punsubscribe', arity: -1, flags: 'pubsub noscript loading stale', plan: Plan.Refused,
    refusal: Refusal.Connection, since: '2.0.0', summary: 'Ends subscriptions by pattern' },
  { name: 'spublish', arity: 3, flags: 'pubsub loading stale fast', keys: 'not_key at 1',
    plan: Plan.Refused, refusal: Refusal.PubSub, since: '7.0.0',
    summary: 'Sends a message to a shard channel' },
  { name: 'ssubscribe', arity: -2, flags: 'pubsub noscript loading stale',
    keys: 'not_key at 1 to -1', plan: Plan.Refused, refusal: Refusal.Connection, since: '7.0.0',
    summary: 'Subscribes to shard channels' },
  { name: 'subscribe', arity: -2, flags: 'pubsub noscript loading stale', plan: Plan.Refused,
    refusal: Refusal.Connection, since: '2.0.0', summary: 'Subscribes to channels' },
  { name: 'sunsubscribe', arity: -1, flags: 'pubsub noscript loading stale',
    keys: 'not_key at 1 to -1', plan: Plan.Refused, refusal: Refusal.Connection, since: '7.0.0',
    summary: 'Ends subscriptions to shard channels' },
  { name: 'unsubscribe', arity: -1, flags: 'pubsub noscript loading stale', plan: Plan.Refused,
    refusal: Refusal.Connection, since: '2.0.0', summary: 'Ends subscriptions to channels' },
];
