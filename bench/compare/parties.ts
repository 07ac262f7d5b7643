/**
 * Who is compared: how each party is configured and started, as data.
 *
 * All proxies run with one worker, one connection per server where they multiplex, the same server
 * names (so that nutcracker and Baton put every key on the same server) and the same backlog.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Place {
  /** Port the party shall listen on, on 127.0.0.1. */
  readonly port: number;
  /** A second free port, for parties that insist on one for statistics. */
  readonly spare: number;
  /** Ports of the Redis servers behind it. */
  readonly servers: readonly number[];
  /** An empty directory of its own. */
  readonly folder: string;
  /** Descriptors a process may open. */
  readonly descriptors: number;
}

export interface Party {
  readonly name: string;
  readonly title: string;
  /** True when the party spreads keys over several servers, by ketama with fnv1a_64. */
  readonly shards: boolean;
  /** Descriptors it needs for one client connection: 2 when it opens one to Redis for each. */
  readonly descriptorsPerClient: 1 | 2;
  /** Fill colour in the chart. */
  readonly colour: string;
  /** Takes part only when it is asked for by name. */
  readonly isExtra?: boolean;
  /** One line that names its version, or null when it is not installed. */
  version(): string | null;
  /** Writes its configuration and returns the command; null = clients talk to Redis itself. */
  command(place: Place): readonly string[] | null;
}

/**
 * Every Redis server listens here too. A party that opens a connection per client uses this
 * address, so that its TIME_WAIT sockets do not add up with those of clients that go to Redis
 * directly.
 */
export const SECOND_ADDRESS = '127.0.0.2';

/** Where package.json lies; this file runs as dist/bench/compare/parties.js. */
export const HOME = fileURLToPath(new URL('../../../', import.meta.url));
const BATON = join(HOME, 'bin/baton');

/** First line that a command prints, or null when it cannot be run or fails. */
export function firstLine(command: string, ...args: readonly string[]): string | null {
  const { stdout, stderr, status } =
    spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 });
  if (status !== 0) return null;
  return `${stdout}\n${stderr}`.split('\n').map((line) => line.trim()).find((line) => line !== '')
    ?? null;
}

function written(place: Place, name: string, text: string): string {
  const path = join(place.folder, name);
  writeFileSync(path, text);
  return path;
}

function serverLines(place: Place, indent: string): string {
  return place.servers.map((port, at) => `${indent}- 127.0.0.1:${port}:1 s${at + 1}\n`).join('');
}

function poolKeys(place: Place, indent: string): string {
  const keys = [
    `listen: 127.0.0.1:${place.port}`, 'backlog: 4096', 'redis: true', 'hash: fnv1a_64',
    'distribution: ketama', 'preconnect: true', 'server_connections: 1', 'servers:',
  ];
  return keys.map((key) => `${indent}${key}\n`).join('') + serverLines(place, `${indent}  `);
}

const direct: Party = {
  name: 'direct',
  title: 'Redis itself',
  shards: false,
  descriptorsPerClient: 1,
  colour: '#9aa5b1',
  version: () => firstLine('redis-server', '--version'),
  command: () => null,
};

const nutcracker: Party = {
  name: 'nutcracker',
  title: 'nutcracker',
  shards: true,
  descriptorsPerClient: 1,
  colour: '#5b8def',
  version: () => firstLine('nutcracker', '-V'),
  command(place) {
    const conf = written(place, 'nutcracker.yml', `bench:\n${poolKeys(place, '  ')}`);
    return [
      'nutcracker', '-c', conf, '-m', '16384', '-a', '127.0.0.1', '-s', String(place.spare),
      '-p', join(place.folder, 'nutcracker.pid'), '-o', join(place.folder, 'nutcracker.log'),
    ];
  },
};

const haproxy: Party = {
  name: 'haproxy',
  title: 'HAProxy (TCP)',
  shards: false,
  descriptorsPerClient: 2,
  colour: '#3aa99f',
  version: () => firstLine('haproxy', '-v'),
  command(place) {
    const connections = Math.min(20_000, Math.floor((place.descriptors - 150) / 2));
    const conf = written(place, 'haproxy.cfg', `global
  nbthread 1
  maxconn ${connections}
defaults
  mode tcp
  maxconn ${connections}
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen bench
  bind 127.0.0.1:${place.port} backlog 4096
  server s1 ${SECOND_ADDRESS}:${place.servers[0]}
`);
    return ['haproxy', '-db', '-q', '-f', conf];
  },
};

const baton: Party = {
  name: 'baton',
  title: 'Baton',
  shards: true,
  descriptorsPerClient: 1,
  colour: '#e4572e',
  version: () => (existsSync(BATON) ? firstLine(BATON, '-V') : null),
  command(place) {
    const conf = written(place, 'baton.yml', `global:
  worker_processes: 1
  stats: off
  metrics: off
pools:
  bench:
${poolKeys(place, '    ')}`);
    return [BATON, '-c', conf, '-p', join(place.folder, 'baton.pid')];
  },
};

const UNSAFE_ADDON = join(HOME, 'build-unsafe/build/Release/baton.node');

/** Baton without what only a worker's death needs: `npm run build -- --unsafe`. */
const unsafe: Party = {
  ...baton,
  name: 'unsafe',
  title: 'Baton, not crash-safe',
  isExtra: true,
  colour: '#f2b8a8',
  version: () => (existsSync(UNSAFE_ADDON) ? baton.version() : null),
  command: (place) => ['env', `BATON_ADDON=${UNSAFE_ADDON}`, ...baton.command(place)!],
};

export const PARTIES: readonly Party[] = [direct, nutcracker, haproxy, unsafe, baton];

/** The party the others are compared with. */
export const OURS = baton.name;
