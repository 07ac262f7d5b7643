/**
 * What a master gives to the one that takes its place: as JSON in the environment, the descriptors
 * under the numbers that they have in the new process. Of a dead master, the new one gathers the
 * same by itself (adoption.ts). The format belongs to two programs of
 * different versions: fields are added, never changed.
 */
import { writeSync } from 'node:fs';
import type { Admin, AdminHandover } from '../admin/server.js';
import { OperatorError } from '../base/errors.js';
import { VERSION } from '../base/version.js';
import { native } from '../native/binding.js';
import { FdList } from './fd-list.js';
import type { Instance } from './instance.js';
import { gearFds, type LaneGear, type LaneGears } from './lane-gear.js';
import type { ListenerHandover, Listeners } from './listeners.js';
import type { PidFile } from './pid-file.js';

const VARIABLE = 'BATON_UPGRADE';
export const FORMAT = 1;

export interface Handover {
  readonly format: number;
  readonly version: string; // of the program that hands over
  readonly masterPid: number;
  readonly isBackground: boolean;
  readonly niceness: number; // of what serves; the new process starts with less priority
  readonly channelFd: number | null; // to the old master (src/master/channel.ts); null: he is dead
  readonly shm: { readonly fd: number; readonly bytes: number; readonly name: string | null };
  readonly pidFile: { readonly path: string; readonly lockFd: number } | null;
  readonly gears: readonly LaneGear[];
  readonly listeners: readonly ListenerHandover[];
  readonly admin: readonly AdminHandover[];
}

/** What a master holds that the next one goes on with. */
interface Belongings {
  readonly instance: Instance;
  readonly pidFile: PidFile | null;
  readonly gears: LaneGears;
  readonly listeners: Listeners;
  readonly admin: Admin;
}

/** For the child that gets `fds`: the environment variable that says what they are. */
export function pack(
  belongings: Belongings, isBackground: boolean, niceness: number, fds: FdList,
): NodeJS.ProcessEnv {
  const { instance, pidFile, gears, listeners, admin } = belongings;
  const handover: Handover = {
    format: FORMAT,
    version: VERSION,
    masterPid: process.pid,
    isBackground,
    niceness,
    channelFd: fds.addPipe(),
    shm: { fd: fds.add(instance.shmFd), bytes: instance.bytes, name: instance.name },
    pidFile: pidFile === null ? null
      : { path: pidFile.path, lockFd: fds.add(pidFile.lockFd) },
    gears: gears.all.map(({ lane, ...gear }) => ({
      lane,
      epollFd: fds.add(gear.epollFd),
      bellFd: fds.add(gear.bellFd),
      keeperFd: fds.add(gear.keeperFd),
      claimFd: fds.add(gear.claimFd),
      ...(gear.dockFd === undefined ? {} : { dockFd: fds.add(gear.dockFd) }),
    })),
    listeners: listeners.describe().map((listener) =>
      ({ ...listener, fds: listener.fds.map((fd) => fds.add(fd)) })),
    admin: admin.describe().map((port) => ({ ...port, fd: fds.add(port.fd) })),
  };
  return { [VARIABLE]: JSON.stringify(handover) };
}

/** Whether this process was started to take the place of a running master. */
export function isSuccessor(): boolean {
  return process.env[VARIABLE] !== undefined;
}

/**
 * What this process was given; null when it is the first master. To be called once: its children
 * must neither inherit the descriptors by chance nor take themselves for a successor.
 */
export function unpack(): Handover | null {
  const handover = parse();
  if (handover === null) return null;
  delete process.env[VARIABLE];
  native.processCloseOnExec(descriptorsOf(handover));
  if (handover.format === FORMAT) return handover;
  throw new OperatorError('handover', [`the running master (${handover.version}) hands over in ` +
    `format ${handover.format}, this program reads ${FORMAT}: a full restart is needed`]);
}

/** Tells the running master why there will be no upgrade. Does nothing in a first master. */
export function refuseHandover(lines: readonly string[]): void {
  const fd = channelFd ?? parse()?.channelFd ?? null;
  if (fd === null) return;
  try {
    writeSync(fd, `${JSON.stringify({ is: 'refused', why: lines })}\n`);
  } catch {
    // He is gone as well; the lines are on standard error.
  }
}

let channelFd: number | null = null;

function parse(): Handover | null {
  const text = process.env[VARIABLE];
  if (text === undefined) return null;
  const handover = JSON.parse(text) as Handover;
  channelFd = handover.channelFd;
  return handover;
}

function descriptorsOf({ channelFd, shm, pidFile, gears, listeners, admin }: Handover): number[] {
  return [
    ...(channelFd === null ? [] : [channelFd]), shm.fd,
    ...(pidFile === null ? [] : [pidFile.lockFd]),
    ...gears.flatMap(gearFds),
    ...listeners.flatMap(({ fds }) => fds),
    ...admin.map(({ fd }) => fd),
  ];
}
