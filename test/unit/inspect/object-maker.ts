/** Started by made-object.ts: makes an object of that name, and ends. */
import { Segment } from '../../../src/shm/segment.js';
import { CAPACITIES } from './made-object.js';

Segment.create(process.argv[2]!, CAPACITIES).openLane(0);
