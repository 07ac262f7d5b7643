/**
 * The listening sockets of all pools. The first master opens them, workers and later masters
 * inherit them; a socket that stays is never closed, so that no client in its queue is lost.
 *
 *   reuseport on   one socket per lane on the same port: the kernel spreads clients
 *   reuseport off  one socket that all lanes share; so are unix sockets always
 *
 *   open ──no longer in the roster──► retired ──no lane watches it──► closed
 *     ▲                                  │
 *     └── is back, or the roster before ─┘
 *
 * A change opens what is new before anything else changes. The kernel lets anybody of our user
 * join a port with SO_REUSEPORT and would hand him half of our clients, so a bind without it looks
 * first whether somebody is there.
 */
import { chmodSync, lstatSync, readFileSync, unlinkSync } from 'node:fs';
import { OperatorError, systemReason } from '../base/errors.js';
import type { Roster, RosterListener } from '../config/roster.js';
import type { ListenAddress, PoolSettings, Settings, UnixAddress } from '../config/settings.js';
import { native } from '../native/binding.js';
import { placeIn } from './place.js';

interface Listener {
  readonly id: number; // RosterListener
  readonly key: string;
  readonly pool: string; // the name of the one it was opened for
  readonly listen: ListenAddress; // as written there
  readonly fds: readonly number[]; // one per lane, or one for all
  readonly isPerLane: boolean;
  readonly isV6only: boolean;
  readonly inode: number; // of a unix socket's file: whether it is still ours; else 0
}

/** What another master needs to go on with a listener; as JSON. Descriptors by its own numbers. */
export type ListenerHandover = Listener;

/** A listening socket for one worker. */
export interface WorkerSocket {
  readonly id: number; // RosterListener
  readonly fd: number; // the master's number
}

/** What a change did so far; either finish() or undo() ends it. */
export interface ListenerChange {
  finish(): void;
  undo(): void;
}

export type Tell = (event: string, facts: object, message: string) => void;

export class Listeners {
  #open = new Map<string, Listener>(); // by key, in the order of the roster
  #retired = new Set<string>(); // keys

  constructor(private readonly told: { readonly info: Tell; readonly warn: Tell }) {}

  /** Goes on with the sockets of the master before; change() then says which of them stay. */
  inherit(list: readonly ListenerHandover[]): void {
    this.#open = new Map(list.map((listener) => [listener.key, listener]));
  }

  /** Every socket that is open, those of retired listeners too. */
  describe(): ListenerHandover[] {
    return [...this.#open.values()];
  }

  /**
   * Opens what `roster` adds, for lanes 0 to `lanes` - 1, or throws an OperatorError with a line
   * for each address that cannot be had and changes nothing. Closes nothing: see drop().
   */
  change(roster: Roster, lanes: number): ListenerChange {
    const [before, retiredBefore] = [this.#open, this.#retired];
    const after = new Map<string, Listener>();
    const retired = new Set<string>();
    const added: number[] = []; // descriptors
    const opened: Listener[] = [];
    const mistakes: string[] = [];
    for (const each of roster.listeners) {
      const known = before.get(each.key);
      const pool = roster.pools.find(({ id }) => id === each.pool)?.settings;
      if (each.isRetired || pool === undefined) {
        retired.add(each.key);
        if (known !== undefined) after.set(each.key, known);
        continue;
      }
      try {
        const next = known === undefined
          ? this.#listen(each, pool, roster.settings, lanes, added)
          : widen({ ...known, id: each.id, pool: pool.name }, pool, lanes, added);
        after.set(each.key, next);
        if (known === undefined) opened.push(next);
      } catch (error) {
        mistakes.push(mistakeOf(roster.settings, pool, error));
      }
    }
    const undo = (): void => {
      for (const fd of added) native.socketClose(fd);
      for (const listener of opened) removeFile(listener);
      [this.#open, this.#retired] = [before, retiredBefore];
    };
    if (mistakes.length > 0) {
      undo();
      throw new OperatorError('cannot-listen', mistakes);
    }
    [this.#open, this.#retired] = [after, retired];
    for (const { pool, listen } of opened) {
      this.told.info('listening', { pool, address: listen.text },
        `listening on ${listen.text} for pool ${pool}`);
    }
    return { finish: () => this.#finish(roster, before), undo };
  }

  /** The sockets of a lane's worker, those of retired listeners too, while they are open. */
  of(lane: number): WorkerSocket[] {
    return [...this.#open.values()].map(({ id, fds }) => ({ id, fd: fds[lane % fds.length]! }));
  }

  /** Closes retired listeners that no lane accepts on. To be called when old workers have ended. */
  drop(isWatched: (id: number) => boolean): void {
    for (const key of this.#retired) {
      const listener = this.#open.get(key);
      if (listener === undefined || isWatched(listener.id)) continue;
      this.#open.delete(key);
      this.#end(listener);
    }
  }

  /** Closes this process's copies: another master goes on with the sockets. */
  release(): void {
    for (const listener of this.#open.values()) closeAll(listener);
    this.#open.clear();
    this.#retired.clear();
  }

  /** Closes everything: from now on clients are refused, not left waiting. */
  close(): void {
    for (const listener of this.#open.values()) removeFile(listener);
    this.release();
  }

  #listen(
    { id, key }: RosterListener, pool: PoolSettings, settings: Settings, lanes: number,
    added: number[],
  ): Listener {
    const backlog = this.#backlogOf(pool, settings);
    const { listen } = pool;
    const what = { id, key, pool: pool.name, listen };
    if (listen.kind === 'unix') {
      const fd = listenUnix(listen, backlog);
      added.push(fd);
      const inode = inodeOf(listen.path);
      return { ...what, fds: [fd], isPerLane: false, isV6only: false, inode };
    }
    const isV6only = isPairedWithV4(listen.port, settings);
    native.socketProbe(listen.host, listen.port, isV6only);
    const fresh = { ...what, fds: [], isPerLane: pool.reuseport, isV6only, inode: 0 };
    return open(fresh, pool, backlog, pool.reuseport ? lanes : 1, added);
  }

  #backlogOf(pool: PoolSettings, settings: Settings): number {
    const most = somaxconn();
    if (pool.backlog <= most) return pool.backlog;
    const place = placeIn(settings, pool, 'backlog');
    this.told.warn('backlog_capped', { pool: pool.name, backlog: most },
      `${place}: ${pool.backlog} is capped to ${most} by the kernel: ` +
      'raise net.core.somaxconn');
    return most;
  }

  /** What not even the roster before had in use is closed now. */
  #finish(roster: Roster, before: ReadonlyMap<string, Listener>): void {
    for (const [key, listener] of before) if (!this.#open.has(key)) this.#end(listener);
    for (const { key, pool, isRetired } of roster.listeners) {
      const settings = roster.pools.find(({ id }) => id === pool)?.settings;
      const listener = this.#open.get(key);
      if (isRetired || settings === undefined || listener === undefined) continue;
      applyOptions(listener, settings);
    }
  }

  #end(listener: Listener): void {
    const { pool, listen } = listener;
    closeAll(listener);
    removeFile(listener);
    this.told.info('listener_closed', { pool, address: listen.text },
      `no longer listening on ${listen.text}`);
  }
}

/**
 * A listener of which a dead master's lanes have sockets. Where a lane's own is lost, it gets
 * another one in the same group. Throws what opening that throws.
 */
export function describeListener(
  what: Pick<RosterListener, 'id' | 'key' | 'isRetired'> & { readonly listen: ListenAddress },
  pool: PoolSettings, settings: Settings,
  found: readonly { readonly lane: number; readonly fd: number }[], lanes: number,
): ListenerHandover {
  const { id, key, listen, isRetired } = what;
  const isPerLane = listen.kind === 'tcp' && pool.reuseport;
  const isV6only = listen.kind === 'tcp' && isPairedWithV4(listen.port, settings);
  const inode = listen.kind === 'unix' ? inodeOf(listen.path) : 0;
  const fresh = { id, key, pool: pool.name, listen, fds: [], isPerLane, isV6only, inode };
  if (!isPerLane) {
    found.slice(1).forEach(({ fd }) => native.socketClose(fd)); // of the same socket
    return { ...fresh, fds: [found[0]!.fd] };
  }
  const fds = Array.from({ length: lanes }, (_, lane) => {
    const own = found.find((each) => each.lane === lane);
    if (own !== undefined) return own.fd;
    if (isRetired) return native.socketDuplicate(found[0]!.fd); // nobody will accept on it
    return open(fresh, pool, Math.min(pool.backlog, somaxconn()), 1, []).fds[0]!;
  });
  return { ...fresh, fds };
}

/** Lanes that have been added get sockets of their own. */
function widen(known: Listener, pool: PoolSettings, lanes: number, added: number[]): Listener {
  if (!known.isPerLane) return known;
  return open(known, pool, Math.min(pool.backlog, somaxconn()), lanes, added);
}

/** Opens sockets until there are `count`; the new ones are noted in `added`. */
function open(
  listener: Listener, pool: PoolSettings, backlog: number, count: number, added: number[],
): Listener {
  const { listen, isPerLane, isV6only } = listener;
  if (listen.kind !== 'tcp') return listener;
  const fds = [...listener.fds];
  const options = { reuseport: isPerLane, keepalive: pool.tcpkeepalive, v6only: isV6only };
  while (fds.length < count) {
    fds.push(native.socketListenTcp(listen.host, listen.port, backlog, options));
    added.push(fds.at(-1)!);
  }
  return { ...listener, fds };
}

/** A host of :: takes IPv4 clients too, unless another pool listens for those on the same port. */
function isPairedWithV4(port: number, settings: Settings): boolean {
  return settings.pools.some(({ listen }) =>
    listen.kind === 'tcp' && listen.port === port && !listen.host.includes(':'));
}

function listenUnix(address: UnixAddress, backlog: number): number {
  removeStale(address.path);
  return native.socketListenUnix(address.path, address.mode ?? null, backlog);
}

/** A killed process leaves the file of its socket behind; it goes if nobody answers there. */
function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined || !found.isSocket()) return; // anything else is left for bind to refuse
  if (!native.socketUnixAnswers(path)) unlinkSync(path);
}

function inodeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}

function applyOptions(listener: Listener, { listen, tcpkeepalive }: PoolSettings): void {
  if (listen.kind === 'tcp') {
    for (const fd of listener.fds) native.socketKeepalive(fd, tcpkeepalive);
  } else if (listen.mode !== undefined && inodeOf(listen.path) === listener.inode) {
    chmodSync(listen.path, listen.mode);
  }
}

function closeAll({ fds }: Listener): void {
  for (const fd of fds) native.socketClose(fd);
}

/** Of a unix socket, unless it is another's by now. */
function removeFile({ listen, inode }: Listener): void {
  if (listen.kind === 'unix' && inodeOf(listen.path) === inode) unlinkSync(listen.path);
}

function mistakeOf(settings: Settings, pool: PoolSettings, error: unknown): string {
  return `${placeIn(settings, pool, 'listen')}: ${pool.listen.text}: ${systemReason(error)}`;
}

function somaxconn(): number {
  try {
    return Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
  } catch {
    return 4096; // the kernel's default, where /proc hides it
  }
}
