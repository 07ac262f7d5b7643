/** States as words for people, in the order of src/shm/codes.ts. */
export const LANE_STATES = ['free', 'starting', 'serving', 'draining', 'stopped'] as const;
export const OWNER_STATES = ['nobody', 'serving', 'frozen', 'abandoned'] as const;
export const WORKER_STATES = ['free', 'starting', 'ready', 'serving', 'frozen', 'ended'] as const;
export const UNIT_CLASSES = ['node', 'chunk'] as const;

/** A value that no state has is shown as the number that it is. */
export function nameOf(names: readonly string[], state: number): string {
  return names[state] ?? String(state);
}

export function hex(hash: number): string {
  return (hash >>> 0).toString(16).padStart(8, '0');
}
