/**
 * Goal: the mute parent knows its masters, whatever they say in whatever pieces, forwards to the
 *   right ones, and ends with the code of the last.
 */
import t from 'tap';
import { Masters } from '../../../src/cli/masters.js';

function hearing(...lines: string[]): Masters {
  const masters = new Masters();
  for (const line of lines) masters.hear(`${line}\n`);
  return masters;
}

t.test('nobody is there until he says so', async (t) => {
  const masters = new Masters();
  t.equal(masters.isReady, false);
  t.same(masters.receivers('SIGTERM'), []);
  t.same(masters.receivers('SIGHUP'), []);
  t.equal(masters.lastCode, null);
  masters.hear('here 7\n');
  t.equal(masters.isReady, true);
  t.same(masters.receivers('SIGHUP'), [7], 'the first one, even before it serves');
});

t.test('lines come in pieces', async (t) => {
  const masters = new Masters();
  for (const piece of ['he', 're 7\nser', 'ving', ' 7\nhere 1', '2\nserving 12', '\n']) {
    masters.hear(piece);
  }
  t.same(masters.pids, [7, 12]);
  t.same(masters.receivers('SIGUSR2'), [12]);
});

t.test('what ends it is for all, the rest for the one in charge', async (t) => {
  const masters = hearing('here 7', 'serving 7', 'here 9');
  t.same(masters.receivers('SIGHUP'), [7], 'the new one does not serve yet');
  masters.hear('serving 9\n');
  for (const signal of ['SIGHUP', 'SIGUSR2'] as const) t.same(masters.receivers(signal), [9]);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGWINCH'] as const) {
    t.same(masters.receivers(signal), [7, 9], signal);
  }
  masters.hear('serving 7\n');
  t.same(masters.receivers('SIGHUP'), [7], 'after a roll back');
});

t.test('the one in charge has died without a word', async (t) => {
  const masters = hearing('here 7', 'serving 7', 'here 9', 'serving 9');
  masters.end(9, 137);
  t.same(masters.receivers('SIGHUP'), [7], 'whoever is left gets it');
  masters.end(7, 0);
  t.same(masters.receivers('SIGHUP'), []);
});

t.test('whoever is collected last, the code of the one that served counts', async (t) => {
  const masters = hearing('here 7', 'serving 7', 'here 9', 'serving 9');
  masters.end(9, 137);
  masters.end(7, 0);
  t.equal(masters.lastCode, 137, 'both had ended when the first was collected');
  const back = hearing('here 7', 'serving 7', 'here 9', 'serving 9', 'ended 9 1', 'serving 7');
  back.end(7, 0);
  t.equal(back.lastCode, 0, 'after a roll back the old one serves');
});

t.test('the code of the last one counts, and what the kernel says of it', async (t) => {
  t.equal(hearing('here 7', 'here 9', 'ended 9 1', 'ended 7 0').lastCode, 0);
  t.equal(hearing('here 7', 'here 9', 'ended 7 0', 'ended 9 1').lastCode, 1);
  const masters = hearing('here 7', 'here 9', 'ended 7 0', 'ended 9 0');
  masters.end(9, 139);
  t.equal(masters.lastCode, 139, 'it said that it would end well, and crashed');
  masters.end(7, 3);
  masters.end(55, 4);
  t.equal(masters.lastCode, 139, 'neither one that ended before nor an orphan');
});

t.test('words of a later version are nothing to this one', async (t) => {
  const masters = hearing('here 7', 'dreaming 7', '', 'ended', 'serving 7 well');
  t.same(masters.pids, [7]);
  t.equal(masters.lastCode, null);
});
