/**
 * Keeps the keepers of an adopted instance waiting: each counts its patience from when somebody
 * asked it last, and new workers may take longer to get warm than orphan_timeout is.
 */
import { native } from '../native/binding.js';
import type { Instance } from './instance.js';
import type { LaneGears } from './lane-gear.js';

const ANSWER_MS = 100;
const EVERY_MS_MAX = 5000;
const EVERY_MS_MIN = 50;
const PART = 4; // of their patience

/** Until `isOver` says so. Keeps no process alive. */
export function pokeKeepers(
  instance: Instance, gears: LaneGears, isOver: () => boolean,
): void {
  const { orphanTimeoutMs } = instance.roster.settings.global;
  const everyMs = Math.min(EVERY_MS_MAX, Math.max(EVERY_MS_MIN, orphanTimeoutMs / PART));
  const timer = setInterval(() => {
    if (isOver()) return clearInterval(timer);
    for (const { lane } of gears.all) poke(instance.dockName(lane), instance.bellNumber);
  }, everyMs);
  timer.unref();
}

function poke(dock: string | null, number: number): void {
  if (dock === null) return;
  try {
    native.processFetch(dock, [number], ANSWER_MS).forEach((fd) => native.socketClose(fd));
  } catch {
    // It has nothing to keep, or a worker has just taken the lane.
  }
}
