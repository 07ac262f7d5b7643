/**
 * The listening sockets of all pools. The master opens them once and keeps them; workers inherit.
 *
 *   reuseport on   one socket per worker on the same port: the kernel spreads clients
 *   reuseport off  one socket that all workers share; so are unix sockets always
 *
 * A reload keeps the sockets of every address that stays (no client can tell), opens what is new
 * before anything else changes, and closes what is gone when the old workers have been told to
 * stop. The kernel lets anybody of our user join a port with SO_REUSEPORT and would hand him half
 * of our clients, so a bind without it looks first whether somebody is there.
 */
import { chmodSync, lstatSync, readFileSync, unlinkSync } from 'node:fs';
import { OperatorError, systemReason } from '../base/errors.js';
import { canonicalAddress } from '../config/addresses.js';
import type { PoolSettings, Settings, UnixAddress } from '../config/settings.js';
import { native } from '../native/binding.js';
import { placeIn } from './place.js';

interface Listener {
  readonly key: string;
  readonly pool: PoolSettings; // as it was when the socket was opened
  readonly fds: readonly number[]; // one per worker, or one for all
  readonly inode: number; // of a unix socket's file: whether it is still ours; else 0
}

/** A listening socket for one worker. */
export interface WorkerSocket {
  readonly fd: number; // the master's number
  readonly pool: number; // index in the settings
  readonly unix: boolean;
}

/** What a reload did so far; either finish() or undo() ends it. */
export interface ListenerChange {
  finish(): void;
  undo(): void;
}

export type Tell = (event: string, facts: object, message: string) => void;

export class Listeners {
  #open = new Map<string, Listener>();

  /** `workers`: how many sockets an address gets with reuseport. */
  constructor(
    private readonly workers: number,
    private readonly told: { readonly info: Tell; readonly warn: Tell },
  ) {}

  /** Opens every address. Throws OperatorError with a line for each that cannot be had. */
  open(settings: Settings): void {
    this.change(settings).finish();
  }

  /** Opens what `settings` adds, or throws and changes nothing. finish() closes what it drops. */
  change(settings: Settings): ListenerChange {
    const before = this.#open;
    const after = new Map<string, Listener>();
    const added: Listener[] = [];
    const mistakes: string[] = [];
    for (const pool of settings.pools) {
      const key = canonicalAddress(pool.listen);
      const kept = before.get(key);
      if (kept !== undefined) {
        after.set(key, kept);
        continue;
      }
      try {
        const listener = this.#listen(key, pool, settings);
        added.push(listener);
        after.set(key, listener);
      } catch (error) {
        mistakes.push(mistakeOf(settings, pool, error));
      }
    }
    if (mistakes.length > 0) {
      for (const listener of added) close(listener);
      throw new OperatorError('cannot-listen', mistakes);
    }
    this.#open = after;
    for (const { pool } of added) {
      this.told.info('listening', { pool: pool.name, address: pool.listen.text },
        `listening on ${pool.listen.text} for pool ${pool.name}`);
    }
    return {
      finish: () => this.#finish(settings, before, after),
      undo: () => {
        for (const listener of added) close(listener);
        this.#open = before;
      },
    };
  }

  /** The sockets of worker `number`, in the order of the pools. */
  of(settings: Settings, number: number): WorkerSocket[] {
    return settings.pools.map((pool, index) => {
      const { fds } = this.#open.get(canonicalAddress(pool.listen))!;
      return { fd: fds[number % fds.length]!, pool: index, unix: pool.listen.kind === 'unix' };
    });
  }

  /** Closes everything: from now on clients are refused, not left waiting. */
  close(): void {
    for (const listener of this.#open.values()) close(listener);
    this.#open = new Map();
  }

  #finish(settings: Settings, before: Map<string, Listener>, after: Map<string, Listener>): void {
    for (const [key, listener] of before) {
      if (after.has(key)) continue;
      close(listener);
      const address = listener.pool.listen.text;
      this.told.info('listener_closed', { pool: listener.pool.name, address },
        `no longer listening on ${address}`);
    }
    for (const pool of settings.pools) {
      applyOptions(after.get(canonicalAddress(pool.listen))!, pool);
    }
  }

  #listen(key: string, pool: PoolSettings, settings: Settings): Listener {
    const backlog = this.#backlogOf(pool, settings);
    const address = pool.listen;
    if (address.kind === 'unix') {
      const fd = listenUnix(address, backlog);
      return { key, pool, fds: [fd], inode: inodeOf(address.path) };
    }
    const v6only = isPairedWithV4(address.port, settings);
    native.socketProbe(address.host, address.port, v6only);
    const fds: number[] = [];
    try {
      const count = pool.reuseport ? this.workers : 1;
      const options = { reuseport: pool.reuseport, keepalive: pool.tcpkeepalive, v6only };
      while (fds.length < count) {
        fds.push(native.socketListenTcp(address.host, address.port, backlog, options));
      }
    } catch (error) {
      fds.forEach((fd) => native.socketClose(fd));
      throw error;
    }
    return { key, pool, fds, inode: 0 };
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

function applyOptions(listener: Listener, pool: PoolSettings): void {
  const { listen } = pool;
  if (listen.kind === 'tcp') {
    for (const fd of listener.fds) native.socketKeepalive(fd, pool.tcpkeepalive);
  } else if (listen.mode !== undefined && inodeOf(listen.path) === listener.inode) {
    chmodSync(listen.path, listen.mode);
  }
}

function close(listener: Listener): void {
  for (const fd of listener.fds) native.socketClose(fd);
  const { listen } = listener.pool;
  if (listen.kind === 'unix' && inodeOf(listen.path) === listener.inode) unlinkSync(listen.path);
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
