/**
 * Signals only set flags; the master's loop reads them, in the order in which nginx does. A flag
 * stays set until the loop has acted on it.
 */
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

/** Flags that signals set from now on; `changed` is called after each. */
export function watchSignals(changed: () => void): SignalFlags {
  const flags: SignalFlags = {
    terminate: false, quit: false, reload: false, reopen: false, upgrade: false, commit: false,
  };
  for (const [signal, flag] of Object.entries(FLAG_OF)) {
    process.on(signal, () => {
      flags[flag] = true;
      changed();
    });
  }
  return flags;
}
