/**
 * Goal: a signal stays until it is obeyed; one that has to wait is said once, and dropped aloud when
 *   what it waited for does not come.
 * Method: flags are set by hand, a log remembers.
 */
import t from 'tap';
import type { Logger } from '../../../src/base/log.js';
import { Pending, type SignalFlags } from '../../../src/master/signals.js';

function begin() {
  const flags: SignalFlags = {
    terminate: false, quit: false, reload: false, reopen: false, upgrade: false, commit: false,
  };
  const lines: string[] = [];
  const add = ({ event }: { event: string }): void => { lines.push(event); };
  const log = { warn: add, error: add } as unknown as Logger;
  return { flags, lines, pending: new Pending(flags, log) };
}

t.test('taken once', async (t) => {
  const { flags, pending } = begin();
  t.notOk(pending.take('reload'));
  flags.reload = true;
  t.ok(pending.has('reload'));
  t.ok(pending.take('reload'));
  t.notOk(pending.take('reload'));
});

t.test('postponed: said once, there until it is taken', async (t) => {
  const { flags, lines, pending } = begin();
  flags.quit = true;
  for (let i = 0; i < 3; i += 1) pending.postpone('quit', 'quit_waits', '');
  t.same(lines, ['quit_waits']);
  t.ok(pending.take('quit'));
  flags.quit = true;
  pending.postpone('quit', 'quit_waits', '');
  t.same(lines, ['quit_waits', 'quit_waits'], 'the next one is another');
});

t.test('only what was postponed is dropped', async (t) => {
  const { flags, lines, pending } = begin();
  flags.quit = true;
  pending.drop('quit', 'quit_not_done', '');
  t.ok(pending.has('quit'), 'it came later and means something else');
  pending.postpone('quit', 'quit_waits', '');
  pending.drop('quit', 'quit_not_done', '');
  pending.drop('quit', 'quit_not_done', '');
  t.notOk(pending.has('quit'));
  t.same(lines, ['quit_waits', 'quit_not_done']);
});
