/**
 * Waiting for a state instead of sleeping: a condition is polled until it holds or time is up.
 * The error names what was waited for, and what was seen last if the condition told it.
 */

const POLL_MS = 5;

/** Time a condition gets unless told otherwise; generous, because it costs only failing tests. */
export const PATIENCE_MS = 10_000;

/** Thrown by a condition that can never hold any more: ends the wait at once. */
export class Hopeless extends Error {}

/** A pause, for the few places where "nothing happens for a while" is the thing to be seen. */
export function pass(milliseconds: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}

/**
 * Resolves with the condition's first truthy value. `what` ends the sentence "waited for …".
 * An error thrown by the condition counts as "not yet" and is shown if time runs out.
 */
export async function waitFor<T>(
  what: string, condition: () => T | Promise<T>, patienceMs = PATIENCE_MS, pollMs = POLL_MS,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = performance.now() + patienceMs;
  let seen: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, false | null | undefined | 0 | ''>;
      seen = value;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      seen = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${patienceMs} ms for ${what}; last seen: ${String(seen)}`);
    }
    await pass(pollMs);
  }
}

/** Resolves as the promise does, or rejects after `patienceMs` naming what was waited for. */
export async function within<T>(
  what: string, promise: Promise<T>, patienceMs = PATIENCE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited ${patienceMs} ms for ${what}`));
    }, patienceMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
