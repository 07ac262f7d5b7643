/** What commands that the proxy answers itself may ask about the rest of it: INFO, CLIENT LIST … */
import { hostname } from 'node:os';
import { infoFields } from '../admin/info.js';
import { takeSnapshot, type InstanceFacts } from '../admin/snapshot.js';
import type { Settings } from '../config/settings.js';
import { commands } from '../protocol/command-table.js';
import type { ClientFacts, Field, InfoSection, ProxyFacts } from '../proxy/local-answer.js';
import { SessionDesk } from '../proxy/session-desk.js';
import { LaneState } from '../shm/codes.js';
import type { Segment } from '../shm/segment.js';
import { Lane, TableNumber } from '../tables/columns.gen.js';
import { CounterSource } from '../tables/counters.js';
import { LaneView } from '../tables/lane-view.js';
import { REDIS_VERSION, VERSION } from '../base/version.js';

export class WorkerFacts implements ProxyFacts {
  readonly version = VERSION;
  readonly #facts: InstanceFacts;

  constructor(
    private readonly segment: Segment,
    private readonly settings: Settings,
    private readonly firstLane: number,
    private readonly lanes: number,
    private readonly firstPool: number,
  ) {
    this.#facts = {
      version: VERSION,
      redisVersion: REDIS_VERSION,
      host: hostname(),
      commandNames: commands.map(({ name }) => name),
    };
  }

  nowMicros(): number {
    return Math.floor((performance.timeOrigin + performance.now()) * 1000);
  }

  infoFields(section: InfoSection): readonly Field[] {
    const source = new CounterSource(this.segment.plan, this.segment.shared);
    source.openHalf(0, this.settings.pools, this.firstPool);
    for (const row of this.#runningLanes()) {
      source.openLane({
        row,
        number: row - this.firstLane,
        half: 0,
        views: this.segment.laneViews(row),
      });
    }
    return infoFields(takeSnapshot(source, this.#facts), section);
  }

  *configValues(): Generator<readonly [string, string]> {
    const longest = Math.max(...this.settings.pools.map((pool) => pool.requestSizeMaxBytes));
    yield ['proto-max-bulk-len', String(longest)];
  }

  *clients(): Generator<ClientFacts> {
    const all: ClientFacts[] = [];
    for (const row of this.#runningLanes()) {
      const view = new LaneView(this.segment.plan, this.segment.laneViews(row));
      const desk = new SessionDesk(
        view,
        row,
        (pool) => this.settings.pools[pool - this.firstPool]!,
      );
      all.push(...desk.clients());
    }
    yield* all.sort((a, b) => a.id - b.id);
  }

  /** Lanes of this configuration whose extent is allocated: only those may be looked at. */
  *#runningLanes(): Generator<number> {
    const { words } = this.segment.shared;
    for (let i = 0; i < this.lanes; i++) {
      const row = this.firstLane + i;
      const at = this.segment.wordBase(TableNumber.Lane) + row * Lane.RowWords;
      const state = Atomics.load(words, at + Lane.State) as LaneState;
      if (state === LaneState.Serving || state === LaneState.Draining) yield row;
    }
  }
}
