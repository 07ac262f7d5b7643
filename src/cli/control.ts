/** -s: finds the running master by its pid file and sends it a signal. */
import { readFileSync } from 'node:fs';
import { ExitCode, OperatorError, systemCode, systemReason } from '../base/errors.js';
import { readPid } from '../master/pid-file.js';
import type { SignalName } from './args.js';

const SIGNAL_OF: Readonly<Record<SignalName, NodeJS.Signals>> = {
  stop: 'SIGTERM', quit: 'SIGQUIT', reopen: 'SIGUSR1', reload: 'SIGHUP',
};

/** Throws OperatorError when there is no master to tell. `pidFile` null: none is configured. */
export function signalMaster(name: SignalName, pidFile: string | null): void {
  if (pidFile === null) {
    throw new OperatorError('no-pid-file',
      [`-s ${name}: which master? say -p FILE, or "pid" in the configuration`]);
  }
  const pid = readPid(pidFile);
  if (pid === null) {
    throw notRunning(`${pidFile}: no pid file, Baton is not running (or has another one)`);
  }
  // Pids are reused: a signal to whoever has it now could kill a stranger.
  if (!titleOf(pid).startsWith('baton: master process')) {
    throw notRunning(`${pidFile}: pid ${pid} is not a running Baton, the pid file is stale`);
  }
  try {
    process.kill(pid, SIGNAL_OF[name]);
  } catch (error) {
    const isForeign = systemCode(error) === 'EPERM';
    const reason = isForeign ? 'it belongs to another user' : systemReason(error);
    throw notRunning(`pid ${pid} cannot be signalled: ${reason}`);
  }
}

function notRunning(line: string): OperatorError {
  return new OperatorError('not-running', [line], ExitCode.Failed);
}

/** What ps shows of a process; '' when there is none. */
function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
