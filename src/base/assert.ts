/**
 * Our own assert: always on, constant messages only, so that it costs a compare on the hot path.
 * A failed assertion is our bug: the worker dies and another takes its place, rather than a wrong answer.
 */
export function assert(condition: boolean, truthThatShouldHold: string): asserts condition {
  if (!condition) fail(truthThatShouldHold);
}

/** Ends the control flow at a place that cannot be reached. */
export function fail(truthThatShouldHold: string): never {
  throw new Error(`assertion failed: ${truthThatShouldHold}`);
}
