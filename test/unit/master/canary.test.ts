/**
 * Goal: an upgrade is stopped for what a broken program does, and not for what happens anyway.
 * Method: counts of the canary lane, of its past and of its neighbours go in, a verdict comes out.
 */
import t from 'tap';
import { judge, type CanarySample } from '../../../src/master/canary.js';

const quiet: CanarySample = { requests: 0, errors: 0, latencyUs: 0 };
const well: CanarySample = { requests: 100_000, errors: 10, latencyUs: 1500 };

t.test('nothing to see: well', async (t) => {
  t.ok(judge(quiet, quiet, null).isWell);
  t.ok(judge(quiet, well, well).isWell);
  t.ok(judge(well, well, well).isWell);
  t.match(judge(well, well, null).why, '100000 requests, 10 errors, 99 % within 1.5 ms');
});

t.test('errors where there were none', async (t) => {
  const verdict = judge({ requests: 1000, errors: 40, latencyUs: 1000 }, well, null);
  t.notOk(verdict.isWell);
  t.equal(verdict.why, '40 errors in 1000 requests, 4.0 % where 0.0 % are usual');
});

t.test('a few errors may come by chance, however few the requests', async (t) => {
  t.ok(judge({ requests: 19, errors: 19, latencyUs: 1000 }, well, null).isWell);
  t.notOk(judge({ requests: 20, errors: 20, latencyUs: 1000 }, well, null).isWell);
});

t.test('sessions that are closed count, also without a request', async (t) => {
  t.notOk(judge({ requests: 0, errors: 50, latencyUs: 0 }, quiet, null).isWell);
});

t.test('errors that the other lanes have, too, are the server\'s', async (t) => {
  const failing: CanarySample = { requests: 1000, errors: 300, latencyUs: 1000 };
  t.notOk(judge(failing, well, well).isWell);
  t.ok(judge(failing, well, { requests: 5000, errors: 1400, latencyUs: 1000 }).isWell);
  t.ok(judge(failing, failing, well).isWell, 'or those it had before');
});

t.test('a lane that has become slow', async (t) => {
  const slow: CanarySample = { requests: 5000, errors: 0, latencyUs: 40_000 };
  t.match(judge(slow, well, well), { isWell: false, why: /40\.0 ms where 1\.5 ms are usual/ });
  t.ok(judge({ ...slow, requests: 900 }, well, null).isWell, 'too few to say');
  t.ok(judge(slow, { ...well, requests: 900 }, null).isWell, 'too few to compare with');
  t.ok(judge(slow, well, { ...well, latencyUs: 30_000 }).isWell, 'they all have');
  t.ok(judge({ ...slow, latencyUs: 25_000 }, well, null).isWell, 'within bounds');
});
