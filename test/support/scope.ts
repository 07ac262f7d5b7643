/**
 * Whatever cleans up after a test: a tap test, or tap itself for things a whole file shares.
 * Teardowns run in reverse order, and one that throws fails the test.
 */
export interface Scope {
  teardown(run: () => unknown): void;
}
