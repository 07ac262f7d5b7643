/**
 * The descriptors that a child gets beside 0 to 2, and the numbers that they have there. Everything
 * in a master is close-on-exec: what is not listed here does not reach the child.
 */
import type { StdioOptions } from 'node:child_process';

const FIRST = 3;

export class FdList {
  readonly #fds: (number | 'pipe')[] = [];

  /** Lists a descriptor of this process; returns its number in the child. */
  add(fd: number): number {
    return this.#fds.push(fd) + FIRST - 1;
  }

  /** A socket pair between this process (child.stdio[number]) and the child. */
  addPipe(): number {
    return this.#fds.push('pipe') + FIRST - 1;
  }

  stdio(stdin: 'ignore', stdout: 'ignore' | 'inherit', stderr: 'ignore' | 'inherit' | 'pipe',
  ): StdioOptions {
    return [stdin, stdout, stderr, ...this.#fds];
  }
}
