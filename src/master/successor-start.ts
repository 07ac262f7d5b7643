/**
 * Starts the new master of an upgrade: the program by the name that the operator typed, from what is
 * on disk now, with everything that this master holds.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { FdList } from './fd-list.js';
import { pack } from './handover.js';
import type { Office } from './office.js';
import { PARENT_LINE_VARIABLE } from './parent-line.js';
import { howToExec } from './typed-command.js';

export interface SuccessorStart {
  readonly child: ChildProcess;
  readonly stream: Readable | Writable; // both: the channel
}

/** Throws what starting a process throws. A program that does not exist is an 'error' of the child. */
export function startSuccessor(office: Office): SuccessorStart {
  const { house, parent, isBackground, priority } = office;
  const { command, args, cwd, argv0 } = howToExec();
  const fds = new FdList();
  const handover = pack(house, isBackground, priority.usual, fds);
  const parentLine = parent === null ? {} : { [PARENT_LINE_VARIABLE]: String(fds.add(parent.fd)) };
  const child = spawn(command, [...args], {
    cwd,
    argv0,
    // In the background there is no terminal to complain on: what it says is logged here.
    stdio: fds.stdio('ignore', isBackground ? 'ignore' : 'inherit',
      isBackground ? 'pipe' : 'inherit'),
    env: { ...process.env, ...handover, ...parentLine },
  });
  if (child.pid !== undefined) priority.lower(child.pid);
  return { child, stream: child.stdio[CHANNEL]! };
}

/** The first descriptor that pack() lists. */
const CHANNEL = 3;
