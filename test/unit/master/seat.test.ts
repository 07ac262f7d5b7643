/**
 * Goal: a worker gets the order that its row and its seat's goal ask for, each once; a dead one is
 *   said to be dead and is replaced.
 * Method: rows in an array, processes that only write down which signals they get.
 */
import t from 'tap';
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { Generation } from '../../../src/master/generation.js';
import { Goal, Seat } from '../../../src/master/seat.js';
import type { WorkerRows } from '../../../src/master/seat-context.js';
import { WorkerOrder, WorkerState } from '../../../src/shm/codes.js';

const ETIMEDOUT = 110;

class FakeRows implements WorkerRows {
  readonly state: WorkerState[] = [WorkerState.Free];
  readonly error: number[] = [0];
  readonly orders: WorkerOrder[] = [];
  readonly dead: number[] = [];
  restarts = 0;
  serving = 0; // row of the lane's owner

  openLane(): void {}
  noteWorker(): void {}

  takeWorker(): number {
    this.error.push(0);
    return this.state.push(WorkerState.Starting) - 1;
  }

  freeWorker(): void {}
  workerLane(): number { return 3; }
  workerState(row: number): WorkerState { return this.state[row]!; }
  workerError(row: number): number { return this.error[row]!; }
  order(row: number, order: WorkerOrder): void {
    this.error[row] = 0;
    this.orders.push(order);
  }

  markDead(row: number): void { this.dead.push(row); }
  countRestart(): void { this.restarts += 1; }
  turns(): number { return 0; }
  noteHang(): void {}
  owner(): { worker: number } | null { return this.serving === 0 ? null : { worker: this.serving }; }
}

class FakeChild extends EventEmitter {
  readonly signals: string[] = [];
  readonly stderr = null;

  constructor(readonly pid: number) { super(); }

  kill(signal: string): void { this.signals.push(signal); }
}

function begin(rows = new FakeRows(), hasStandby = () => false) {
  const children: FakeChild[] = [];
  const priority: string[] = [];
  const log = { info() {}, debug() {}, warn() {}, error() {} };
  let onChanged = (): void => {};
  const seat = new Seat({
    rows, log: log as never, changed: () => onChanged(),
    ring: () => {},
    priority: {
      lower: (pid) => priority.push(`lower ${pid}`),
      restore: (pid) => priority.push(`restore ${pid}`),
    },
    spawn: () => {
      const child = new FakeChild(1000 + children.length);
      children.push(child);
      return child as unknown as ChildProcess;
    },
  }, 3, {} as Generation, hasStandby);
  t.teardown(() => seat.end('SIGKILL'));
  seat.start();
  /** The worker says what it is. */
  const say = (row: number, state: WorkerState, error = 0): void => {
    rows.state[row] = state;
    rows.error[row] = error;
    seat.look(true);
  };
  const changed = (): Promise<void> => new Promise((resolve) => { onChanged = resolve; });
  return { rows, children, seat, say, changed, priority };
}

t.test('a ready worker waits until it is to serve', async (t) => {
  const { rows, children, seat, say } = begin();
  say(1, WorkerState.Ready);
  t.ok(seat.isReady);
  t.same(rows.orders, []);
  seat.pursue(Goal.Serve);
  seat.look(false);
  t.same(rows.orders, [], 'not its turn');
  seat.look(true);
  seat.look(true);
  t.same(rows.orders, [WorkerOrder.Take], 'once');
  t.same(children[0]!.signals, ['SIGUSR2']);
  t.ok(seat.isTaking);
  say(1, WorkerState.Serving);
  t.ok(seat.isServing);
  t.notOk(seat.isTaking);
});

t.test('who gets ready beside one that serves has less priority until then', async (t) => {
  const rows = new FakeRows();
  rows.serving = rows.takeWorker();
  rows.state[rows.serving] = WorkerState.Serving;
  const { say, priority } = begin(rows);
  t.same(priority, ['lower 1000']);
  say(2, WorkerState.Ready);
  say(2, WorkerState.Ready);
  t.same(priority, ['lower 1000', 'restore 1000'], 'once, and before it is to serve');
  t.same(begin().priority, [], 'a lane without an owner is waited for');
});

t.test('a frozen one takes the lane back, or ends', async (t) => {
  const { rows, seat, say } = begin();
  seat.pursue(Goal.Serve);
  say(1, WorkerState.Ready);
  say(1, WorkerState.Serving);
  seat.pursue(Goal.StandBy);
  say(1, WorkerState.Frozen);
  t.same(rows.orders, [WorkerOrder.Take]);
  seat.pursue(Goal.Serve);
  seat.look(true);
  say(1, WorkerState.Serving);
  t.same(rows.orders, [WorkerOrder.Take, WorkerOrder.Take]);
  seat.pursue(Goal.End);
  seat.look(true);
  t.same(rows.orders.length, 2, 'an owner is not told to end');
  say(1, WorkerState.Frozen);
  t.equal(rows.orders.at(-1), WorkerOrder.End);
});

t.test('a take that fails is tried again, and counted', async (t) => {
  const { rows, seat, say, changed } = begin();
  seat.pursue(Goal.Serve);
  say(1, WorkerState.Ready);
  say(1, WorkerState.Ready, ETIMEDOUT);
  t.equal(seat.failedTakes, 1);
  t.notOk(seat.isTaking);
  await changed();
  seat.look(true);
  t.same(rows.orders, [WorkerOrder.Take, WorkerOrder.Take]);
  say(1, WorkerState.Serving);
  t.equal(seat.failedTakes, 0);
});

t.test('a death is told to claimants, and another worker comes', async (t) => {
  const { rows, children, seat, say, changed } = begin();
  seat.pursue(Goal.Serve);
  say(1, WorkerState.Ready);
  say(1, WorkerState.Serving);
  children[0]!.emit('exit', null, 'SIGKILL');
  t.same(rows.dead, [1]);
  t.notOk(seat.isServing);
  while (children.length < 2) await new Promise(setImmediate);
  t.equal(rows.restarts, 1);
  say(2, WorkerState.Ready);
  t.ok(seat.isTaking, 'which serves in its place');
  void changed;
});

t.test('a standby that took the lane is the seat\'s, noticed before the death or after', async (t) => {
  for (const isNoticedFirst of [true, false]) {
    const rows = new FakeRows();
    const { children, seat, say } = begin(rows, () => true);
    seat.pursue(Goal.Serve);
    say(1, WorkerState.Ready);
    say(1, WorkerState.Serving);
    const heir = new FakeChild(2000);
    const row = rows.state.push(WorkerState.Serving) - 1;
    rows.error.push(0);
    if (isNoticedFirst) children[0]!.emit('exit', null, 'SIGKILL');
    t.equal(seat.occupy(heir as unknown as ChildProcess, row), 0);
    if (!isNoticedFirst) children[0]!.emit('exit', null, 'SIGKILL');
    t.ok(seat.isServing);
    t.equal(seat.pid, 2000);
    t.same(rows.dead, [1]);
    t.equal(rows.restarts, 1);
    t.equal(children.length, 1, 'no other worker was started');
    heir.emit('exit', null, 'SIGKILL');
    t.same(rows.dead, [1, row], 'its own death is noticed, too');
  }
});

t.test('when the standby is gone, another worker starts', async (t) => {
  let hasStandby = true;
  const { children, seat, say } = begin(new FakeRows(), () => hasStandby);
  seat.pursue(Goal.Serve);
  say(1, WorkerState.Ready);
  say(1, WorkerState.Serving);
  children[0]!.emit('exit', null, 'SIGKILL');
  hasStandby = false;
  seat.look(true);
  while (children.length < 2) await new Promise(setImmediate);
  t.equal(seat.failedStarts, 0);
});

t.test('who never starts is known', async (t) => {
  const { children, seat } = begin();
  children[0]!.emit('exit', 1, null);
  while (children.length < 2) await new Promise(setImmediate);
  t.equal(seat.failedStarts, 1);
  t.equal(seat.failedTakes, 0);
});

t.test('the end is an end', async (t) => {
  const { rows, children, seat, say } = begin();
  say(1, WorkerState.Ready);
  seat.pursue(Goal.End);
  seat.look(true);
  t.same(rows.orders, [WorkerOrder.End]);
  children[0]!.emit('exit', 0, null);
  seat.pursue(Goal.Serve);
  seat.look(true);
  t.ok(seat.isEmpty);
  t.equal(children.length, 1);
});
