/** Why a system call failed, in the words of the operating system rather than of Node. */
import { getSystemErrorMap } from 'node:util';

export function getSystemErrorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno } = error as NodeJS.ErrnoException;
  return (errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1]) ?? error.message;
}
