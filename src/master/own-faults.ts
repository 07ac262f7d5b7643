/**
 * An error of ours that nobody caught is told in the log. It is a death as any other: the workers
 * serve on, and another master adopts them, or goes on alone; the mute parent starts one.
 */
import type { Logger } from '../base/log.js';

export function dieOfOwnFaults(log: Logger): void {
  process.on('uncaughtException', (error) => {
    log.fatal({ event: 'master_failed', err: error }, `internal error: ${error.stack}`);
    process.abort();
  });
}
