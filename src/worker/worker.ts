/**
 * Runs one lane: attaches to shared memory, warms up, takes the lane when its master says so, takes
 * turns until another worker takes over or it is told to end.
 *
 *              warm           Take                  another claims the lane
 *   Starting ───────► Ready ───────► Serving ──────────────────────────────► Frozen
 *                       ▲───failed──────┘│ ▲──────────────── Take ─────────────┘ │ End
 *                                        │ QUIT: no new sessions, ends with the  │
 *                                        ▼ last; TERM: at once                   ▼
 *                                      Ended ◄───────────────────────────────────┘
 *
 * Between turns libuv runs timers and signals as in any Node program; inside run() there is only the
 * loop below. A frozen worker keeps its copies of the descriptors and has no timer.
 */
import { constants } from 'node:os';
import { Log } from '../base/log.js';
import { VERSION } from '../base/version.js';
import type { WorkerOrder } from '../base/worker-order.js';
import type { Roster } from '../config/roster.js';
import { native } from '../native/binding.js';
import { Dispatch, commandNames, commandShapes } from '../proxy/dispatch.js';
import { LinkSet } from '../proxy/link-set.js';
import { makeRoutes, type PoolRoute } from '../proxy/pool-route.js';
import { SessionDesk } from '../proxy/session-desk.js';
import { Claim, LaneState, ListenerState, WorkerOrder as Order, WorkerState } from '../shm/codes.js';
import { LANES_MAX } from '../shm/plan.js';
import { bringLane, mayBring, prepareLanes } from '../shm/bring-lane.js';
import { Segment } from '../shm/segment.js';
import {
  Lane, LaneHead, Listener, PoolCounter, Superblock, TableNumber, Worker as WorkerRow,
} from '../tables/columns.gen.js';
import { LaneView } from '../tables/lane-view.js';
import { attachLane } from './attach.js';
import { LaneLog } from './lane-log.js';
import { Orphan } from './orphan.js';
import { WorkerFacts } from './proxy-facts.js';
import { Timers } from './timers.js';
import { warmUp } from './warm-up.js';

/** How often a worker that drains looks for sessions that have become idle. */
const DRAIN_EVERY_MS = 20;
/** A turn at least so often, however quiet it is: the lane's heartbeat. */
const HEARTBEAT_MS = 100;
/** With BATON_CHECKS=1, for tests: how often the lane is checked while it serves. */
const CHECK_EVERY_MS = 250;
/** Descriptors that may be fetched while the lane is frozen: about a tenth of a millisecond. */
const FEW_MISSING = 32;
const FETCH_ROUNDS = 8;
/** How long an owner may take to end its turn; a loaded machine is slow, a hung worker is slower. */
const FREEZE_PATIENCE_MS = 5000;
/** How long a keeper without a worker waits for somebody to claim. */
const ORPHAN_MS = 60_000;

export class Worker {
  readonly #log: Log;
  readonly #segment: Segment;
  readonly #roster: Roster;
  readonly #view: LaneView;
  readonly #desk: SessionDesk;
  readonly #laneLog: LaneLog;
  readonly #links: LinkSet;
  readonly #laneRow: number; // word positions in the instance tables
  readonly #workerRow: number;
  readonly #timers = new Timers();
  readonly #routes: readonly (PoolRoute | undefined)[];
  readonly #dispatch: Dispatch;
  #routeGeneration = 0;
  #isOwner = false;
  #isDraining = false;

  constructor(private readonly order: WorkerOrder) {
    this.#log = new Log({
      file: order.logFile ?? null,
      level: order.logLevel,
      role: `worker ${order.lane}`,
    });
    if (order.user !== undefined) native.processUser(order.user, order.group ?? null);
    if (order.affinity !== undefined) native.processAffinity(order.affinity);
    this.#segment = Segment.attach(order.shmFd, order.segmentBytes);
    this.#laneRow = this.#segment.wordBase(TableNumber.Lane) + order.lane * Lane.RowWords;
    this.#workerRow = this.#segment.wordBase(TableNumber.Worker) + order.worker * WorkerRow.RowWords;
    this.#roster = this.#readRoster();
    this.#view = new LaneView(this.#segment.plan, this.#segment.laneViews(order.lane));
    attachLane(this.#segment, order);
    for (const { id, fd } of order.listeners) native.lanePlace(id, fd);
    native.laneCommands(commandNames(), commandShapes());

    const pools = new Map(this.#roster.pools.map(({ id, settings }) => [id, settings]));
    const poolOf = (id: number) => pools.get(id)!;
    this.#desk = new SessionDesk(this.#view, order.lane, poolOf);
    this.#laneLog = new LaneLog(this.#log.to, this.#desk, poolOf);
    this.#links = new LinkSet(this.#view, this.#roster, {
      onChange: (server, pool, up, reason) =>
        this.#laneLog.onServerChange(server, pool, up, reason),
      onFailing: () => native.processRing(order.doorbellFd),
    });
    this.#routes = this.#makeRoutes();
    this.#dispatch = new Dispatch(
      this.#view, this.#routes, this.#links, this.#desk,
      new WorkerFacts(this.#segment, this.#roster), this.#laneLog,
      this.#segment.plan.capacities.requests,
    );
    native.processTitle(`baton: worker process ${order.lane}`);
  }

  /** Everything that can be done before the lane is ours: then a take is short. */
  getReady(): void {
    // Before anything of ours can be seen: if the master is gone, our row may be another's by now.
    new Orphan(this.order, this.#segment).watch(() => this.stopFast());
    this.#introduce();
    this.#startKeeper();
    process.on('SIGCHLD', () => this.#replaceKeeper());
    warmUp();
    prepareLanes(this.#segment);
    this.#setState(WorkerState.Ready);
  }

  #startKeeper(): void {
    const keeper = native.laneKeeper(this.order.lane, ORPHAN_MS);
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
    if (order === Order.Take && !this.#isOwner) this.#take();
    if (order === Order.End && !this.#isOwner) this.#exit();
  }

  /** Ends at once; what is under way is lost. */
  stopFast(): void {
    this.#end();
  }

  /** No new sessions; those there are end as soon as they have nothing under way. */
  stopGracefully(): void {
    if (!this.#isOwner) this.#exit();
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#setLaneState(LaneState.Draining);
    native.laneCloseListeners();
    this.#timers.every(DRAIN_EVERY_MS, () => {
      if (native.laneDrain(-1, -1) > 0) return;
      native.laneFinish();
      this.#check();
      this.#end();
    });
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
  #claim(): number {
    if (!mayBring(this.#segment, this.order.lane)) return -constants.errno.ENOTSUP;
    for (let round = 0; round < FETCH_ROUNDS; round++) {
      if (native.laneFetch() <= FEW_MISSING) break;
    }
    return native.laneClaim(FREEZE_PATIENCE_MS);
  }

  #take(): void {
    const claim = this.#claim();
    if (claim < 0) {
      this.#column(WorkerRow.Error, -claim);
      this.#setState(WorkerState.Ready);
      return;
    }
    this.#isOwner = true;
    bringLane(this.#segment, this.order.lane);
    native.laneBegin();
    if (claim === Claim.Fresh) this.#writeFirstClientId();
    this.#cutUnknown();
    this.#serve();
    this.#column(WorkerRow.Error, 0);
    this.#setState(WorkerState.Serving);
  }

  /** Sessions of pools that only the owner before knew: a roll back to an older configuration. */
  #cutUnknown(): void {
    const known = new Set(this.#roster.pools.map(({ id }) => id));
    const { doubles, poolCounter } = this.#view;
    for (let id = 0; id < this.#segment.plan.capacities.pools / 2; id++) {
      const at = poolCounter + id * PoolCounter.RowDoubles + PoolCounter.ClientConnections;
      if (doubles[at]! > 0 && !known.has(id)) native.laneCut(id, -1);
    }
  }

  /** From rows to a running loop. What is done here belongs to the first turn. */
  #serve(): void {
    const { words } = this.#segment.shared;
    this.#links.adopt();
    this.#followRoutes(words[Superblock.RouteGeneration]!);
    Atomics.store(words, this.#laneRow + Lane.Generation, this.order.generation);
    this.#setLaneState(LaneState.Serving);
    this.#listen();
    this.#links.start();
    this.#timers.every(HEARTBEAT_MS, () => {});
    if (process.env['BATON_CHECKS'] === '1') {
      this.#timers.every(CHECK_EVERY_MS, () => this.#check());
    }
    this.#drainRetired();
    native.laneStart(() => this.#run());
  }

  /** Another worker owns the lane: nothing of it may be touched from now on. */
  #given(): void {
    this.#isOwner = false;
    this.#isDraining = false;
    this.#links.stop();
    this.#timers.clear();
    native.laneStop();
    this.#setState(WorkerState.Frozen);
  }

  /** Of what the owner before has watched, also what only his configuration knew ends here. */
  #listen(): void {
    const { words } = this.#view;
    const table = this.#segment.plan.tableBase[TableNumber.Listener]! / 4;
    const wanted = this.#roster.listeners.filter(({ isRetired }) => !isRetired);
    const ids = new Set(wanted.map(({ id }) => id));
    for (let id = 0; id < this.#segment.plan.capacities.pools; id++) {
      const state = words[table + id * Listener.RowWords + Listener.State];
      if (state === ListenerState.Watched && !ids.has(id)) native.laneUnlisten(id);
    }
    for (const { id, pool, isUnix } of wanted) native.laneListen(id, pool, isUnix);
  }

  /**
   * Sessions of pools that are no longer configured, or that came by an address that is not, end
   * when they are idle, or when time is up.
   */
  #drainRetired(): void {
    const { pools, listeners, settings } = this.#roster;
    let retired = [
      ...pools.filter(({ isRetired }) => isRetired).map(({ id }) => [id, -1] as const),
      ...listeners.filter(({ isRetired }) => isRetired).map(({ id }) => [-1, id] as const),
    ];
    if (retired.length === 0) return;
    const drain = this.#timers.every(DRAIN_EVERY_MS, () => {
      retired = retired.filter(([pool, listener]) => native.laneDrain(pool, listener) > 0);
      if (retired.length === 0) this.#timers.stop(drain);
    });
    this.#timers.after(settings.global.workerShutdownTimeoutMs, () => {
      for (const [pool, listener] of retired) native.laneCut(pool, listener);
    });
  }

  // --- the loop ---

  /** Takes turns until libuv has something to do. */
  #run(): void {
    const { words, head } = this.#view;
    const shared = this.#segment.shared.words;
    const dispatch = this.#dispatch;
    // Events of what timers did since the last turn come first.
    if (words[head + LaneHead.Descriptors]! > 0) dispatch.decide();
    do {
      const descriptors = native.laneTurn();
      if (descriptors < 0) return this.#given();
      const routes = shared[Superblock.RouteGeneration]!;
      if (routes !== this.#routeGeneration) this.#followRoutes(routes);
      if (descriptors > 0) dispatch.decide();
    } while (words[head + LaneHead.Leave] === 0);
    native.laneFinish();
  }

  /** The master has written new routes: nothing is decided in this turn yet, so they apply from here. */
  #followRoutes(generation: number): void {
    this.#routeGeneration = generation;
    for (const route of this.#routes) route?.follow(generation);
    const { words } = this.#segment.shared;
    Atomics.store(words, this.#laneRow + Lane.RouteGeneration, generation);
  }

  #makeRoutes(): readonly (PoolRoute | undefined)[] {
    const { plan, shared } = this.#segment;
    const first = plan.routeBase / 4;
    const region = shared.words.subarray(first, first + plan.capacities.routeWords);
    return makeRoutes(this.#segment, this.#roster, this.#links, this.order.generation & 1, region);
  }

  /** Walks all tables and the pool. What does not add up is our bug: it is told, not lived with. */
  #check(): void {
    const found = native.laneCheck();
    if (found.length > 0)
      this.#log.to.error(
        { event: 'lane_damaged', found },
        `the lane does not add up: ${found.join('; ')}`,
      );
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

  #setLaneState(state: LaneState): void {
    Atomics.store(this.#segment.shared.words, this.#laneRow + Lane.State, state);
  }

  #readRoster(): Roster {
    const { confOffset, confBytes } = this.order;
    const { bytes } = this.#segment.shared;
    const text = Buffer.from(bytes.buffer, confOffset, confBytes).toString('utf8');
    return JSON.parse(text) as Roster;
  }

  /** Ids of lanes interleave, and one that begins anew begins beyond all ids it has given. */
  #writeFirstClientId(): void {
    const epoch = this.#segment.shared.words[this.#laneRow + Lane.Epoch]!;
    this.#view.doubles[this.#view.head / 2 + LaneHead.NextClientId] =
      (epoch - 1) * 2 ** 31 * LANES_MAX + this.order.lane + 1;
  }

  // --- the end ---

  #end(): void {
    if (!this.#isOwner) this.#exit();
    this.#links.stop();
    native.laneStop();
    this.#setLaneState(LaneState.Stopped);
    native.laneRelease();
    this.#exit();
  }

  /** A worker that ends by itself needs nobody to keep its descriptors. */
  #exit(): never {
    native.laneKeeperStop();
    process.exit(0);
  }
}
