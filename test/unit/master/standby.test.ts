/**
 * Goal: a standby is started, is handed over to the seat whose lane it has taken, and is followed by
 *   another one; it ends when it is told to, and is never ended as an owner.
 * Method: rows in an array, processes that only write down which signals they get.
 */
import t from 'tap';
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { Generation } from '../../../src/master/generation.js';
import type { SeatContext } from '../../../src/master/seat-context.js';
import { Standby } from '../../../src/master/standby.js';
import { WorkerOrder, WorkerState } from '../../../src/shm/codes.js';

class FakeChild extends EventEmitter {
  readonly signals: string[] = [];
  readonly stderr = null;

  constructor(readonly pid: number) { super(); }

  kill(signal: string): void { this.signals.push(signal); }
}

function begin() {
  const state: WorkerState[] = [WorkerState.Free];
  const orders: WorkerOrder[] = [];
  const children: FakeChild[] = [];
  const taken: (readonly [lane: number, pid: number, row: number])[] = [];
  let owner = 0;
  const log = { info() {}, debug() {}, warn() {}, error() {} };
  const rows = {
    takeWorker: () => state.push(WorkerState.Starting) - 1,
    noteWorker() {}, freeWorker() {}, workerError: () => 0, workerLane: () => 3,
    workerState: (row: number) => state[row]!,
    markDead: (row: number) => { state[row] = WorkerState.Ended; },
    order: (_: number, order: WorkerOrder) => orders.push(order),
    owner: () => ({ worker: owner }),
  };
  const context = {
    rows, log, changed() {}, priority: { lower() {}, restore() {} },
    spawn: () => {
      const child = new FakeChild(1000 + children.length);
      children.push(child);
      return child;
    },
  } as unknown as SeatContext;
  const standby = new Standby(context, {} as Generation, (lane, child: ChildProcess, row) => {
    taken.push([lane, child.pid!, row]);
    return 0;
  });
  t.teardown(() => standby.end('SIGKILL'));
  const say = (row: number, next: WorkerState): void => {
    state[row] = next;
    if (next === WorkerState.Serving) owner = row;
    standby.look();
  };
  return { standby, children, orders, taken, say };
}

t.test('it is handed over when it has taken a lane, and another one starts', async (t) => {
  const { standby, children, taken, say } = begin();
  standby.start();
  standby.start();
  t.equal(children.length, 1);
  t.notOk(standby.isReady);
  say(1, WorkerState.Ready);
  t.ok(standby.isReady);
  say(1, WorkerState.Serving);
  t.same(taken, [[3, 1000, 1]]);
  t.ok(standby.isEmpty);
  while (children.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  say(2, WorkerState.Ready);
  t.ok(standby.isReady);
  children[0]!.emit('exit', null, 'SIGKILL');
  t.ok(standby.isReady, 'the first one\'s end is the seat\'s');
});

t.test('one that dies is followed by another', async (t) => {
  const { standby, children, say } = begin();
  standby.start();
  say(1, WorkerState.Ready);
  children[0]!.emit('exit', null, 'SIGKILL');
  t.notOk(standby.isReady);
  while (children.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  t.pass();
});

t.test('its end', (t) => {
  const { standby, children, orders, taken, say } = begin();
  standby.start();
  say(1, WorkerState.Ready);
  standby.dismiss();
  t.same(orders, [WorkerOrder.End]);
  t.same(children[0]!.signals, ['SIGUSR2'], 'it may have become an owner: it decides');
  say(1, WorkerState.Serving);
  t.same(taken, [[3, 1000, 1]], 'it has');
  const other = begin();
  other.standby.start();
  other.standby.dismiss();
  t.same(other.children[0]!.signals, ['SIGKILL'], 'one that starts does not listen yet');
  t.end();
});
