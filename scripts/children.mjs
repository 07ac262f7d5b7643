/**
 * Programs that run beside us for a while, and are gone when we are.
 *
 * Each gets a process group of its own, so that Ctrl-C in the terminal reaches only us and we
 * can stop them in order; where setpriv exists, the kernel tells them to stop even if we are
 * killed without a chance to do it ourselves. What a child starts in groups of its own (Baton's
 * masters and workers) ends with it, and is gone when nobody holds the pipes of its output.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { which } from './run.mjs';

const LAST_LINES = 12; // of output, shown when a child dies by itself
const TERM_GRACE_MS = 10_000;
const POLL_MS = 20;

/** `setpriv --pdeathsig TERM --`, if there is one that knows it. */
function deathSignalPrefix() {
  const prefix = ['setpriv', '--pdeathsig', 'TERM', '--'];
  if (which('setpriv') === undefined) return [];
  return spawnSync(prefix[0], [...prefix.slice(1), 'true']).status === 0 ? prefix : [];
}

let prefix;

export class Child {
  #leader;
  #closed; // resolves when the last process that writes to its output is gone

  /** `onLine` receives each line of output. `exited` resolves to how it ended, in words. */
  constructor(title, command, args, onLine = () => {}) {
    prefix ??= deathSignalPrefix();
    this.title = title;
    this.lastLines = [];
    const [program, ...rest] = [...prefix, command, ...args];
    const child = spawn(program, rest, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#leader = child.pid;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.lastLines.push(line);
        if (this.lastLines.length > LAST_LINES) this.lastLines.shift();
        onLine(line);
      });
    }
    this.#closed = new Promise((resolve) => child.on('close', resolve));
    this.exited = new Promise((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }

  get pid() {
    return this.#leader;
  }

  /** TERM, after a grace KILL; resolves when the whole group is gone, and what it has started. */
  async stop() {
    if (this.#leader === undefined) return;
    const deadline = Date.now() + TERM_GRACE_MS;
    this.#signal('SIGTERM');
    while (this.#signal(0)) {
      if (Date.now() > deadline) this.#signal('SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    await new Promise((resolve) => {
      const patience = setTimeout(resolve, TERM_GRACE_MS);
      this.#closed.then(() => {
        clearTimeout(patience);
        resolve();
      });
    });
  }

  kill() {
    this.#signal('SIGKILL');
  }

  /** False when nobody is left in the group. */
  #signal(signal) {
    if (this.#leader === undefined) return false;
    try {
      process.kill(-this.#leader, signal);
      return true;
    } catch {
      return false;
    }
  }
}
