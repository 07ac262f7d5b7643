/** What commands that the proxy answers itself may ask about the rest of it: INFO, CLIENT LIST … */
import { hostname } from 'node:os';
import { infoFields } from '../admin/info.js';
import { takeSnapshot, type InstanceFacts } from '../admin/snapshot.js';
import { REDIS_VERSION, VERSION } from '../base/version.js';
import type { Roster } from '../config/roster.js';
import type { PoolSettings } from '../config/settings.js';
import { commands } from '../protocol/command-table.js';
import type { ClientFacts, Field, InfoSection, ProxyFacts } from '../proxy/local-answer.js';
import { SessionDesk } from '../proxy/session-desk.js';
import { LaneState } from '../shm/codes.js';
import type { Segment } from '../shm/segment.js';
import { Lane, SCHEMA_HASH, TableNumber } from '../tables/columns.gen.js';
import { CounterSource } from '../tables/counters.js';
import { LaneView } from '../tables/lane-view.js';

export class WorkerFacts implements ProxyFacts {
  readonly version = VERSION;
  readonly #facts: InstanceFacts;
  readonly #counters: CounterSource;
  readonly #pools: ReadonlyMap<number, PoolSettings>;
  readonly #views = new Map<number, LaneView>();

  constructor(
    private readonly segment: Segment,
    private readonly roster: Roster,
  ) {
    this.#facts = {
      version: VERSION,
      redisVersion: REDIS_VERSION,
      host: hostname(),
      commandNames: commands.map(({ name }) => name),
    };
    this.#counters = new CounterSource(segment.plan, segment.shared);
    this.#counters.follow(roster, roster.generation & 1);
    this.#pools = new Map(roster.pools.map(({ id, settings }) => [id, settings]));
  }

  nowMicros(): number {
    return Math.floor((performance.timeOrigin + performance.now()) * 1000);
  }

  infoFields(section: InfoSection): readonly Field[] {
    this.#counters.openLanes((lane) => this.segment.laneViews(lane));
    return infoFields(takeSnapshot(this.#counters, this.#facts), section);
  }

  *configValues(): Generator<readonly [string, string]> {
    const { pools } = this.roster.settings;
    const longest = Math.max(...pools.map((pool) => pool.requestSizeMaxBytes));
    yield ['proto-max-bulk-len', String(longest)];
  }

  *clients(): Generator<ClientFacts> {
    const all: ClientFacts[] = [];
    for (const lane of this.#readableLanes()) {
      const desk = new SessionDesk(this.#viewOf(lane), lane, (pool) => this.#pools.get(pool));
      all.push(...desk.clients());
    }
    yield* all.sort((a, b) => a.id - b.id);
  }

  /**
   * Lanes that serve, in the layout of this program: while another version takes over, those that
   * it has are its own to tell of.
   */
  *#readableLanes(): Generator<number> {
    const { words, doubles } = this.segment.shared;
    for (let lane = 0; lane < this.segment.plan.capacities.lanes; lane++) {
      const at = this.segment.wordBase(TableNumber.Lane) + lane * Lane.RowWords;
      if (doubles[at / 2 + Lane.Base] === 0) continue; // never opened: there is no memory
      const state = Atomics.load(words, at + Lane.State) as LaneState;
      const isRunning = state === LaneState.Serving || state === LaneState.Draining;
      if (isRunning && words[at + Lane.SchemaHash] === SCHEMA_HASH) yield lane;
    }
  }

  #viewOf(lane: number): LaneView {
    let view = this.#views.get(lane);
    if (view === undefined) {
      view = new LaneView(this.segment.plan, this.segment.laneViews(lane));
      this.#views.set(lane, view);
    }
    return view;
  }
}
