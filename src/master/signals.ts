/**
 * Signals only set flags; the master's loop reads them, in the order in which nginx does. A flag
 * stays set until the loop has acted on it.
 */
import type { Logger } from '../base/log.js';

export interface SignalFlags {
  terminate: boolean; // TERM, INT: stop now
  quit: boolean; // QUIT: finish what is in flight, then stop
  reload: boolean; // HUP: read the configuration again
  reopen: boolean; // USR1: open the log anew
  upgrade: boolean; // USR2
  commit: boolean; // WINCH
}

const FLAG_OF: Readonly<Partial<Record<NodeJS.Signals, keyof SignalFlags>>> = {
  SIGTERM: 'terminate', SIGINT: 'terminate', SIGQUIT: 'quit', SIGHUP: 'reload', SIGUSR1: 'reopen',
  SIGUSR2: 'upgrade', SIGWINCH: 'commit',
};

/** Signals that have come, for the loop: each stays until it is taken. */
export class Pending {
  readonly #postponed = new Set<keyof SignalFlags>();

  constructor(private readonly flags: SignalFlags, private readonly log: Logger) {}

  has(flag: keyof SignalFlags): boolean {
    return this.flags[flag];
  }

  /** As if it had come. */
  raise(flag: keyof SignalFlags): void {
    this.flags[flag] = true;
  }

  /** Whether it has come; it is not there any more. */
  take(flag: keyof SignalFlags): boolean {
    const isSet = this.flags[flag];
    this.flags[flag] = false;
    this.#postponed.delete(flag);
    return isSet;
  }

  /** It can only be obeyed later; said once. */
  postpone(flag: keyof SignalFlags, event: string, line: string): void {
    if (this.#postponed.has(flag)) return;
    this.#postponed.add(flag);
    this.log.warn({ event }, line);
  }

  /** What it waited for will not come. Leaves one alone that was not postponed. */
  drop(flag: keyof SignalFlags, event: string, line: string): void {
    if (!this.#postponed.has(flag) || !this.take(flag)) return;
    this.log.error({ event }, line);
  }
}

export class Signals {
  readonly flags: SignalFlags = {
    terminate: false, quit: false, reload: false, reopen: false, upgrade: false, commit: false,
  };
  #changed = (): void => {};

  /** From now on no signal ends the process by itself, not even while it still opens things. */
  constructor() {
    for (const [signal, flag] of Object.entries(FLAG_OF)) {
      process.on(signal, () => {
        this.flags[flag] = true;
        this.#changed();
      });
    }
  }

  /** Calls `changed` after each signal, and once for those that have come already. */
  follow(changed: () => void): void {
    this.#changed = changed;
    changed();
  }
}
