/** Which layouts may share an instance, and what the refusal says when they may not. */
import t from 'tap';
import { compare } from '../../../src/shm/compatibility.js';
import { listingOf, type Listing } from '../../../src/shm/directory.js';
import { tables } from '../../../src/shm/layout.js';
import { table } from '../../../src/shm/schema.js';
import {
  add, addAfter, addFirst, layoutWith, openedInMs, remove, replace, same,
} from './layouts.js';

const refusalOf = (running: Listing, mine: Listing, wasHere = false): string => {
  const { change, line } = compare(running, mine, wasHere);
  t.equal(change === 'refused', line !== '');
  t.notMatch(line, /\n/);
  return line.replace(/^shared memory: /, '').replace(/: a full restart is needed$/, '');
};

t.test('the same layout', async (t) => {
  t.match(compare(same, layoutWith({})), { change: 'same', line: '', columns: [], noWayBack: '' });
});

t.test('a column added behind the others', async (t) => {
  const extended = ['session', 'link', 'lane', 'worker', 'superblock', 'lane_head', 'pool_counter'];
  for (const name of extended) {
    const mine = layoutWith({ [name]: add('hops', 'i32', '') });
    const verdict = compare(same, mine);
    t.match(verdict, { change: 'extended', columns: [`${name}.hops: added`], noWayBack: '' });
    t.match(compare(mine, same, true), { change: 'extended', direction: 'back' },
      'the version of before takes it back');
    t.equal(refusalOf(mine, same), name === 'session' || name === 'link'
      ? `column ${name}.hops (i32) is gone here, and no migration is registered`
      : `column ${name}.hops (i32) is gone here, and must not go`, 'not by one that never was here');
  }
});

t.test('a column added between the others moves them', async (t) => {
  const mine = layoutWith({ session: addAfter('opened_us', 'hops', 'i32', '', 1, 7) });
  const verdict = compare(same, mine);
  t.match(verdict, { change: 'migrated', noWayBack: '' });
  t.ok(verdict.columns.includes('session.hops: added'));
  t.ok(verdict.columns.includes('session.active_us: moved'));
  t.match(compare(mine, same, true), { change: 'migrated', direction: 'back' });
  t.equal(refusalOf(same, layoutWith({ session: addFirst('hops', 'i32', '') })),
    'column session.state was at byte 4, is at 8 here, and must not move');
  t.equal(refusalOf(same, layoutWith({ lane: addFirst('hops', 'i32', '') })),
    'column lane.owner was at byte 0, is at 4 here, and must not move');
  t.equal(refusalOf(same, layoutWith({ histogram: replace('bucket', 'bucket', 'f64', '', 200) })),
    'column histogram.bucket was f64[224], is f64[200] here, and must not change');
});

t.test('a retyped column', async (t) => {
  const retyped = replace('rx', 'rx', 'f64', '');
  t.equal(refusalOf(same, layoutWith({ session: retyped })),
    'column session.rx was u64, is f64 here, and no migration is registered');
  const was = { column: 'rx', type: 'u64', count: 1 } as const;
  const is = { column: 'rx', type: 'f64', count: 1 } as const;
  const migration = { table: 'session', was, is, factor: 1, plus: 0, oneWay: false };
  const mine = layoutWith({ session: retyped }, [migration]);
  t.match(compare(same, mine), {
    change: 'migrated', columns: ['session.rx: f64, was rx u64'], noWayBack: '',
  });
  t.match(compare(mine, same, true), { change: 'migrated' });
  const oneWay = layoutWith({ session: retyped }, [{ ...migration, oneWay: true }]);
  t.match(compare(same, oneWay), {
    change: 'migrated', noWayBack: 'there is no way back for column session.rx',
  });
  t.equal(refusalOf(oneWay, same, true), 'there is no way back for column session.rx');
  t.equal(refusalOf(same, layoutWith({ link: replace('fd', 'fd', 'f64', '') }, [
    {
      ...migration, table: 'link',
      was: { ...is, column: 'fd', type: 'i32' }, is: { ...is, column: 'fd' },
    },
  ])), 'column link.fd was i32, is f64 here, and must not change', 'claimants read it');
});

t.test('a renamed column, and a removed one', async (t) => {
  const renamed = { session: replace('opened_us', 'opened_ms', 'i32', '') };
  t.equal(refusalOf(same, layoutWith(renamed)),
    'column session.opened_us (f64) is gone here, and no migration is registered');
  t.match(compare(same, layoutWith(renamed, [openedInMs])), { change: 'migrated', noWayBack: '' });
  const removed = { session_info: remove('relay_end') };
  t.equal(refusalOf(same, layoutWith(removed)),
    'column session_info.relay_end (i32) is gone here, and no migration is registered');
  const removal = {
    table: 'session_info', was: { column: 'relay_end', type: 'i32', count: 1 } as const, is: null,
    factor: 1, plus: 0, oneWay: false,
  };
  const mine = layoutWith(removed, [removal]);
  t.match(compare(same, mine), {
    change: 'extended', columns: ['session_info.relay_end: removed'], noWayBack: '',
  });
  t.match(compare(mine, same, true), { change: 'extended' });
});

t.test('what lives for one turn, and what survives a death within it', async (t) => {
  t.match(compare(same, layoutWith({ descriptor: replace('hash', 'hash', 'u8', '', 4) })),
    { change: 'extended', columns: [] });
  t.equal(refusalOf(same, layoutWith({ receipt: add('flags', 'i32', '') })),
    'column receipt.flags is new here, columns of receipt must not change');
  t.equal(refusalOf(same, layoutWith({ receipt: replace('used', 'read', 'i32', '') })),
    'column receipt.read is new here, columns of receipt must not change');
});

t.test('tables and the length of their rows', async (t) => {
  const longer = tables.map((each) => each.name !== 'descriptor' ? each
    : table(each.name, each.scope, 56, each.doc, [['kind', 'i32', '']]));
  t.equal(refusalOf(same, listingOf(longer, [])), 'rows of descriptor had 48 bytes, have 56 here');
  const fewer = listingOf(tables.filter(({ name }) => name !== 'listener'), []);
  t.equal(refusalOf(same, fewer), 'table listener is gone here');
  t.equal(refusalOf(fewer, same), 'table listener is new here');
});
