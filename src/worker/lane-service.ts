/**
 * One lane as this process serves it, or could: what reads its rows and decides, made before the
 * lane is ours, so that a take is short. One that waits for any lane has such a service for each.
 *
 *   made ──begin──► serves, turn by turn ──another claims──► onGiven ──begin──► …
 *                        │ drain, leave
 *                        ▼
 *                     nobody's
 *
 * Between turns libuv runs timers and signals as in any Node program; inside run() there is only the
 * loop below. A lane that was given away has no timer here.
 */
import type { Log } from '../base/log.js';
import type { WorkerOrder } from '../base/worker-order.js';
import type { Roster } from '../config/roster.js';
import { native } from '../native/binding.js';
import { Dispatch } from '../proxy/dispatch.js';
import { LinkSet } from '../proxy/link-set.js';
import { makeRoutes, type PoolRoute } from '../proxy/pool-route.js';
import { relayHomes } from '../proxy/relay-homes.js';
import { SessionDesk } from '../proxy/session-desk.js';
import { bringLane, isOurs } from '../shm/bring-lane.js';
import { LaneState, ListenerState } from '../shm/codes.js';
import { LANES_MAX } from '../shm/plan.js';
import type { Segment } from '../shm/segment.js';
import { Lane, LaneHead, Listener, PoolCounter, Superblock, TableNumber } from '../tables/columns.gen.js';
import { LaneView } from '../tables/lane-view.js';
import { LaneLog } from './lane-log.js';
import type { WorkerFacts } from './proxy-facts.js';
import { Timers } from './timers.js';

/** How often a worker that drains looks for sessions that have become idle. */
const DRAIN_EVERY_MS = 20;
/** More than a lane's life has; beyond, ids would no longer be whole numbers. */
const EPOCHS_OF_IDS = 2 ** 15;
/** For tests: the lane is checked when it is taken, and so often while it serves. */
const CHECKS = process.env['BATON_CHECKS'] === '1';
const CHECK_EVERY_MS = 250;

export class LaneService {
  readonly #view: LaneView;
  readonly #desk: SessionDesk;
  readonly #laneLog: LaneLog;
  readonly #links: LinkSet;
  readonly #laneRow: number; // word position in the instance tables
  readonly #timers = new Timers();
  readonly #routes: readonly (PoolRoute | undefined)[];
  readonly #dispatch: Dispatch;
  #routeGeneration = 0;
  #isDraining = false;

  constructor(
    readonly lane: number,
    private readonly order: Pick<WorkerOrder, 'generation' | 'doorbellFd'>,
    private readonly segment: Segment,
    private readonly roster: Roster,
    private readonly log: Log,
    facts: WorkerFacts,
    /** Another worker owns the lane: nothing of it may be touched from now on. */
    private readonly onGiven: () => void,
  ) {
    this.#laneRow = segment.wordBase(TableNumber.Lane) + lane * Lane.RowWords;
    this.#view = new LaneView(segment.plan, segment.laneViews(lane));
    const pools = new Map(roster.pools.map(({ id, settings }) => [id, settings]));
    const poolOf = (id: number) => pools.get(id)!;
    this.#desk = new SessionDesk(this.#view, lane, poolOf);
    this.#laneLog = new LaneLog(log.to, this.#desk, poolOf);
    this.#links = new LinkSet(this.#view, roster, {
      onChange: (server, pool, up, reason) =>
        this.#laneLog.onServerChange(server, pool, up, reason),
      onFailing: () => native.processRing(order.doorbellFd),
    }, relayHomes(segment, roster, lane));
    this.#routes = this.#makeRoutes();
    this.#dispatch = new Dispatch(
      this.#view, this.#routes, this.#links, this.#desk, facts, this.#laneLog,
      segment.plan.capacities.requests,
    );
  }

  /** The lane has just become this process's: from rows to a running loop. */
  begin(): void {
    native.laneVet(isOurs(this.segment, this.lane));
    bringLane(this.segment, this.lane);
    native.laneBegin();
    const findings = native.laneFindings();
    this.#laneLog.onFindings(findings);
    // What was damaged is whole again only after the first turn.
    if (CHECKS && findings.length === 0) this.#check();
    this.#writeFirstClientId();
    this.#cutUnknown();
    this.#serve();
  }

  /** No new sessions; calls back when those there are have ended. Once. */
  drain(then: () => void): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#setState(LaneState.Draining);
    native.laneCloseListeners();
    this.#timers.every(DRAIN_EVERY_MS, () => {
      if (native.laneDrain(-1, -1) > 0) return;
      native.laneFinish();
      this.#check();
      then();
    });
  }

  /** The lane ends: nobody's from now on. */
  leave(): void {
    this.#links.stop();
    native.laneStop();
    this.#setState(LaneState.Stopped);
    native.laneRelease();
  }

  /** Sessions of pools that only the owner before knew: a roll back to an older configuration. */
  #cutUnknown(): void {
    const known = new Set(this.roster.pools.map(({ id }) => id));
    const { doubles, poolCounter } = this.#view;
    for (let id = 0; id < this.segment.plan.capacities.pools / 2; id++) {
      const at = poolCounter + id * PoolCounter.RowDoubles + PoolCounter.ClientConnections;
      if (doubles[at]! > 0 && !known.has(id)) native.laneCut(id, -1);
    }
  }

  /** What is done here belongs to the first turn. */
  #serve(): void {
    const { words } = this.segment.shared;
    this.#links.adopt();
    this.#followRoutes(words[Superblock.RouteGeneration]!);
    Atomics.store(words, this.#laneRow + Lane.Generation, this.order.generation);
    this.#setState(LaneState.Serving);
    this.#listen();
    this.#links.start();
    if (CHECKS) this.#timers.every(CHECK_EVERY_MS, () => this.#check());
    this.#drainRetired();
    native.laneStart(() => this.#run());
  }

  #given(): void {
    this.#isDraining = false;
    this.#links.stop();
    this.#timers.clear();
    native.laneStop();
    this.onGiven();
  }

  /** Of what the owner before has watched, also what only his configuration knew ends here. */
  #listen(): void {
    const { words } = this.#view;
    const table = this.segment.plan.tableBase[TableNumber.Listener]! / 4;
    const wanted = this.roster.listeners.filter(({ isRetired }) => !isRetired);
    const ids = new Set(wanted.map(({ id }) => id));
    for (let id = 0; id < this.segment.plan.capacities.pools; id++) {
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
    const { pools, listeners, settings } = this.roster;
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
    const shared = this.segment.shared.words;
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
    const { words } = this.segment.shared;
    Atomics.store(words, this.#laneRow + Lane.RouteGeneration, generation);
  }

  #makeRoutes(): readonly (PoolRoute | undefined)[] {
    const { plan, shared } = this.segment;
    const first = plan.routeBase / 4;
    const region = shared.words.subarray(first, first + plan.capacities.routeWords);
    return makeRoutes(this.segment, this.roster, this.#links, this.order.generation & 1, region);
  }

  /** Walks all tables and the pool. What does not add up is our bug: it is told, not lived with. */
  #check(): void {
    const found = native.laneCheck();
    if (found.length > 0)
      this.log.to.error(
        { event: 'lane_damaged', found },
        `the lane does not add up: ${found.join('; ')}`,
      );
  }

  #setState(state: LaneState): void {
    Atomics.store(this.segment.shared.words, this.#laneRow + Lane.State, state);
  }

  /** Ids of lanes interleave, and a lane that begins anew begins beyond all ids it has given. */
  #writeFirstClientId(): void {
    const { doubles, head } = this.#view;
    const at = head / 2 + LaneHead.NextClientId;
    if (doubles[at] !== 0) return;
    const epoch = this.segment.shared.words[this.#laneRow + Lane.Epoch]!;
    doubles[at] = (epoch - 1) % EPOCHS_OF_IDS * 2 ** 31 * LANES_MAX + this.lane + 1;
  }
}
