/**
 * Makes the code that decides about requests fast before there are any. A new worker would run its
 * first turns in an interpreter, ten times slower, just when all clients of a lane wait for it: so
 * it decides about made-up requests first, on a lane in its own memory.
 *
 *   scratch lane: two pools, links that are up, down and full, a turn of every kind of request
 *                 ──► the same turn is decided again and again until V8 has compiled what it takes
 *
 * Nothing here may reach the lane that is to be taken: no request that changes its session, that
 * fills the program region or that needs a connection.
 */
import type { Roster, RosterPool } from '../config/roster.js';
import type { DistributionName, PoolSettings, Settings } from '../config/settings.js';
import { commandId } from '../protocol/command-table.js';
import { Dispatch } from '../proxy/dispatch.js';
import type { LaneEvents } from '../proxy/lane-events.js';
import { LinkSet } from '../proxy/link-set.js';
import type { ProxyFacts } from '../proxy/local-answer.js';
import { PoolRoute } from '../proxy/pool-route.js';
import { SessionDesk } from '../proxy/session-desk.js';
import { distributionOf } from '../routing/distribution.js';
import { hashKindOf } from '../routing/hash-kinds.js';
import { routeWordsMax, writeRoute } from '../routing/route-table.js';
import { DescriptorKind, LinkState, SessionMode } from '../shm/codes.js';
import { Descriptor, LaneHead, Link, Session } from '../tables/columns.gen.js';
import { ScratchLane } from './scratch-lane.js';
import { Timers } from './timers.js';

const SERVERS = 3;
const SESSIONS = 32;
const POOLS: readonly DistributionName[] = ['ketama', 'modula'];
/** One pool's clients use one link to a server, the other's two. */
const CONNECTIONS = [1, 2];
/** Turns of 256 requests: enough for V8's optimizing compiler, whatever the machine. */
const TURNS = 250;
const ADOPTIONS = 8;
const FAR_AWAY_US = 1e15;
const FAR_AWAY_MS = 1e6;
const QUEUE_LIMIT = 1 << 20;
const TOO_MUCH = QUEUE_LIMIT + 1;
/** Of the links for RESP3, by server. */
const STATES = [LinkState.Down, LinkState.Up, LinkState.Connecting];
/** Events that come between requests, and change nothing here. */
const EVENTS_MIX = [
  DescriptorKind.LinkUp,
  DescriptorKind.LinkReply,
  DescriptorKind.ServerFailing,
  DescriptorKind.SessionClosed,
  DescriptorKind.AcceptFailed,
  DescriptorKind.ClientRefused,
  DescriptorKind.ProtocolError,
  DescriptorKind.Message,
];

/** What a turn is made of: mostly what most clients send. `key` and `value` stand for several. */
const MIX: readonly (readonly [times: number, text: string])[] = [
  [80, 'GET key'],
  [50, 'SET key value'],
  [20, 'INCR key'],
  [16, 'LPUSH key value value'],
  [8, 'HSET key field value'],
  [12, 'PING'],
  [12, 'MGET key key key key'],
  [10, 'MSET key value key value'],
  [10, 'DEL key'],
  [6, 'DEL key key'],
  [6, 'RENAME key key'],
  [6, 'ECHO value'],
  [4, 'GET'],
  [4, 'NOSUCHCOMMAND key'],
  [4, 'CLIENT ID'],
  [4, 'CLIENT GETNAME'],
  [4, 'EVAL script 1 key'],
];

/** Returns how many requests were decided. Takes about a tenth of a second. */
export function warmUp(lane = new ScratchLane()): number {
  const roster = rosterOf(POOLS.map(poolOf));
  putRows(lane, roster);
  const links = new LinkSet(lane.view, roster, { onChange: () => {}, onFailing: () => {} });
  const routes = roster.pools.map((pool) => routeOf(pool, links));
  links.use(routes);
  const timers = new Timers();
  for (let i = 0; i < ADOPTIONS; i++) {
    links.adopt();
    links.start();
    timers.every(FAR_AWAY_MS, () => {});
    links.stop();
    timers.clear();
  }
  const desk = new SessionDesk(lane.view, 0, (id) => roster.pools[id]?.settings);
  const { requests } = lane.plan.capacities;
  const dispatch = new Dispatch(lane.view, routes, links, desk, FACTS, EVENTS, requests);
  const framed = frameTurn(lane);
  const { words, head } = lane.view;
  for (let turn = 0; turn < TURNS; turn++) {
    words[head + LaneHead.Decided] = 0;
    for (const route of routes) route.follow(turn);
    dispatch.decide();
  }
  return framed * TURNS;
}

function frameTurn(lane: ScratchLane): number {
  lane.beginTurn();
  const rounds = MIX.flatMap(([times, text]) => Array.from({ length: times }, () => text));
  // Kinds alternate, as clients' do: a stride that shares no factor with the number of requests.
  for (let i = 0; i < rounds.length; i++) {
    const [name, ...rest] = rounds[(i * 89) % rounds.length]!.split(' ');
    const args = rest.map((word, at) => Buffer.from(word === 'key' ? `key:${i}:${at}` : word));
    const at = lane.frame({
      session: 1 + (i % SESSIONS),
      pool: (i >> 3) % POOLS.length,
      command: commandIdOf(name!),
      hashes: Int32Array.from(args, (_, at) => Math.imul(i * 31 + at + 1, 0x9e3779b1)),
      words: [Buffer.from(name!), ...args],
    });
    if (i % 16 !== 0) continue;
    lane.view.words[at + Descriptor.Kind] = EVENTS_MIX[(i / 16) % EVENTS_MIX.length]!;
    lane.view.words[at + Descriptor.Row] = 1;
  }
  return rounds.length;
}

function commandIdOf(name: string): number {
  return name.startsWith('NOSUCH') ? -1 : commandId(name.toLowerCase());
}

/** Everything is there and up for RESP2; for RESP3 a server is lost, one is full, one connects. */
function putRows(lane: ScratchLane, roster: Roster): void {
  const { words, doubles, link, session } = lane.view;
  let row = 1;
  for (const { id, settings, backends } of roster.pools) {
    for (const backend of backends) {
      for (const protocol of [2, 3] as const) {
        for (let place = 0; place < settings.serverConnections; place++) {
          const state = protocol === 2 ? LinkState.Up : STATES[backends.indexOf(backend)]!;
          lane.putLink(row, { pool: id, backend: backend.id, protocol, place, state });
          const at = link + row * Link.RowWords;
          doubles[at / 2 + Link.RetryUs] = FAR_AWAY_US;
          if (protocol === 3) words[at + Link.OutBytes] = state === LinkState.Up ? TOO_MUCH : 0;
          row++;
        }
      }
    }
  }
  for (let i = 1; i <= SESSIONS; i++)
    words[session + i * Session.RowWords + Session.Mode] = i % 8 === 0 ? SessionMode.Resp3 : 0;
}

function routeOf({ id, settings }: RosterPool, links: LinkSet): PoolRoute {
  const distribution = distributionOf(settings.distribution)!;
  const generationWords = routeWordsMax(SERVERS, distribution);
  const words = new Int32Array(2 * generationWords);
  const servers = settings.servers.map(({ name, weight }, index) => ({ name, weight, index }));
  for (const base of [0, generationWords])
    writeRoute(words, base, distribution, servers, servers.map(() => true));
  const hashKind = hashKindOf(settings.hash)!;
  const row = { hashKind, tagOpen: -1, tagClose: -1, routeBase: 0, generationWords };
  return new PoolRoute(id, settings, row, links.rowsOf(id), words);
}

function rosterOf(pools: readonly PoolSettings[]): Roster {
  return {
    generation: 0,
    settings: { file: '', global: { workerShutdownTimeoutMs: 0 }, pools } as unknown as Settings,
    pools: pools.map((settings, id) => ({
      id,
      settings,
      isRetired: false,
      backends: settings.servers.map((server, at) => ({
        id: id * SERVERS + at,
        server,
        redisAuth: null,
        redisDb: 0,
        isRetired: false,
      })),
    })),
    listeners: [],
  };
}

function poolOf(distribution: DistributionName, at: number): PoolSettings {
  const address = { kind: 'unix', path: '/none', text: '/none' } as const;
  return {
    name: `warm-up-${at}`,
    line: 0,
    lines: {},
    listen: address,
    reuseport: true,
    backlog: 1,
    tcpkeepalive: false,
    clientConnections: 0,
    clientOutputLimitBytes: 1 << 20,
    clientRequestsMax: 1024,
    requestSizeMaxBytes: 1 << 20,
    inlineSizeMaxBytes: 1 << 16,
    redis: true,
    redisAuth: null,
    redisDb: 0,
    hash: 'fnv1a_64',
    hashTag: null,
    distribution,
    timeoutMs: 1000,
    connectTimeoutMs: 1000,
    reconnectMinMs: 100,
    reconnectMaxMs: 1000,
    preconnect: false,
    serverConnections: CONNECTIONS[at]!,
    serverConnectionsScope: 'worker',
    linkQueueLimitBytes: QUEUE_LIMIT,
    autoEjectHosts: false,
    serverFailureLimit: 3,
    serverRetryTimeoutMs: 1000,
    servers: Array.from({ length: SERVERS }, (_, server) => ({
      name: `server-${server}`,
      address,
      weight: 1,
      line: 0,
    })),
  };
}

const FACTS: ProxyFacts = {
  version: '',
  nowMicros: () => 0,
  infoFields: () => [],
  configValues: () => [],
  clients: () => [],
};

const EVENTS: LaneEvents = {
  onSessionClosed: () => {},
  onBrokenRequest: () => {},
  onPoisonedRequest: () => {},
  onAcceptFailed: () => {},
  onClientRefused: () => {},
};
