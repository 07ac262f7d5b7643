/**
 * The running parts: Redis servers with their keys, and the parties in front of them.
 *
 *   data set `small`: one server     direct, nutcracker, haproxy, baton: an instance of each
 *   data set `large`: one server     … and another here
 *   data set `three`: three servers  only parties that shard
 *
 * An instance lives for the whole run, idle while another one is measured; the idle cell starts
 * fresh ones, because memory remembers.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSet } from './cells.js';
import { SECOND_ADDRESS, type Party } from './parties.js';
import { freePort, type Processes, type Service } from './processes.js';
import { ask, keyOf, load } from './redis.js';

const START_PATIENCE_MS = 20_000;
const REDIS_CLIENTS_MAX = 15_000;

/** A party in front of one data set. */
export interface Instance {
  readonly party: Party;
  readonly port: number;
  /** Ports of the Redis servers behind it. */
  readonly servers: readonly number[];
  /** First process of the party: for `direct`, of Redis. */
  readonly root: number;
  /** Redis servers' first processes. */
  readonly serverRoots: readonly number[];
  stop(): Promise<void>;
}

interface Servers {
  readonly ports: readonly number[];
  readonly roots: readonly number[];
}

/** Resolves when the port answers a GET; throws with the service's last words otherwise. */
async function answers(service: Service, port: number): Promise<void> {
  const deadline = Date.now() + START_PATIENCE_MS;
  for (;;) {
    let reason = 'it ended';
    try {
      if (!service.ended) {
        await ask(port, 'GET', keyOf(0));
        return;
      }
    } catch (error) {
      reason = (error as Error).message;
    }
    if (service.ended || Date.now() > deadline) {
      throw new Error(`${service.name} did not start: ${reason}: ${service.lastWords()}`);
    }
    await sleep(50);
  }
}

export class Testbed {
  readonly #processes: Processes;
  readonly #folder: string;
  readonly #keys: number;
  readonly #descriptors: number;
  readonly #servers = new Map<string, Servers>();
  readonly #loaded = new Set<string>(); // data sets that hold their keys
  readonly #instances = new Map<string, Instance>();
  readonly #refused = new Set<string>(); // party/data set that did not start: not tried again
  #started = 0;

  constructor(processes: Processes, folder: string, keys: number, descriptors: number) {
    this.#processes = processes;
    this.#folder = folder;
    this.#keys = keys;
    this.#descriptors = descriptors;
  }

  /** The lasting instance of a party on a data set, started and its keys loaded at first need. */
  async instance(party: Party, data: DataSet): Promise<Instance> {
    const name = `${party.name}/${data.name}`;
    const known = this.#instances.get(name);
    if (known !== undefined) return known;
    if (this.#refused.has(name)) throw new Error('did not start');
    this.#refused.add(name);
    const found = await this.fresh(party, data);
    if (!this.#loaded.has(data.name)) {
      // Whoever comes first loads: all that shard put a key on the same server.
      await load(found.port, this.#keys, data.valueBytes);
      this.#loaded.add(data.name);
    }
    this.#refused.delete(name);
    this.#instances.set(name, found);
    return found;
  }

  /** Another instance, for the caller to stop. Starts the data set's servers if need be. */
  async fresh(party: Party, data: DataSet): Promise<Instance> {
    const servers = await this.#serversOf(data);
    const { ports, roots } = servers;
    const shared = { party, servers: ports, serverRoots: roots };
    const place = {
      port: await freePort(), spare: await freePort(), servers: ports,
      folder: this.#newFolder(party.name), descriptors: this.#descriptors,
    };
    const command = party.command(place);
    if (command === null) {
      return { ...shared, port: ports[0]!, root: roots[0]!, stop: async () => {} };
    }
    const service = this.#processes.start(`${party.name}-${this.#started}`, command);
    await answers(service, place.port);
    return { ...shared, port: place.port, root: service.pid, stop: () => service.stop() };
  }

  async #serversOf(data: DataSet): Promise<Servers> {
    const known = this.#servers.get(data.name);
    if (known !== undefined) return known;
    const ports: number[] = [];
    const roots: number[] = [];
    for (let at = 0; at < data.servers; at += 1) {
      const port = await freePort();
      const service = this.#processes.start(`redis-${data.name}-${at + 1}`, [
        'redis-server', '--port', String(port), '--bind', '127.0.0.1', SECOND_ADDRESS,
        '--save', '', '--appendonly', 'no', '--daemonize', 'no',
        '--maxclients', String(REDIS_CLIENTS_MAX), '--dir', this.#newFolder('redis'),
      ]);
      await answers(service, port);
      ports.push(port);
      roots.push(service.pid);
    }
    const servers = { ports, roots };
    this.#servers.set(data.name, servers);
    return servers;
  }

  #newFolder(name: string): string {
    this.#started += 1;
    const folder = join(this.#folder, `${this.#started}-${name}`);
    mkdirSync(folder);
    return folder;
  }
}
