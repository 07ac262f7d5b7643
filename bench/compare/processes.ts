/**
 * Every process the benchmark starts, and how it ends.
 *
 * Each child leads a session of its own: so the whole tree of a party can be found even when one of
 * its processes was reparented, and Ctrl-C reaches only us, who then stop all in order.
 * The program never ends a process that it did not start: a pid is only signalled while it still
 * has the start time that was seen in the tree.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Identity {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** Clock ticks after boot; tells a process from a later one with the same pid. */
  readonly started: string;
  /** User + system time in clock ticks: own, and of children already waited for. */
  readonly ticks: number;
}

/** What /proc says of one process; null when it is gone or a zombie. */
export function identify(pid: number): Identity | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' '); // the name may hold anything
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0);
  return {
    pid, parent: Number(fields[1]), session: Number(fields[3]), started: fields[19]!, ticks,
  };
}

/** The process, its descendants, and whoever else lives in its session. */
export function treeOf(root: number): Identity[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    .map((name) => identify(Number(name))).filter((it) => it !== null);
  const members = new Set([root]);
  for (let before = -1; before !== members.size;) {
    before = members.size;
    for (const it of all) {
      if (it.session === root || members.has(it.parent)) members.add(it.pid);
    }
  }
  return all.filter((it) => members.has(it.pid));
}

/** True when a child of ours may run under the round-robin scheduler. */
export function realTimePermitted(): boolean {
  return spawnSync('chrt', ['-r', '1', 'true'], { stdio: 'ignore' }).status === 0;
}

export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Processes {
  readonly #prefix: readonly string[];
  readonly #logs: string;
  readonly #alive = new Set<Service>();
  #isStopping = false;

  /** Logs of the children go below `logs`; realTime puts all of them under chrt -r 1. */
  constructor(logs: string, realTime: boolean) {
    this.#logs = logs;
    this.#prefix = realTime ? ['chrt', '-r', '1'] : [];
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Starts a process that runs until it is stopped. */
  start(name: string, command: readonly string[]): Service {
    const log = join(this.#logs, `${name}.log`);
    const fd = openSync(log, 'a');
    const child = this.#spawn(command, ['ignore', fd, fd]);
    closeSync(fd);
    const service = new Service(name, child, log, () => this.#alive.delete(service));
    this.#alive.add(service);
    return service;
  }

  /** Runs a process to its end; ends it itself after `patienceMs` (then `code` is null). */
  async run(command: readonly string[], patienceMs: number): Promise<Output> {
    const child = this.#spawn(command, ['ignore', 'pipe', 'pipe']);
    const service = new Service(command[0]!, child, null, () => this.#alive.delete(service));
    this.#alive.add(service);
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (bytes: Buffer) => { stdout += bytes.toString('latin1'); });
    child.stderr!.on('data', (bytes: Buffer) => { stderr += bytes.toString('latin1'); });
    const timer = setTimeout(() => void service.stop(), patienceMs);
    const code = await new Promise<number | null>((resolve) => {
      child.once('close', resolve);
      child.once('error', () => resolve(null));
    });
    clearTimeout(timer);
    return { code, stdout, stderr };
  }

  /** Stops everything that still runs, the newest first; from now on nothing can be started. */
  async stopAll(): Promise<void> {
    this.#isStopping = true;
    for (const service of [...this.#alive].reverse()) await service.stop();
  }

  #spawn(command: readonly string[], stdio: ('ignore' | 'pipe' | number)[]): ChildProcess {
    if (this.#isStopping) throw new Error('everything is being stopped');
    const [file, ...rest] = [...this.#prefix, ...command];
    return spawn(file!, rest, { stdio, detached: true, cwd: this.#logs });
  }
}

const STOP_PATIENCE_MS = 5000;

/** One started process and all that it starts. */
export class Service {
  readonly name: string;
  readonly pid: number;
  readonly #log: string | null;
  #ended = false;

  constructor(name: string, child: ChildProcess, log: string | null, forget: () => void) {
    this.name = name;
    this.pid = child.pid ?? -1;
    this.#log = log;
    const end = (): void => {
      this.#ended = true;
      forget();
    };
    child.once('exit', end);
    child.once('error', end);
  }

  get ended(): boolean {
    return this.#ended;
  }

  tree(): Identity[] {
    return this.pid < 0 ? [] : treeOf(this.pid);
  }

  lastWords(): string {
    if (this.#log === null) return '';
    return readFileSync(this.#log, 'utf8').trim().split('\n').slice(-3).join(' | ');
  }

  /** TERM to the first process; after five seconds KILL to whatever is left of the tree. */
  async stop(): Promise<void> {
    const members = this.tree();
    signal(this.pid, 'SIGTERM', members);
    const deadline = Date.now() + STOP_PATIENCE_MS;
    while (members.some(stillRuns) && Date.now() < deadline) await sleep(20);
    for (const it of members) signal(it.pid, 'SIGKILL', members);
    while (members.some(stillRuns) && Date.now() < deadline + STOP_PATIENCE_MS) await sleep(20);
  }
}

function stillRuns(it: Identity): boolean {
  return identify(it.pid)?.started === it.started;
}

function signal(pid: number, name: NodeJS.Signals, members: readonly Identity[]): void {
  const member = members.find((it) => it.pid === pid);
  if (member === undefined || !stillRuns(member)) return;
  try {
    process.kill(pid, name);
  } catch {
    // it ended between the look and the signal
  }
}

function binds(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      probe.close(() => resolve(true));
    });
  });
}

const PORT_TRIES = 500;
const LOWEST_PORT = 10_000;

/**
 * A TCP port of 127.0.0.1 that the kernel says is free, below the range from which it takes the
 * local ports of connections: there any of ten thousand idle clients might get it before the
 * server binds it.
 */
export async function freePort(): Promise<number> {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1');
  const low = Number(range.split(/\s+/)[0]);
  const highest = low > LOWEST_PORT + 1000 ? low : 65_536;
  for (let tries = 0; tries < PORT_TRIES; tries += 1) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (highest - LOWEST_PORT));
    if (await binds(port)) return port;
  }
  throw new Error(`no free port between ${LOWEST_PORT} and ${highest} in ${PORT_TRIES} tries`);
}
