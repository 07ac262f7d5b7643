/**
 * Tells the service manager that started Baton how it is (sd_notify(3)); nothing where there is
 * none. With NotifyAccess=all every master may, and the one in charge says MAINPID= of itself.
 */
import { native } from '../native/binding.js';

/** Stays in the environment: the next master notifies there, too. */
const socket = process.env['NOTIFY_SOCKET'];

/** Whether a service manager waits for word of this process. */
export const isNotified = socket !== undefined && socket !== '';

export type Notice =
  | { readonly kind: 'ready'; readonly pid: number } // this master serves and is in charge
  | { readonly kind: 'reloading' } // 'ready' must follow
  | { readonly kind: 'stopping' }
  | { readonly kind: 'status'; readonly text: string }; // one line, for `systemctl status`

/** The assignments of a notice; `monotonicUs` is now by CLOCK_MONOTONIC, in microseconds. */
export function noticeText(notice: Notice, monotonicUs: bigint): string {
  switch (notice.kind) {
    case 'ready':
      return `READY=1\nMAINPID=${notice.pid}`;
    case 'reloading':
      return `RELOADING=1\nMONOTONIC_USEC=${monotonicUs}`;
    case 'stopping':
      return 'STOPPING=1';
    case 'status':
      return `STATUS=${notice.text.replaceAll('\n', ' ')}`;
    default:
      return notice satisfies never;
  }
}

/** Never throws: a manager that does not listen is no reason to serve nobody. */
export function notify(notice: Notice): void {
  if (!isNotified) return;
  try {
    native.processNotify(socket!, noticeText(notice, process.hrtime.bigint() / 1000n));
  } catch {
    // Its socket is gone or full; there is nobody to tell that to.
  }
}
