/** What ends a bench early: Ctrl-C, TERM, HUP. */
import { rmSync } from 'node:fs';
import type { Processes } from './processes.js';

/** A signal stops what runs, leaves nothing behind and exits with 130; `requested` says that it came. */
export function stopOnSignals(
  processes: Processes, folder: string, say: (line: string) => void,
): { requested: boolean } {
  const state = { requested: false };
  const end = (): void => {
    if (state.requested) return;
    state.requested = true;
    say('bench: interrupted, stopping everything');
    void processes.stopAll().finally(() => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(130);
    });
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, end);
  return state;
}
