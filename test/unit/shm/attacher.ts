/** Attaches to the object at descriptor 3 as a process of its own, brings lane 0, and tells. */
import { bringLane, mayBring } from '../../../src/shm/bring-lane.js';
import { Segment } from '../../../src/shm/segment.js';

try {
  const segment = Segment.attach(3, Number(process.argv[2]));
  const told = {
    verdict: segment.verdict, listed: segment.listings().map(({ hash }) => hash),
    mayBring: mayBring(segment, 0), brought: bringLane(segment, 0),
    capacities: segment.plan.capacities,
  };
  process.stdout.write(JSON.stringify(told));
} catch (error) {
  process.stdout.write(JSON.stringify({ error: (error as Error).message }));
}
