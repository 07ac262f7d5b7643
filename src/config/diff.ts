/**
 * What a reload would change: the running settings against the next ones.
 *
 *   running ─┐                                         ┌─ diffLines ─► `-t --diff`, the log
 *            ├─ diffSettings(…, movedShare) ─► SettingsDiff
 *   next ────┘
 *
 * Pools are matched by name, servers by name within their pool. Two texts that mean the same
 * (1s and 1000ms, a host in capitals) are no change. How keys are spread is routing's to know,
 * which this layer does not see: callers hand in movedShare of src/routing/key-share.ts.
 */
import { canonicalAddress, printServer } from './addresses.js';
import type { AnyDirective, Scope } from './directives.js';
import { directivesOf } from './directives.js';
import type { ListenAddress, PoolSettings, ServerSettings, Settings } from './settings.js';

export interface SettingsDiff {
  readonly directives: readonly DirectiveChange[]; // of the global scope
  readonly added: readonly PoolSettings[];
  readonly removed: readonly PoolSettings[];
  readonly changed: readonly PoolDiff[];
}

export interface DirectiveChange {
  readonly name: string;
  readonly before: string; // as -T prints it; of a password only whether there is one
  readonly after: string;
  readonly isApplied: boolean; // by a reload; else the old value stays until a restart
}

export interface PoolDiff {
  readonly name: string;
  readonly directives: readonly DirectiveChange[]; // without the list of servers
  readonly servers: ServersDiff;
  /** Of all keys, 0 to 1: those that are looked up on another server; null: keys have no home. */
  readonly movedShare: number | null;
}

export interface ServersDiff {
  readonly added: readonly ServerSettings[];
  readonly removed: readonly ServerSettings[];
  readonly changed: readonly ServerChange[]; // same name, another weight or address
}

export interface ServerChange {
  readonly before: ServerSettings;
  readonly after: ServerSettings;
}

/** What decides where a pool's keys live, as movedShare of src/routing/key-share.ts takes it. */
export interface PoolKeys {
  readonly hash: string;
  readonly distribution: string;
  readonly servers: readonly {
    readonly name: string;
    readonly weight: number;
    readonly home: string; // the server's canonical address
  }[];
}

export type MovedShare = (before: PoolKeys, after: PoolKeys) => number | null;

const PASSWORD = 'redis_auth';
const WHAT_MOVES_KEYS: readonly string[] = ['hash', 'distribution'];

export function diffSettings(
  running: Settings, next: Settings, movedShare: MovedShare,
): SettingsDiff {
  const changed: PoolDiff[] = [];
  const added: PoolSettings[] = [];
  for (const pool of next.pools) {
    const old = running.pools.find(({ name }) => name === pool.name);
    if (old === undefined) added.push(pool);
    else if (!isSamePool(old, pool)) changed.push(diffPool(old, pool, movedShare));
  }
  return {
    directives: changesOf('global', running.global, next.global, false),
    added,
    removed: running.pools.filter(({ name }) => !next.pools.some((pool) => pool.name === name)),
    changed,
  };
}

/** A pool that listens elsewhere gets new listeners, so what belongs to them applies as well. */
function diffPool(before: PoolSettings, after: PoolSettings, movedShare: MovedShare): PoolDiff {
  return {
    name: after.name,
    directives: changesOf('pool', before, after, !isSameListen(before.listen, after.listen)),
    servers: diffServers(before.servers, after.servers),
    movedShare: movedShare(keysOf(before), keysOf(after)),
  };
}

function isSamePool(before: PoolSettings, after: PoolSettings): boolean {
  const { added, removed, changed } = diffServers(before.servers, after.servers);
  return changesOf('pool', before, after, false).length === 0
    && added.length + removed.length + changed.length === 0;
}

function isSameListen(before: ListenAddress, after: ListenAddress): boolean {
  return canonicalAddress(before) === canonicalAddress(after) && modeOf(before) === modeOf(after);
}

function modeOf(listen: ListenAddress): number | undefined {
  return listen.kind === 'unix' ? listen.mode : undefined;
}

function changesOf(
  scope: Scope, before: object, after: object, hasNewListener: boolean,
): DirectiveChange[] {
  const changes: DirectiveChange[] = [];
  for (const directive of directivesOf(scope)) {
    if (directive.type.kind === 'list') continue;
    const [from, to] = [fieldOf(before, directive), fieldOf(after, directive)];
    const isSame = directive.field === 'listen'
      ? isSameListen(from as ListenAddress, to as ListenAddress)
      : directive.type.print(from) === directive.type.print(to);
    if (isSame) continue;
    changes.push({
      name: directive.name,
      before: printed(directive, from),
      after: printed(directive, to),
      isApplied: directive.reload || hasNewListener,
    });
  }
  return changes;
}

function fieldOf(values: object, { field }: AnyDirective): unknown {
  return (values as { [field: string]: unknown })[field];
}

/** These lines go to logs, where passwords must not. */
function printed({ name, type }: AnyDirective, value: unknown): string {
  const text = type.kind === 'scalar' ? type.print(value) : '';
  if (text === '') return '""';
  return name === PASSWORD ? '(hidden)' : text;
}

function diffServers(
  before: readonly ServerSettings[], after: readonly ServerSettings[],
): ServersDiff {
  const old = new Map(before.map((server) => [server.name, server]));
  const added: ServerSettings[] = [];
  const changed: ServerChange[] = [];
  for (const server of after) {
    const was = old.get(server.name);
    old.delete(server.name);
    if (was === undefined) added.push(server);
    else if (!isSameServer(was, server)) changed.push({ before: was, after: server });
  }
  return { added, removed: [...old.values()], changed };
}

function isSameServer(before: ServerSettings, after: ServerSettings): boolean {
  return before.weight === after.weight
    && canonicalAddress(before.address) === canonicalAddress(after.address);
}

function keysOf({ hash, distribution, servers }: PoolSettings): PoolKeys {
  return {
    hash,
    distribution,
    servers: servers.map(({ name, weight, address }) =>
      ({ name, weight, home: canonicalAddress(address) })),
  };
}

/** One line for each change, without a full stop; none when nothing changes. */
export function diffLines(diff: SettingsDiff): string[] {
  return [
    ...diff.directives.map(directiveLine),
    ...diff.added.map(({ name, listen, servers }) =>
      `pool ${name}: added, listens on ${listen.text}, ${counted(servers.length, 'server')}`),
    ...diff.removed.map(({ name, listen }) => `pool ${name}: removed, listened on ${listen.text}`),
    ...diff.changed.flatMap((pool) => poolLines(pool).map((line) => `pool ${pool.name}: ${line}`)),
  ];
}

function directiveLine({ name, before, after, isApplied }: DirectiveChange): string {
  const change = before === after ? 'another value' : `${before} → ${after}`; // of a password
  return `${name}: ${change}${isApplied ? '' : ' (not before a restart)'}`;
}

function poolLines({ directives, servers, movedShare }: PoolDiff): string[] {
  const lines = directives.map((change) =>
    `${directiveLine(change)}${consequence(change)}`);
  const parts = serverParts(servers);
  const isRouted = directives.some(({ name }) => WHAT_MOVES_KEYS.includes(name));
  if (parts.length > 0) {
    lines.push(`servers: ${[...parts, shareText(movedShare)].join(', ')}`);
  } else if (isRouted) {
    lines.push(`keys: ${shareText(movedShare)}`);
  }
  return lines;
}

/** What the share of moved keys does not tell. */
function consequence({ name }: DirectiveChange): string {
  if (name === 'hash_tag') return ', keys with these characters may move to another server';
  return name === 'redis_db' ? ', every key is looked up in another database' : '';
}

function serverParts({ added, removed, changed }: ServersDiff): string[] {
  return [
    ...added.map((server) => `+ ${printServer(server)}`),
    ...removed.map((server) => `- ${printServer(server)}`),
    ...changed.map(({ before, after }) => `${printServer(before)} → ${printServer(after)}`),
  ];
}

function shareText(share: number | null): string {
  if (share === null) return 'keys have no home with distribution random';
  if (share < 1e-9) return 'no key moves to another server'; // what adding up rounds away
  if (share < 0.0005) return 'less than 0.1 % of the keys move to another server';
  return `${(share * 100).toFixed(1)} % of the keys move to another server`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
