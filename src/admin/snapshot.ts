/**
 * Everything an operator may ask for, in one plain object, taken from shared memory at the moment
 * somebody asks. Each way of showing it (twemproxy's JSON, Prometheus, INFO) is a pure function of
 * this object.
 *
 * Counters are since the instance's start and survive reloads; what is "now" says so. Bytes are
 * bytes; times carry their unit in the name.
 */
import {
  BackendCounter, CommandCounter, Lane, LaneCounter, LaneHead, PoolCounter, Superblock, TableNumber,
  Worker,
} from '../tables/columns.gen.js';
import type { CounterSource, OpenLane, PoolTotals, ServerTotals } from '../tables/counters.js';
import { quantile } from '../tables/histogram.js';

/** What shared memory does not know. */
export interface InstanceFacts {
  readonly version: string;
  readonly redisVersion: string; // whose command set is spoken
  readonly host: string;
  readonly commandNames: readonly string[]; // by id in the command table
  readonly now?: () => number; // wall clock, ms
}

export interface Snapshot {
  readonly version: string;
  readonly redisVersion: string;
  readonly host: string;
  readonly masterPid: number;
  readonly atMs: number;
  readonly startedAtMs: number;
  readonly uptimeSeconds: number;
  readonly shm: ShmSnapshot;
  readonly totals: InstanceSnapshot;
  readonly lanes: readonly LaneSnapshot[];
  readonly pools: readonly PoolSnapshot[];
  readonly commands: readonly CommandSnapshot[]; // those that were called, by id
}

export interface ShmSnapshot {
  readonly allocatedBytes: number; // tables, lanes and batches
  readonly reservedBytes: number; // address space
  readonly poolBytes: number; // held by batches of nodes and chunks now
  readonly poolMaxBytes: number; // shm_max
}

/** Sums over everything, removed pools and servers included, so that they never go backwards. */
export interface InstanceSnapshot extends Traffic {
  readonly clients: number; // now
  readonly links: number; // now
  readonly accepted: number;
  readonly connects: number;
  readonly errors: Errors;
}

export interface Traffic {
  readonly requests: number;
  readonly replies: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Error replies, and connections refused or closed, by kind. */
export interface Errors {
  readonly protocol: number; // closed: broken framing
  readonly unknown: number; // unknown command, wrong arity
  readonly refused: number; // command not supported here
  readonly crossslot: number;
  readonly auth: number;
  readonly timeout: number;
  readonly server: number; // because of a server
  readonly clientLimit: number; // connection refused
  readonly outputLimit: number; // closed
  readonly requestLimit: number; // closed
}

export interface LaneSnapshot {
  readonly lane: number; // 0 to worker_processes - 1
  readonly owner: number; // pid of its worker, 0 = nobody
  readonly state: LaneStateName;
  readonly sleeping: boolean;
  readonly restarts: number;
  readonly takeovers: number; // by another worker, without a death
  readonly pauseUs: number; // of the last of these
  readonly hasKeeper: boolean; // the lane's connections survive its worker
  readonly workerStartedAtMs: number;
  readonly sessions: number; // now, as the following
  readonly links: number;
  readonly requestsInFlight: number;
  readonly nodesUsed: number;
  readonly chunksUsed: number;
  readonly turns: number;
  readonly accepts: number;
  readonly acceptErrors: number;
  readonly sleeps: number;
  readonly receives: number;
  readonly sends: number;
  readonly images: number;
  readonly poolFull: number;
  readonly stalls: number;
  readonly poisoned: number;
  readonly rowsDamaged: number;
  readonly coldStarts: number;
  readonly messagesSent: number;
  readonly messagesReceived: number;
  readonly bellsRung: number;
}

/** As shm/codes.ts numbers them. */
export const LANE_STATES = ['free', 'starting', 'serving', 'draining', 'stopped'] as const;
export type LaneStateName = (typeof LANE_STATES)[number];

export interface PoolSnapshot extends Traffic {
  readonly name: string;
  readonly clients: number; // now
  readonly accepted: number;
  readonly clientEof: number;
  readonly clientErrors: number;
  readonly forwardErrors: number;
  readonly fragments: number;
  readonly local: number;
  readonly stalls: number;
  readonly ejections: number;
  readonly errors: Errors;
  readonly latency: Latency;
  readonly servers: readonly ServerSnapshot[];
}

export interface ServerSnapshot {
  readonly name: string;
  readonly live: boolean;
  readonly connections: number; // now
  readonly connects: number;
  readonly eof: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly ejections: number;
  readonly ejectedAtUs: number; // wall clock, 0 = never
  readonly requests: number;
  readonly requestBytes: number;
  readonly responses: number;
  readonly responseBytes: number;
  readonly owed: number; // requests whose reply is owed, now
  readonly unsentBytes: number; // bytes queued, not yet sent, now
  readonly failuresInRow: number; // now
  readonly failures: number;
  readonly late: number;
  readonly latency: Latency;
}

/** From a request's arrival to its delivery. */
export interface Latency {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly buckets: Float64Array;
}

export interface CommandSnapshot {
  readonly name: string;
  readonly calls: number;
  readonly errors: number;
  readonly usec: number; // together
}

const OWNER_STATES = 4; // lane.owner = worker row * 4 + OwnerState

/** What all lanes hold, nodes and chunks. */
function poolBytesOf({ plan, shared: { doubles } }: CounterSource): number {
  let bytes = 0;
  for (let lane = 0; lane < plan.capacities.lanes; lane++) {
    const at = plan.tableBase[TableNumber.Lane]! / 8 + lane * Lane.RowDoubles + Lane.PoolBytes;
    bytes += doubles[at]! + doubles[at + 1]!;
  }
  return bytes;
}

/** Reads everything now. */
export function takeSnapshot(source: CounterSource, facts: InstanceFacts): Snapshot {
  const { plan, shared: { words, doubles } } = source;
  const totals = source.read();
  const atMs = (facts.now ?? Date.now)();
  const startedAtMs = doubles[Superblock.StartedAt];
  const poolBytes = poolBytesOf(source);
  const { pool, server } = totals.instance;
  return {
    version: facts.version,
    redisVersion: facts.redisVersion,
    host: facts.host,
    masterPid: words[Superblock.MasterPid],
    atMs,
    startedAtMs,
    uptimeSeconds: Math.max(0, Math.floor((atMs - startedAtMs) / 1000)),
    shm: {
      allocatedBytes: plan.sharedBytes + source.lanes.length * plan.laneBytes + poolBytes,
      reservedBytes: doubles[Superblock.Bytes],
      poolBytes,
      poolMaxBytes: doubles[Superblock.PoolBytesMax],
    },
    totals: {
      ...trafficOf(pool),
      clients: pool[PoolCounter.ClientConnections],
      links: server[BackendCounter.Connections],
      accepted: pool[PoolCounter.Accepted],
      connects: server[BackendCounter.Connects],
      errors: errorsOf(pool),
    },
    lanes: source.lanes.map((lane) => laneOf(lane, totals.lanes.get(lane.row)!, source)),
    pools: [...totals.pools].map(([name, each]) => poolOf(name, each)),
    commands: commandsOf(totals.commands, facts.commandNames),
  };
}

function trafficOf(counts: Float64Array): Traffic {
  return {
    requests: counts[PoolCounter.Requests],
    replies: counts[PoolCounter.Replies],
    bytesIn: counts[PoolCounter.BytesIn],
    bytesOut: counts[PoolCounter.BytesOut],
  };
}

function errorsOf(counts: Float64Array): Errors {
  return {
    protocol: counts[PoolCounter.ErrorProtocol],
    unknown: counts[PoolCounter.ErrorUnknown],
    refused: counts[PoolCounter.ErrorRefused],
    crossslot: counts[PoolCounter.ErrorCrossslot],
    auth: counts[PoolCounter.ErrorAuth],
    timeout: counts[PoolCounter.ErrorTimeout],
    server: counts[PoolCounter.ForwardError],
    clientLimit: counts[PoolCounter.RefusedClients],
    outputLimit: counts[PoolCounter.ClosedOutput],
    requestLimit: counts[PoolCounter.ClosedRequest],
  };
}

function laneOf(
  { row, views }: OpenLane, counts: Float64Array, { plan, shared }: CounterSource,
): LaneSnapshot {
  const base = plan.tableBase[TableNumber.LaneHead] / 4;
  const head = (column: LaneHead): number => views.words[base + column];
  const laneWords = plan.tableBase[TableNumber.Lane] / 4 + row * Lane.RowWords;
  const word = (column: Lane): number => shared.words[laneWords + column];
  const workerRow = Math.floor(word(Lane.Owner) / OWNER_STATES);
  const worker = plan.tableBase[TableNumber.Worker] / 4 + workerRow * Worker.RowWords;
  return {
    lane: row,
    owner: workerRow === 0 ? 0 : shared.words[worker + Worker.Pid],
    state: LANE_STATES[word(Lane.State)] ?? 'free',
    sleeping: word(Lane.Sleeping) !== 0,
    restarts: word(Lane.Restarts),
    takeovers: word(Lane.Takeovers),
    pauseUs: shared.doubles[laneWords / 2 + Lane.PauseUs],
    hasKeeper: workerRow !== 0 && shared.words[worker + Worker.KeeperPid] !== 0,
    workerStartedAtMs: workerRow === 0 ? 0 : shared.doubles[worker / 2 + Worker.StartedAt],
    sessions: head(LaneHead.SessionsOpen),
    links: head(LaneHead.LinksOpen),
    requestsInFlight: head(LaneHead.RequestsOpen),
    nodesUsed: head(LaneHead.NodesUsed),
    chunksUsed: head(LaneHead.ChunksUsed),
    turns: counts[LaneCounter.Turns],
    accepts: counts[LaneCounter.Accepts],
    acceptErrors: counts[LaneCounter.AcceptErrors],
    sleeps: counts[LaneCounter.Sleeps],
    receives: counts[LaneCounter.Receives],
    sends: counts[LaneCounter.Sends],
    images: counts[LaneCounter.Images],
    poolFull: counts[LaneCounter.PoolFull],
    stalls: counts[LaneCounter.Stalls],
    poisoned: counts[LaneCounter.Poisoned],
    rowsDamaged: counts[LaneCounter.RowsDamaged],
    coldStarts: counts[LaneCounter.ColdStarts],
    messagesSent: counts[LaneCounter.MessagesSent],
    messagesReceived: counts[LaneCounter.MessagesReceived],
    bellsRung: counts[LaneCounter.BellsRung],
  };
}

function poolOf(name: string, { counts, latency, ejections, servers }: PoolTotals): PoolSnapshot {
  return {
    name,
    ...trafficOf(counts),
    clients: counts[PoolCounter.ClientConnections],
    accepted: counts[PoolCounter.Accepted],
    clientEof: counts[PoolCounter.ClientEof],
    clientErrors: counts[PoolCounter.ClientErr],
    forwardErrors: counts[PoolCounter.ForwardError],
    fragments: counts[PoolCounter.Fragments],
    local: counts[PoolCounter.Local],
    stalls: counts[PoolCounter.Stalled],
    ejections,
    errors: errorsOf(counts),
    latency: latencyOf(latency),
    servers: [...servers].map(([serverName, each]) => serverOf(serverName, each)),
  };
}

function serverOf(name: string, totals: ServerTotals): ServerSnapshot {
  const { counts, latency, ejections, ejectedAtUs, live } = totals;
  return {
    name,
    live,
    connections: counts[BackendCounter.Connections],
    connects: counts[BackendCounter.Connects],
    eof: counts[BackendCounter.ServerEof],
    errors: counts[BackendCounter.ServerErr],
    timeouts: counts[BackendCounter.ServerTimedout],
    ejections,
    ejectedAtUs,
    requests: counts[BackendCounter.Requests],
    requestBytes: counts[BackendCounter.RequestBytes],
    responses: counts[BackendCounter.Responses],
    responseBytes: counts[BackendCounter.ResponseBytes],
    owed: counts[BackendCounter.InQueue],
    unsentBytes: counts[BackendCounter.InQueueBytes],
    failuresInRow: counts[BackendCounter.Failures],
    failures: counts[BackendCounter.FailuresTotal],
    late: counts[BackendCounter.Late],
    latency: latencyOf(latency),
  };
}

function latencyOf(buckets: Float64Array): Latency {
  return {
    p50Us: quantile(buckets, 0.5),
    p99Us: quantile(buckets, 0.99),
    p999Us: quantile(buckets, 0.999),
    buckets,
  };
}

function commandsOf(counts: Float64Array, names: readonly string[]): CommandSnapshot[] {
  const called: CommandSnapshot[] = [];
  names.forEach((name, id) => {
    const at = id * CommandCounter.RowDoubles;
    const [calls, errors] = [counts[at + CommandCounter.Calls], counts[at + CommandCounter.Errors]];
    if (calls > 0 || errors > 0) {
      called.push({ name, calls, errors, usec: counts[at + CommandCounter.Usec] });
    }
  });
  return called;
}
