/**
 * Hot restarts in the middle of which workers die: a reload, an upgrade that is committed, one that
 * is rolled back. It may fail, and then the old workers go on; what may not happen is that a client
 * notices, or that it ends neither done nor undone.
 *
 *   HUP │ USR2 ─► warm ─► canary ─► all ─► window ─► QUIT (commit) │ HUP, QUIT (roll back)
 *         └─ kills of whoever is there: serving, frozen, starting, about to claim ─┘
 */
import { WorkerState } from '../../src/shm/codes.js';
import type { Baton } from '../support/baton.js';
import { count, isAlone, isServedBy, masters } from '../support/hot-restart.js';
import { isAlive } from '../support/processes.js';
import type { Dice } from '../support/seed.js';
import { pass, waitFor } from '../support/wait-for.js';

export type Restart = 'reload' | 'commit' | 'roll back';

const PATIENCE_MS = 60_000;
const POLL_MS = 5;
const KILL_EVERY_MS = 400; // at most
const KILLS_MAX = 3; // of one restart: it should get somewhere now and then

export class Restarts {
  constructor(
    private readonly baton: Baton, private readonly dice: Dice,
    private readonly killed: (place: string) => void,
  ) {}

  /** Resolves when one master serves every lane with one worker each, as before. */
  async once(): Promise<void> {
    const restart = this.dice.pick<Restart>(['reload', 'reload', 'commit', 'roll back']);
    const killing = { isOver: false };
    const killer = this.#kill(restart, killing);
    try {
      if (restart === 'reload') await this.#reload();
      else await this.#upgrade(restart);
    } finally {
      killing.isOver = true;
      await killer;
    }
    await waitFor(`peace after a ${restart}`, () => this.#isPeaceful(), PATIENCE_MS, POLL_MS);
  }

  async #kill(restart: Restart, killing: { readonly isOver: boolean }): Promise<void> {
    const kills = this.dice.between(1, KILLS_MAX);
    for (let i = 0; i < kills && !killing.isOver; i += 1) {
      await pass(this.dice.below(KILL_EVERY_MS));
      const living = this.baton.crew().filter(({ state, pid }) =>
        state !== WorkerState.Ended && pid > 0 && isAlive(pid));
      if (living.length === 0 || killing.isOver) continue;
      const { pid, state } = this.dice.pick(living);
      process.kill(pid, 'SIGKILL');
      this.killed(`${restart}:${NAMES[state]}`);
      await waitFor('it to be dead', () => !isAlive(pid), PATIENCE_MS, POLL_MS);
    }
  }

  async #reload(): Promise<void> {
    const ends = (): number => count(this.baton, 'drained') + count(this.baton, 'reload_failed')
      + count(this.baton, 'reload_refused');
    const before = ends();
    process.kill(this.baton.pid, 'SIGHUP');
    await waitFor('the reload to end', () => ends() > before, PATIENCE_MS, POLL_MS);
  }

  async #upgrade(restart: Restart): Promise<void> {
    const old = this.baton.pid;
    const failures = (): number => ['upgrade_failed', 'upgrade_refused', 'rolled_back', 'upgrade_over']
      .reduce((sum, event) => sum + count(this.baton, event), 0);
    const before = failures();
    process.kill(old, 'SIGUSR2');
    const isDone = (): boolean => {
      const next = this.baton.pidIn(this.baton.pidFile);
      return next !== null && next !== old && isServedBy(this.baton, next);
    };
    await waitFor('the upgrade to end', () => isDone() || failures() > before, PATIENCE_MS, POLL_MS);
    if (failures() > before) return;
    const next = this.baton.pid;
    if (restart === 'commit') {
      process.kill(old, 'SIGQUIT');
      return;
    }
    process.kill(old, 'SIGHUP');
    await waitFor('the old master to serve', () => isServedBy(this.baton, old), PATIENCE_MS, POLL_MS);
    if (isAlive(next)) process.kill(next, 'SIGQUIT');
  }

  #isPeaceful(): boolean {
    const { baton } = this;
    const master = baton.pidIn(baton.pidFile);
    return master !== null && baton.pidIn(baton.oldPidFile) === null && isServedBy(baton, master)
      && isAlone(baton) && masters(baton).length === 1;
  }
}

const NAMES = ['Free', 'Starting', 'Ready', 'Serving', 'Frozen', 'Ended'];
