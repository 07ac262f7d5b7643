/**
 * Runs one lane: attaches to shared memory, listens, takes turns until it is told to end.
 *
 *   Starting ──► Serving ──QUIT──► Draining ──last session, or the master's patience──► Stopped
 *                   └──TERM──────────────────────────────────────────────────────────► Stopped
 *
 * Between turns libuv runs timers and signals as in any Node program; inside run() there is only the
 * loop below.
 */
import { Log } from '../base/log.js';
import type { WorkerOrder } from '../base/worker-order.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { Dispatch, commandNames, commandShapes } from '../proxy/dispatch.js';
import { LinkSet } from '../proxy/link-set.js';
import { PoolRoute } from '../proxy/pool-route.js';
import { SessionDesk } from '../proxy/session-desk.js';
import { LaneState } from '../shm/codes.js';
import { LANES_MAX } from '../shm/plan.js';
import { Segment } from '../shm/segment.js';
import { Lane, LaneHead, Pool, Superblock, TableNumber } from '../tables/columns.gen.js';
import { LaneView } from '../tables/lane-view.js';
import { attachLane } from './attach.js';
import { LaneLog } from './lane-log.js';
import { WorkerFacts } from './proxy-facts.js';

const SIGTERM = 15;
const FIRST_LINK = 1;
/** How often a worker that drains looks for sessions that have become idle. */
const DRAIN_EVERY_MS = 20;
/** A turn at least so often, however quiet it is: the lane's heartbeat. */
const HEARTBEAT_MS = 100;
/** With BATON_CHECKS=1, for tests: how often the lane is checked while it serves. */
const CHECK_EVERY_MS = 250;

export class Worker {
  readonly #log: Log;
  readonly #segment: Segment;
  readonly #settings: Settings;
  readonly #view: LaneView;
  readonly #routes: PoolRoute[];
  readonly #links: LinkSet;
  readonly #dispatch: Dispatch;
  readonly #laneRow: number;
  #routeGeneration = 0;
  #stopping = false;

  constructor(private readonly order: WorkerOrder) {
    this.#log = new Log({
      file: order.logFile ?? null,
      level: order.logLevel,
      role: `worker ${order.workerNumber}`,
    });
    if (order.user !== undefined) native.processUser(order.user, order.group ?? null);
    if (native.processParentDeath(SIGTERM) !== order.masterPid) process.exit(0);
    if (order.affinity !== undefined) native.processAffinity(order.affinity);
    this.#segment = Segment.attach(order.shmFd, order.segmentBytes);
    this.#laneRow = this.#segment.wordBase(TableNumber.Lane) + order.lane * Lane.RowWords;
    this.#claim();
    this.#settings = this.#readSettings();
    this.#view = new LaneView(this.#segment.plan, this.#segment.laneViews(order.lane));
    attachLane(this.#segment, order.lane, order.fdBase);
    this.#view.doubles[this.#view.head / 2 + LaneHead.NextClientId] = this.#firstClientId();
    native.laneCommands(commandNames(), commandShapes());

    const poolOf = (row: number) => this.#settings.pools[row - order.firstPool]!;
    const desk = new SessionDesk(this.#view, order.lane, poolOf);
    const laneLog = new LaneLog(this.#log.to, desk, poolOf);
    this.#links = new LinkSet(this.#view, {
      onChange: (server, pool, up, reason) => laneLog.onServerChange(server, pool, up, reason),
      onFailing: () => native.processRing(order.doorbellFd),
    });
    this.#routes = this.#makeRoutes();
    const workers = this.#segment.plan.capacities.lanes / 2;
    const firstLane = order.lane < workers ? 0 : workers;
    const facts = new WorkerFacts(
      this.#segment,
      this.#settings,
      firstLane,
      workers,
      order.firstPool,
    );
    this.#dispatch = new Dispatch(
      this.#view,
      this.#routes,
      order.firstPool,
      this.#links,
      desk,
      facts,
      laneLog,
      this.#segment.plan.capacities.requests,
    );
  }

  start(): void {
    for (const { fd, pool, unix } of this.order.listeners) native.laneListen(fd, pool, unix);
    this.#links.start();
    setInterval(() => {}, HEARTBEAT_MS);
    if (process.env['BATON_CHECKS'] === '1') setInterval(() => this.#check(), CHECK_EVERY_MS);
    native.processTitle(`baton: worker process ${this.order.workerNumber}`);
    this.#setState(LaneState.Serving);
    native.laneStart(() => this.#run());
  }

  /** Ends at once; what is under way is lost. */
  stopFast(): void {
    this.#end();
  }

  /** No new sessions; those there are end as soon as they have nothing under way. */
  stopGracefully(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#setState(LaneState.Draining);
    native.laneCloseListeners();
    const timer = setInterval(() => {
      if (native.laneDrain() > 0) return;
      clearInterval(timer);
      native.laneFinish();
      this.#check();
      this.#end();
    }, DRAIN_EVERY_MS);
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

  /** Walks all tables and the pool. What does not add up is our bug: it is told, not lived with. */
  #check(): void {
    const found = native.laneCheck();
    if (found.length > 0)
      this.#log.to.error(
        { event: 'lane_damaged', found },
        `the lane does not add up: ${found.join('; ')}`,
      );
  }

  /** Takes turns until libuv has something to do. */
  #run(): void {
    const { words, head } = this.#view;
    // Events of what timers did since the last turn come first.
    if (words[head + LaneHead.Descriptors]! > 0) this.#dispatch.decide();
    do {
      const descriptors = native.laneTurn();
      this.#followRoutes();
      if (descriptors > 0) this.#dispatch.decide();
    } while (words[head + LaneHead.Leave] === 0);
    native.laneFinish();
  }

  /** The master has written new routes: nothing is decided in this turn yet, so they apply from here. */
  #followRoutes(): void {
    const { words } = this.#segment.shared;
    const generation = words[Superblock.RouteGeneration]!;
    if (generation === this.#routeGeneration) return;
    this.#routeGeneration = generation;
    for (const route of this.#routes) route.follow(generation);
    Atomics.store(words, this.#laneRow + Lane.RouteGeneration, generation);
  }

  #claim(): void {
    const { words } = this.#segment.shared;
    Atomics.store(words, this.#laneRow + Lane.State, LaneState.Starting);
    Atomics.store(words, this.#laneRow + Lane.Owner, process.pid);
    Atomics.add(words, this.#laneRow + Lane.Epoch, 1);
    this.#segment.shared.doubles[this.#laneRow / 2 + Lane.WorkerStartedAt] = Date.now();
  }

  #setState(state: LaneState): void {
    Atomics.store(this.#segment.shared.words, this.#laneRow + Lane.State, state);
  }

  #readSettings(): Settings {
    const { confOffset, confBytes } = this.order;
    const { bytes } = this.#segment.shared;
    return JSON.parse(
      Buffer.from(bytes.buffer, confOffset, confBytes).toString('utf8'),
    ) as Settings;
  }

  /** Ids of lanes interleave, and a lane's next owner begins beyond all ids of this one. */
  #firstClientId(): number {
    const epoch = this.#segment.shared.words[this.#laneRow + Lane.Epoch]!;
    return (epoch - 1) * 2 ** 31 * LANES_MAX + this.order.lane + 1;
  }

  #makeRoutes(): PoolRoute[] {
    const { plan, shared } = this.#segment;
    const routeWords = shared.words.subarray(
      plan.routeBase / 4,
      plan.routeBase / 4 + plan.capacities.routeWords,
    );
    this.#routeGeneration = shared.words[Superblock.RouteGeneration]!;
    Atomics.store(shared.words, this.#laneRow + Lane.RouteGeneration, this.#routeGeneration);
    let link = FIRST_LINK;
    return this.#settings.pools.map((pool, index) => {
      const row = this.order.firstPool + index;
      const at = this.#segment.wordBase(TableNumber.Pool) + row * Pool.RowWords;
      const column = (which: Pool): number => shared.words[at + which]!;
      const firstLink = link;
      link = this.#links.add(pool, row, column(Pool.FirstBackend), firstLink);
      const route = new PoolRoute(
        pool,
        row,
        column(Pool.FirstBackend),
        pool.serverConnections,
        column(Pool.Hash),
        column(Pool.TagOpen),
        column(Pool.TagClose),
        pool.linkQueueLimitBytes,
        firstLink,
        routeWords,
        column(Pool.RouteBase),
        column(Pool.RouteWords),
      );
      route.follow(this.#routeGeneration);
      return route;
    });
  }

  #end(): void {
    this.#links.stop();
    native.laneStop();
    this.#setState(LaneState.Stopped);
    native.laneRelease();
    process.exit(0);
  }
}
