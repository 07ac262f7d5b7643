/**
 * A master that starts and finds what a dead one has left: workers that serve on, keepers that keep
 * the connections of dead ones, and their object. It gathers what the dead master would have handed
 * over, and goes on as a new master of an upgrade does whose old one has died (succession.ts).
 *
 *   object by its name ─ fit for this version? ─ idle workers end ─ keepers asked at their docks
 *        │ no                                                             │ all silent
 *        ▼                                                                ▼
 *   workers serve: refuse to start, say why            nobody serves: say why, end keepers, start cold
 */
import { getPriority } from 'node:os';
import { birthOf } from '../base/process-state.js';
import { ExitCode, OperatorError, systemReason } from '../base/errors.js';
import { parseTcpAddress, Wrong } from '../config/addresses.js';
import type { Roster, RosterListener } from '../config/roster.js';
import type { ListenAddress, Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { FD_BASE } from './capacities.js';
import { workerCount } from './worker-count.js';
import { FORMAT, type Handover } from './handover.js';
import type { LaneGear } from './lane-gear.js';
import { LeftInstance, type LeftLane, type LeftProcess } from './left-instance.js';
import { describeListener, type ListenerHandover, type Tell } from './listeners.js';
import { dockName } from './memory.js';
import type { PidFile } from './pid-file.js';
import { identityOf } from './spawn.js';

const LOOK_EVERY_MS = 20;
/** Workers that own nothing end by themselves when their master has died. */
const IDLE_PATIENCE_MS = 3000;
const FETCH_MS = 2000;
/** A worker whose keeper has died starts another one at once; one that may have none ends. */
const GATHER_PATIENCE_MS = 2000;
const END_PATIENCE_MS = 1000;
/** Numbers of a lane's gear below FD_BASE, as native/lane.h has them. */
const [DOCK, EPOLL, KEEPER, CLAIM] = [FD_BASE - 4, FD_BASE - 3, FD_BASE - 2, FD_BASE - 1];

/** What one lane's keeper has given. */
interface Gathered {
  readonly gear: LaneGear;
  readonly sockets: ReadonlyMap<number, number>; // listener id → descriptor
}

/**
 * Null: there is nothing to adopt, or nothing that could be; whatever lived of it has ended then.
 * Throws OperatorError when workers serve that cannot be adopted.
 */
export async function adopt(
  settings: Settings, pidFile: PidFile, tell: { readonly info: Tell; readonly warn: Tell },
): Promise<Handover | null> {
  const left = LeftInstance.find(pidFile.path);
  if (left === null) return null;
  const handover = await new Adoption(left, settings, pidFile, tell.warn).run();
  if (handover === null) left.close();
  else tell.info('adopting', { masterPid: handover.masterPid, lanes: handover.gears.length },
    `the master (pid ${handover.masterPid}, version ${handover.version}) is dead: adopting its ` +
    `${handover.gears.length} lane(s) from shared memory ${left.name}`);
  return handover;
}

class Adoption {
  constructor(
    private readonly left: LeftInstance, private readonly settings: Settings,
    private readonly pidFile: PidFile, private readonly warn: Tell,
  ) {}

  async run(): Promise<Handover | null> {
    const { left } = this;
    if (left.processes().length === 0) return null;
    const damage = left.damage(uidsOf(this.settings));
    if (damage !== '') return this.#giveUp(damage);
    await this.#awaitIdle();
    const gathered = await this.#gatherAll();
    if (gathered.length > 0) return this.#handoverOf(gathered);
    return this.#giveUp('no keeper answers at its docks');
  }

  /** What a dead master's reload or upgrade has begun is not gone on with. */
  async #awaitIdle(): Promise<void> {
    const until = performance.now() + IDLE_PATIENCE_MS;
    const idle = (): LeftProcess[] => {
      const owners = new Set(this.left.lanes().map(({ ownerPid }) => ownerPid));
      return this.left.processes().filter(({ pid, isKeeper }) => !isKeeper && !owners.has(pid));
    };
    // A standby would wait on; it owns nothing, whatever it is about to take.
    for (const each of idle()) if (each.isStandby) kill(each);
    let found = idle();
    while (found.length > 0 && performance.now() < until) {
      await pause();
      found = idle();
    }
    for (const each of found) kill(each);
  }

  async #gatherAll(): Promise<Gathered[]> {
    const gathered: Gathered[] = [];
    for (const { lane } of this.left.lanes()) {
      const one = await this.#gatherOne(lane);
      if (one !== null) gathered.push(one);
    }
    return gathered;
  }

  /** Null: its connections are lost, or it has none. */
  async #gatherOne(lane: number): Promise<Gathered | null> {
    let why = '';
    const until = performance.now() + GATHER_PATIENCE_MS;
    while (performance.now() < until) {
      const { ownerPid, keeperPid } = this.left.lanes().find((each) => each.lane === lane)!;
      if (ownerPid === 0) return null; // it was given back, empty
      if (birthOf(ownerPid) === null && birthOf(keeperPid) === null) {
        why = 'its worker and its keeper are dead';
        break;
      }
      try {
        const found = this.#fetch(lane);
        if (found !== null) return found;
        why = 'its keeper lacks descriptors';
      } catch (error) {
        why = `its keeper does not answer: ${systemReason(error)}`;
      }
      await pause();
    }
    this.warn('lane_not_adopted', { worker: lane, why },
      `lane ${lane} cannot be adopted, its connections end: ${why}`);
    for (const each of this.left.processes()) {
      if (each.pid === this.#ownerOf(lane)?.ownerPid) kill(each);
    }
    return null;
  }

  #ownerOf(lane: number): LeftLane | undefined {
    return this.left.lanes().find((each) => each.lane === lane);
  }

  /** Throws what asking at the dock throws. */
  #fetch(lane: number): Gathered | null {
    const { left } = this;
    const { sessions, links, pools } = left.plan.capacities;
    const listenersAt = FD_BASE + sessions + links;
    const ids = left.roster!.listeners.map(({ id }) => id);
    const numbers = [DOCK, EPOLL, KEEPER, CLAIM, listenersAt + pools,
      ...ids.map((id) => listenersAt + id)];
    const name = dockName(left.name, left.startedAt, lane);
    const [dockFd, epollFd, keeperFd, claimFd, bellFd, ...sockets] =
      native.processFetch(name, numbers, FETCH_MS) as [number, number, number, number, number];
    if (Math.min(dockFd, epollFd, keeperFd, claimFd, bellFd) < 0) {
      [dockFd, epollFd, keeperFd, claimFd, bellFd, ...sockets].forEach(close);
      return null;
    }
    const open = ids.map((id, i) => [id, sockets[i]!] as const).filter(([, fd]) => fd >= 0);
    return { gear: { lane, dockFd, epollFd, keeperFd, claimFd, bellFd }, sockets: new Map(open) };
  }

  #handoverOf(gathered: readonly Gathered[]): Handover {
    const { left, pidFile } = this;
    const roster = left.roster!;
    return {
      format: FORMAT,
      version: left.version,
      masterPid: left.masterPid,
      isBackground: false, // whoever starts this master waits for it at a terminal
      niceness: getPriority(),
      channelFd: null,
      shm: { fd: left.fd, bytes: left.plan.bytes, name: left.name },
      pidFile: { path: pidFile.path, lockFd: pidFile.lockFd },
      gears: gathered.map(({ gear }) => gear),
      listeners: roster.listeners.flatMap((each) => listenerOf(each, roster, gathered)),
      admin: [], // only the dead master had them
    };
  }

  async #giveUp(why: string): Promise<null> {
    const { pidFile, warn } = this;
    const processes = this.left.processes();
    const workers = processes.filter(({ isKeeper, isStandby }) => !isKeeper && !isStandby)
      .map(({ pid }) => pid);
    if (workers.length > 0) {
      throw new OperatorError('cannot-adopt', [`${pidFile.path}: the master is dead, its workers ` +
        `(pid ${workers.join(', ')}) serve on, and this program cannot adopt them: ${why}; stop ` +
        'them first: baton -s stop'], ExitCode.Failed);
    }
    warn('not_adopted', { why }, `what a dead master has left cannot be adopted: ${why}`);
    await endAll(processes);
    return null;
  }
}

/** Kills all of them and waits until they are gone. */
export async function endAll(processes: readonly LeftProcess[]): Promise<void> {
  for (const each of processes) kill(each);
  const until = performance.now() + END_PATIENCE_MS;
  while (processes.some(isThere) && performance.now() < until) await pause();
}

export function isThere({ pid, birth }: LeftProcess): boolean {
  return birthOf(pid) === birth;
}

export function kill(each: LeftProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    if (isThere(each)) process.kill(each.pid, signal);
  } catch {
    // It has just ended.
  }
}

/** Who may own an instance's object: root, who starts this, and who workers run as. */
function uidsOf(settings: Settings): number[] {
  const { user, group } = identityOf(settings.global);
  const ours = [0, process.geteuid!()];
  return user === undefined ? ours : [...ours, native.processIdentity(user, group ?? null).uid];
}

/** A listener of the roster, with one socket for each lane, or one for all; none: it is gone. */
function listenerOf(
  { id, key, pool, isRetired }: RosterListener, roster: Roster, gathered: readonly Gathered[],
): ListenerHandover[] {
  const settings = roster.pools.find((each) => each.id === pool)?.settings;
  const found = gathered.flatMap(({ gear, sockets }) => {
    const fd = sockets.get(id);
    return fd === undefined ? [] : [{ lane: gear.lane, fd }];
  });
  const listen = addressOf(key);
  if (settings === undefined || listen === null || found.length === 0) {
    found.forEach(({ fd }) => close(fd));
    return [];
  }
  const lanes = workerCount(roster.settings);
  const what = { id, key, listen: isRetired ? listen : settings.listen, isRetired };
  return [describeListener(what, settings, roster.settings, found, lanes)];
}

function addressOf(key: string): ListenAddress | null {
  if (key.startsWith('/')) return { kind: 'unix', path: key, text: key };
  const address = parseTcpAddress(key);
  return address instanceof Wrong ? null : address;
}

function close(fd: number): void {
  if (fd >= 0) native.socketClose(fd);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
}
