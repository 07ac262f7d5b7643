/**
 * A worker process: attaches to shared memory, warms up, takes its lane when its master says so, and
 * serves it until another worker takes over or it is told to end.
 *
 *              warm           Take                  another claims the lane
 *   Starting ───────► Ready ───────► Serving ──────────────────────────────► Frozen
 *                       ▲───failed──────┘│ ▲──────────────── Take ─────────────┘ │ End
 *                                        │ QUIT: no new sessions, ends with the  │
 *                                        ▼ last; TERM: at once                   ▼
 *                                      Ended ◄───────────────────────────────────┘
 *
 * What serves the lane is a LaneService. A frozen worker keeps its copies of the descriptors and has
 * no timer.
 */
import { constants } from 'node:os';
import { Log } from '../base/log.js';
import { VERSION } from '../base/version.js';
import type { WorkerOrder } from '../base/worker-order.js';
import type { Roster } from '../config/roster.js';
import { native } from '../native/binding.js';
import { commandNames, commandShapes } from '../proxy/dispatch.js';
import { WorkerOrder as Order, WorkerState } from '../shm/codes.js';
import { mayBring, prepareLanes } from '../shm/bring-lane.js';
import { Segment } from '../shm/segment.js';
import { TableNumber, Worker as WorkerRow } from '../tables/columns.gen.js';
import { attachLane } from './attach.js';
import { LaneService } from './lane-service.js';
import { LastWords } from './last-words.js';
import { Orphan } from './orphan.js';
import { WorkerFacts } from './proxy-facts.js';
import { warmUp } from './warm-up.js';

/** Descriptors that may be fetched while the lane is frozen: about a tenth of a millisecond. */
const FEW_MISSING = 32;
const FETCH_ROUNDS = 8;
/** As orphan_timeout, in a roster that an older version has written. */
const ORPHAN_MS = 60_000;
/** How long an owner may take to end its turn; a loaded machine is slow, a hung worker is slower. */
const FREEZE_PATIENCE_MS = 5000;

export class Worker {
  readonly #log: Log;
  readonly #lastWords: LastWords;
  readonly #segment: Segment;
  readonly #workerRow: number; // word position in the instance tables
  readonly #services: ReadonlyMap<number, LaneService>; // by lane
  #service: LaneService | null; // of the lane that this worker is for; null: it stands by for any
  readonly #orphanMs: number; // what its keeper gets
  #isOwner = false;
  #hasKeeper = false;

  constructor(private readonly order: WorkerOrder) {
    this.#log = new Log({
      file: order.logFile ?? null,
      level: order.logLevel,
      role: order.lane < 0 ? 'standby' : `worker ${order.lane}`,
    });
    this.#lastWords = new LastWords(order, this.#log.to);
    if (order.user !== undefined) native.processUser(order.user, order.group ?? null);
    this.#segment = Segment.attach(order.shmFd, order.segmentBytes);
    this.#workerRow = this.#segment.wordBase(TableNumber.Worker) + order.worker * WorkerRow.RowWords;
    const roster = this.#readRoster();
    const given = new Set(order.listeners.map(({ id }) => id));
    const missing = roster.listeners.filter(({ id, isRetired }) => !isRetired && !given.has(id));
    for (const gear of order.gears) {
      attachLane(this.#segment, order, gear, missing.map(({ id }) => id));
    }
    for (const { id, fd } of order.listeners) native.lanePlace(id, fd);
    for (const { lane, fd } of order.bells) native.lanePlaceBell(lane, fd);
    native.laneCommands(commandNames(), commandShapes());
    this.#orphanMs = roster.settings.global.orphanTimeoutMs ?? ORPHAN_MS;
    const facts = new WorkerFacts(this.#segment, roster);
    this.#services = new Map(order.gears.map(({ lane }) => [lane, new LaneService(
      lane, order, this.#segment, roster, this.#log, facts, () => this.#given())]));
    this.#service = this.#services.get(order.lane) ?? null;
    if (this.#service !== null) {
      native.laneSelect(order.lane);
      this.#settleIn(order.lane);
    } else native.processTitle('baton: standby worker process');
  }

  /** Everything that can be done before the lane is ours: then a take is short. */
  getReady(): void {
    // Before anything of ours can be seen: if the master is gone, our row may be another's by now.
    new Orphan(this.order, this.#segment, {
      isOwner: () => this.#isOwner,
      lane: () => this.#service?.lane ?? null,
      mayBeAdopted: () => this.#hasKeeper && this.order.gears.every(({ dockFd }) => dockFd !== undefined),
      end: () => this.stopFast(),
    }).watch();
    native.laneLife(this.order.worker);
    native.laneLoop();
    this.#introduce();
    this.#lastWords.listen();
    this.#startKeeper();
    process.on('SIGCHLD', () => this.#replaceKeeper());
    if (process.env['BATON_WARM_UP'] !== '0') warmUp();
    prepareLanes(this.#segment);
    collectGarbage();
    if (this.#service === null) this.#watch();
    this.#setState(WorkerState.Ready);
  }

  #startKeeper(): void {
    const keeper = native.laneKeeper(this.#service?.lane ?? -1, this.#orphanMs);
    this.#hasKeeper = keeper > 0;
    this.#column(WorkerRow.KeeperPid, Math.max(0, keeper));
    if (keeper < 0) {
      this.#log.to.warn({ event: 'no_keeper', errno: -keeper },
        'the kernel forbids keepers here: sessions cannot be handed to another worker');
    }
  }

  /** Without a keeper nobody could take the lane over. */
  #replaceKeeper(): void {
    if (!native.laneKeeperDied()) return;
    this.#log.to.error({ event: 'keeper_died' }, 'the keeper has died; a new one is started');
    native.laneKeeperStop();
    this.#startKeeper();
  }

  /** USR2: the master has written an order into our row. */
  obey(): void {
    const { words } = this.#segment.shared;
    const at = this.#workerRow + WorkerRow.Order;
    const order = Atomics.exchange(words, at, Order.None) as Order;
    if (order === Order.Take && !this.#isOwner && this.#service !== null) this.#take(this.#service);
    if (order === Order.End && !this.#isOwner) this.#exit();
  }

  /** Ends at once; what is under way is lost. */
  stopFast(): void {
    this.#end();
  }

  /** No new sessions; those there are end as soon as they have nothing under way. */
  stopGracefully(): void {
    if (!this.#isOwner) this.#exit();
    this.#service!.drain(() => this.#end());
  }

  reopenLog(): void {
    try {
      this.#log.reopen();
    } catch (error) {
      this.#log.to.error(
        { event: 'reopen_failed' },
        `the log cannot be opened anew: ${(error as Error).message}`,
      );
    }
  }

  // --- how the lane changes hands (native/takeover.cc) ---

  /** A Claim or -errno. */
  #claim(lane: number): number {
    if (!mayBring(this.#segment, lane)) return -constants.errno.ENOTSUP;
    for (let round = 0; round < FETCH_ROUNDS; round++) {
      if (native.laneFetch() <= FEW_MISSING) break;
    }
    return native.laneClaim(FREEZE_PATIENCE_MS);
  }

  #take(service: LaneService): void {
    const claim = this.#claim(service.lane);
    if (claim < 0) this.#fail(claim);
    else this.#serve(service);
  }

  #fail(claim: number): void {
    this.#column(WorkerRow.Error, -claim);
    this.#setState(WorkerState.Ready);
  }

  #serve(service: LaneService): void {
    this.#isOwner = true;
    service.begin();
    this.#tellServing();
  }

  /** Before the first turn: should that hang, the master must know whom to kill. */
  #tellServing(): void {
    this.#column(WorkerRow.Error, 0);
    this.#setState(WorkerState.Serving);
  }

  // --- a standby (native/death-watch.h) ---

  /** The first lane that loses its owner is this worker's from then on. */
  #watch(): void {
    const bell = native.processDoorbell();
    native.processWatch(bell, () => this.#inherit(this.#services.get(native.laneFound())!));
    native.laneWatch(bell);
  }

  #inherit(service: LaneService): void {
    const { lane } = service;
    const claim = native.laneInherit(lane);
    if (claim < 0) return this.#fail(claim);
    this.#service = service;
    this.#isOwner = true;
    this.#column(WorkerRow.Lane, lane);
    this.#log.role = `worker ${lane}`;
    service.begin();
    this.#tellServing();
    this.#settleIn(lane);
  }

  /** What can be seen from outside of whose worker this is. */
  #settleIn(lane: number): void {
    const { affinity } = this.order.gears.find((gear) => gear.lane === lane)!;
    if (affinity !== undefined) native.processAffinity(affinity);
    native.processTitle(`baton: worker process ${lane}`);
  }

  /** Another worker owns the lane. */
  #given(): void {
    this.#isOwner = false;
    this.#setState(WorkerState.Frozen);
  }

  // --- rows of the instance ---

  #introduce(): void {
    const { doubles, bytes } = this.#segment.shared;
    this.#column(WorkerRow.Pid, process.pid);
    doubles[this.#workerRow / 2 + WorkerRow.StartedAt] = Date.now();
    const at = this.#workerRow * 4 + WorkerRow.Version;
    Buffer.from(bytes.buffer, at, 24).fill(0).write(VERSION, 'latin1');
  }

  #column(column: WorkerRow, value: number): void {
    Atomics.store(this.#segment.shared.words, this.#workerRow + column, value);
  }

  #setState(state: WorkerState): void {
    this.#column(WorkerRow.State, state);
    native.processRing(this.order.doorbellFd);
  }

  #readRoster(): Roster {
    const { confOffset, confBytes } = this.order;
    const { bytes } = this.#segment.shared;
    const text = Buffer.from(bytes.buffer, confOffset, confBytes).toString('utf8');
    return JSON.parse(text) as Roster;
  }

  // --- the end ---

  #end(): void {
    if (this.#isOwner) this.#service!.leave();
    this.#exit();
  }

  /** A worker that ends by itself needs nobody to keep its descriptors. */
  #exit(): never {
    native.laneKeeperStop();
    process.exit(0);
  }
}

/** What starting has left: V8 would begin with it when the first lane is taken (src/master/spawn.ts). */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
