/**
 * A lane that is nobody's: rows in memory of this process only, laid out as a lane's extent is, so
 * that the code that reads lanes can be run before there is one. No call of C++ may be made for it.
 */
import { DescriptorKind, LinkState } from '../shm/codes.js';
import { planInstance, type Capacities, type InstancePlan } from '../shm/plan.js';
import { Descriptor, LaneHead, Link } from '../tables/columns.gen.js';
import { LaneView } from '../tables/lane-view.js';

export interface ScratchLink {
  readonly pool: number; // id
  readonly backend: number; // id
  readonly protocol: 2 | 3;
  readonly place: number;
  readonly state: LinkState;
}

export interface ScratchRequest {
  readonly session: number; // row
  readonly pool: number; // id
  readonly command: number; // id in the command table, -1 = unknown
  readonly hashes: Int32Array; // of its keys, the first one first
  readonly words: readonly Buffer[];
}

const SMALL: Capacities = {
  lanes: 1,
  pools: 4,
  backends: 16,
  sessions: 64,
  links: 64,
  requests: 256,
  commands: 256,
  routeWords: 64,
  confBytes: 64,
  arenaBytes: 1 << 16,
  poolBytesMax: 1 << 20,
};

export class ScratchLane {
  readonly plan: InstancePlan;
  readonly view: LaneView;
  #arenaAt = 0;
  #argumentAt = 0;

  constructor(capacities = SMALL) {
    this.plan = planInstance(capacities);
    const buffer = new ArrayBuffer(this.plan.laneBytes);
    this.view = new LaneView(this.plan, {
      words: new Int32Array(buffer),
      doubles: new Float64Array(buffer),
      bytes: new Uint8Array(buffer),
    });
    this.#head(LaneHead.LinkTop, 1);
    this.#head(LaneHead.SessionTop, 1);
    this.#head(LaneHead.RequestTop, 1);
  }

  /** As the owner before would have left it. */
  putLink(row: number, { pool, backend, protocol, place, state }: ScratchLink): void {
    const { words, link } = this.view;
    const at = link + row * Link.RowWords;
    words[at + Link.Pool] = pool;
    words[at + Link.Backend] = backend;
    words[at + Link.Protocol] = protocol;
    words[at + Link.Place] = place;
    words[at + Link.Fd] = -1;
    words[at + Link.State] = state;
    const top = words[this.view.head + LaneHead.LinkTop]!;
    this.#head(LaneHead.LinkTop, Math.max(top, row + 1));
  }

  /** A turn begins: what was framed before is gone. */
  beginTurn(): void {
    this.#arenaAt = this.#argumentAt = 0;
    this.#head(LaneHead.Descriptors, 0);
    this.#head(LaneHead.Decided, 0);
  }

  /** Frames a request, its arguments listed, at the end of the turn; returns its descriptor. */
  frame({ session, pool, command, hashes, words: parts }: ScratchRequest): number {
    const { words, bytes, descriptor, arena, argument } = this.view;
    const index = words[this.view.head + LaneHead.Descriptors]!;
    const at = descriptor + index * Descriptor.RowWords;
    const begin = this.#arenaAt;
    const first = this.#argumentAt;
    for (const [i, part] of parts.entries()) {
      bytes.set(part, arena + this.#arenaAt);
      words[argument + this.#argumentAt] = this.#arenaAt - begin;
      words[argument + this.#argumentAt + 1] = part.length;
      words[argument + this.#argumentAt + 2] = i === 0 ? 0 : (hashes[i - 1] ?? 0);
      this.#argumentAt += 3;
      this.#arenaAt += part.length;
    }
    words[at + Descriptor.Kind] = DescriptorKind.Request;
    words[at + Descriptor.Row] = session;
    words[at + Descriptor.Plan] = 0;
    words[at + Descriptor.Command] = command;
    words[at + Descriptor.Hash] = hashes[0] ?? 0;
    words[at + Descriptor.Argc] = parts.length;
    words[at + Descriptor.Offset] = begin;
    words[at + Descriptor.Bytes] = this.#arenaAt - begin;
    words[at + Descriptor.Arguments] = first;
    words[at + Descriptor.Pool] = pool;
    this.#head(LaneHead.Descriptors, index + 1);
    return at;
  }

  #head(column: LaneHead, value: number): void {
    this.view.words[this.view.head + column] = value;
  }
}
