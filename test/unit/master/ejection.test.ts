/**
 * Goal: servers that keep failing leave the routes of every lane and come back; a reload, an
 *   upgrade and its roll back change nothing of that, and only one master decides.
 * Method: memory in plain arrays; the test plays the lanes, masters are real.
 */
import t, { type Test } from 'tap';
import type { Logger } from '../../../src/base/log.js';
import type { Settings } from '../../../src/config/settings.js';
import { Ejection } from '../../../src/master/ejection.js';
import type { Generation } from '../../../src/master/generation.js';
import type { Instance } from '../../../src/master/instance.js';
import { RouteView } from '../../../src/routing/route-table.js';
import { OwnerState } from '../../../src/shm/codes.js';
import {
  Backend, BackendCounter, Lane, Pool, Superblock, TableNumber,
} from '../../../src/tables/columns.gen.js';
import { waitFor } from '../../support/wait-for.js';
import { settingsOf } from './conf.js';
import { FakeSegment, HALF } from './fake-segment.js';

class Master {
  readonly lines: string[] = [];
  readonly instance: Instance;
  readonly ejection: Ejection;

  constructor(t: Test, readonly memory: FakeSegment) {
    const note = ({ event }: { event: string; server: string }): void => {
      this.lines.push(event);
    };
    const log = { info: note, warn: note } as unknown as Logger;
    this.instance = memory.instance();
    this.ejection = new Ejection({ instance: this.instance, log });
    t.teardown(() => this.ejection.close());
  }

  write(settings: Settings): Generation {
    return this.instance.write(this.instance.nextRoster(settings));
  }

  /** As at a start: one lane, served by worker 1. */
  start(settings: Settings): Generation {
    const generation = this.write(settings);
    this.instance.publish(generation);
    this.instance.openLane(0);
    this.ejection.watch([generation]);
    this.ejection.take();
    this.memory.own(0, 1, OwnerState.Serving, routeGeneration(this.memory));
    return generation;
  }
}

function routeGeneration({ shared }: FakeSegment): number {
  return shared.words[Superblock.RouteGeneration]!;
}

/** Lanes look at the end of their turns. */
function follow(memory: FakeSegment, lane = 0): void {
  memory.setLane(lane, Lane.RouteGeneration, routeGeneration(memory));
}

/** The servers of a pool that a lane can get to now, by their places. */
function routed(memory: FakeSegment, { half, roster }: Generation, pool = 0): number[] {
  const { shared, plan } = memory;
  const row = half * HALF.pools + roster.pools[pool]!.id;
  const at = memory.wordBase(TableNumber.Pool) + row * Pool.RowWords;
  const side = routeGeneration(memory) & 1;
  const view = new RouteView(shared.words.subarray(plan.routeBase / 4),
    shared.words[at + Pool.RouteBase]! + side * shared.words[at + Pool.RouteWords]!);
  const places = new Set<number>();
  for (let hash = 0; hash < 2 ** 32; hash += 2 ** 22) places.add(view.route(hash | 0));
  return [...places].sort((a, b) => a - b);
}

function backendOf(memory: FakeSegment, { half }: Generation, id: number) {
  const at = memory.wordBase(TableNumber.Backend) + (half * HALF.backends + id) * Backend.RowWords;
  const { words, doubles } = memory.shared;
  return {
    live: words[at + Backend.Live], ejections: words[at + Backend.Ejections],
    untilUs: doubles[at / 2 + Backend.EjectedUntilUs]!,
  };
}

function fail(memory: FakeSegment, id: number, times: number, lane = 0): void {
  memory.countBackend(lane, id, BackendCounter.Failures, times);
}

const LONG = settingsOf(
  'p@7000: a=1 b=2 c=3 {auto_eject_hosts: true, server_retry_timeout: 60000}');
const SHORT = settingsOf(
  'p@7000: a=1 b=2 c=3 {auto_eject_hosts: true, server_retry_timeout: 20}');

t.test('after server_failure_limit failures in a row a server is out', async (t) => {
  const memory = new FakeSegment();
  const master = new Master(t, memory);
  const generation = master.start(LONG);
  fail(memory, 1, 1);
  master.ejection.look();
  t.same(routed(memory, generation), [0, 1, 2]);
  fail(memory, 1, 2);
  master.ejection.look();
  t.same(routed(memory, generation), [0, 2]);
  t.match(backendOf(memory, generation, 1), { live: 0, ejections: 1 });
  const leftUs = backendOf(memory, generation, 1).untilUs - Number(process.hrtime.bigint()) / 1000;
  t.ok(leftUs > 50e6 && leftUs <= 60e6);
  t.same(master.lines, ['server_ejected']);
  master.ejection.look();
  t.match(backendOf(memory, generation, 1), { ejections: 1 }, 'once');
});

t.test('failures that two lanes saw are not in a row', async (t) => {
  const memory = new FakeSegment();
  const master = new Master(t, memory);
  const generation = master.start(LONG);
  master.instance.openLane(1);
  fail(memory, 1, 1, 0);
  fail(memory, 1, 1, 1);
  master.ejection.look();
  t.match(backendOf(memory, generation, 1), { live: 1 });
});

t.test('new routes wait until every lane that is served has followed', async (t) => {
  const memory = new FakeSegment();
  const master = new Master(t, memory);
  const generation = master.start(LONG);
  for (const lane of [1, 2]) master.instance.openLane(lane);
  memory.own(1, 2, OwnerState.Serving, routeGeneration(memory));
  memory.own(2, 3, OwnerState.Frozen, -9); // nobody uses its routes
  fail(memory, 0, 2);
  master.ejection.look();
  const published = routeGeneration(memory);
  t.same(routed(memory, generation), [1, 2]);
  fail(memory, 1, 2);
  follow(memory, 0);
  master.ejection.look();
  t.equal(routeGeneration(memory), published, 'lane 1 is behind');
  follow(memory, 1);
  await waitFor('new routes', () => routeGeneration(memory) !== published);
  t.same(routed(memory, generation), [2]);
});

t.test('server_retry_timeout lets it in again; old failures are spent', async (t) => {
  const memory = new FakeSegment();
  const master = new Master(t, memory);
  const generation = master.start(SHORT);
  fail(memory, 1, 2);
  master.ejection.look();
  follow(memory);
  t.match(backendOf(memory, generation, 1), { live: 0 });
  await waitFor('the server to be let in', () => backendOf(memory, generation, 1).live === 1);
  follow(memory);
  t.same(routed(memory, generation), [0, 1, 2]);
  t.match(backendOf(memory, generation, 1), { untilUs: 0, ejections: 1 });
  fail(memory, 1, 3);
  master.ejection.look();
  t.match(backendOf(memory, generation, 1), { live: 1 }, 'one more');
  fail(memory, 1, 4);
  master.ejection.look();
  t.match(backendOf(memory, generation, 1), { live: 0, ejections: 2 }, 'two more');
});

t.test('a reload keeps who is out, in both halves, whatever happens meanwhile', async (t) => {
  const memory = new FakeSegment();
  const master = new Master(t, memory);
  const old = master.start(LONG);
  fail(memory, 0, 2);
  master.ejection.look();
  follow(memory);
  const more = settingsOf('o@7001: x=9',
    'p@7000: a=1 b=2 c=3 d=4 {auto_eject_hosts: true, server_retry_timeout: 60000}');
  const next = master.write(more);
  t.same(routed(memory, next, 1), [1, 2, 3], 'as it was written');
  fail(memory, 1, 2);
  master.ejection.watch([old, next]);
  t.same(routed(memory, old), [2]);
  t.same(routed(memory, next, 1), [2, 3]);
  t.match(backendOf(memory, next, 1), { live: 0, ejections: 1 });

  follow(memory);
  fail(memory, 4, 2); // o has id 3 for its x
  master.ejection.look();
  t.same(routed(memory, old), [2], 'which does not know d');
  t.same(routed(memory, next, 1), [2]);
  master.instance.publish(next);
  master.ejection.watch([next]);
  t.same(master.lines, Array(3).fill('server_ejected'));
});

t.test('a pool that ejects no longer has all its servers back', async (t) => {
  const memory = new FakeSegment();
  const master = new Master(t, memory);
  const old = master.start(LONG);
  fail(memory, 0, 2);
  master.ejection.look();
  const next = master.write(settingsOf('p@7000: a=1 b=2 c=3'));
  master.ejection.watch([old, next]);
  t.same(routed(memory, old), [1, 2]);
  t.same(routed(memory, next), [0, 1, 2]);
  t.match(backendOf(memory, next, 0), { live: 1, untilUs: 0 });
});

t.test('an abandoned generation is forgotten; the next of its number is another', async (t) => {
  const memory = new FakeSegment();
  const master = new Master(t, memory);
  const old = master.start(LONG);
  master.ejection.watch([old, master.write(settingsOf('p@7000: a=1'))]);
  master.ejection.watch([old]);
  const next = master.write(LONG);
  master.ejection.watch([old, next]);
  fail(memory, 0, 2);
  follow(memory);
  master.ejection.look();
  t.same(routed(memory, old), [1, 2]);
  t.same(routed(memory, next), [1, 2]);
});

t.test('an upgrade, and its roll back: one decides, the other goes on from there', async (t) => {
  const memory = new FakeSegment();
  const [old, young] = [new Master(t, memory), new Master(t, memory)];
  const first = old.start(LONG);
  young.instance.publish(young.instance.read(0)!);
  const second = young.write(LONG);
  young.ejection.watch([second, young.instance.read(0)!]);
  old.ejection.watch([first, old.instance.read(1)!]);

  fail(memory, 0, 2);
  young.ejection.look();
  t.match(backendOf(memory, first, 0), { live: 1 }, 'it rests');
  old.ejection.look();
  follow(memory);
  t.same([routed(memory, first), routed(memory, second)], [[1, 2], [1, 2]]);

  old.ejection.rest();
  young.ejection.take();
  follow(memory);
  fail(memory, 1, 2);
  old.ejection.look();
  t.match(backendOf(memory, second, 1), { live: 1 }, 'it rests');
  young.ejection.look();
  follow(memory);
  t.same([routed(memory, first), routed(memory, second)], [[2], [2]]);
  t.same([old.lines, young.lines], [['server_ejected'], ['server_ejected']]);
  t.match(backendOf(memory, second, 0), { live: 0, ejections: 1 });

  young.ejection.rest();
  old.ejection.watch([first]);
  old.ejection.take();
  follow(memory);
  t.same(routed(memory, first), [2]);
  t.match(backendOf(memory, first, 1), { live: 0, ejections: 1 });
});

t.test('who takes over lets servers in when their time has come', async (t) => {
  const memory = new FakeSegment();
  const [old, young] = [new Master(t, memory), new Master(t, memory)];
  const first = old.start(SHORT);
  fail(memory, 0, 2);
  old.ejection.look();
  follow(memory);
  old.ejection.rest();
  young.instance.publish(young.instance.read(0)!);
  young.ejection.watch([young.instance.current]);
  young.ejection.take();
  follow(memory);
  await waitFor('the server to be let in', () => backendOf(memory, first, 0).live === 1);
  t.same(young.lines, ['server_readmitted']);
  fail(memory, 0, 3);
  young.ejection.look();
  t.match(backendOf(memory, first, 0), { live: 1 }, 'old failures are spent');
});

t.test('failures that have been judged do not eject after a change of masters', async (t) => {
  const memory = new FakeSegment();
  const [old, young] = [new Master(t, memory), new Master(t, memory)];
  const first = old.start(SHORT);
  fail(memory, 0, 2);
  old.ejection.look();
  follow(memory);
  await waitFor('the server to be let in', () => backendOf(memory, first, 0).live === 1);
  old.ejection.rest();
  young.instance.publish(young.instance.read(0)!);
  young.ejection.watch([young.instance.current]);
  young.ejection.take();
  t.match(backendOf(memory, first, 0), { live: 1, ejections: 1 });
});

t.test('rows that a dead master wrote become routes', async (t) => {
  const memory = new FakeSegment();
  const [old, young] = [new Master(t, memory), new Master(t, memory)];
  const first = old.start(LONG);
  old.ejection.rest();
  const at = memory.wordBase(TableNumber.Backend) + 2 * Backend.RowWords;
  memory.shared.words[at + Backend.Live] = 0;
  memory.shared.doubles[at / 2 + Backend.EjectedUntilUs] =
    Number(process.hrtime.bigint()) / 1000 + 60e6;
  young.instance.publish(young.instance.read(0)!);
  young.ejection.watch([young.instance.current]);
  young.ejection.take();
  t.same(routed(memory, first), [0, 1]);
});
