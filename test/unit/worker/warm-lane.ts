/**
 * A program: warms up, then decides on a lane as large as a worker's, and says where that begins.
 * Run with --trace-deopt, what follows the line must not tell of code that was thrown away.
 */
import { LANES_MAX } from '../../../src/shm/plan.js';
import { ScratchLane } from '../../../src/worker/scratch-lane.js';
import { warmUp } from '../../../src/worker/warm-up.js';

const LARGE = {
  lanes: LANES_MAX,
  pools: 64,
  backends: 256,
  sessions: 10_000,
  links: 256,
  requests: 65_536,
  commands: 512,
  routeWords: 1 << 20,
  confBytes: 1 << 16,
  arenaBytes: 4 << 20,
  poolBytesMax: 16 * 2 ** 30,
};

warmUp();
process.stdout.write('\nwarm\n');
warmUp(new ScratchLane(LARGE));
