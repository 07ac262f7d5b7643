/**
 * The other end of bench:micro's process.send: counts messages, and how long each took where it says
 * when it was sent. Says what it has found when all have come.
 */
import { nowNs } from './clock.js';

const expected = Number(process.argv[2]);
const latencies: number[] = [];
let count = 0;

process.on('message', ({ sent }: { readonly sent: number }) => {
  count += 1;
  if (sent > 0) latencies.push(nowNs() - sent);
  if (count === expected) process.send!({ ended: nowNs(), latencies });
});
process.on('disconnect', () => process.exit());
process.send!({ ready: true });
