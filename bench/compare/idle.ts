/**
 * The idle cell: what a party holds for connections that do nothing, and what it gives back.
 *
 *   fresh ─► open N, one GET each ─► wait ─► CPU over 3 s ─► close all ─► wait 3 s
 *         ─► load (P=64, SETs and GETs, 50 clients) ─► at once ─► wait 5 s
 *
 * Memory is read at every arrow (accounting.ts says what is counted). The clients are sockets of
 * this process: redis-benchmark -I sends nothing, and a connection that never asked is not the
 * case that matters.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuBetween, cpuOf, memoryOf } from './accounting.js';
import { cellNamed, type Cell } from './cells.js';
import { calibrate, measure } from './load.js';
import type { Processes } from './processes.js';
import { encode, keyOf } from './redis.js';
import type { Instance } from './testbed.js';

const OPENING = 100;        // connections being opened at a time
const SETTLE_MS = 1500;
const WATCH_MS = 3000;
const AFTER_CLOSE_MS = 3000;
const AFTER_LOAD_MS = 5000;
const CONNECT_TIMEOUT_MS = 10_000;

export interface IdleSample {
  readonly connections: number;
  /** KiB held by the whole tree. */
  readonly freshKb: number;
  readonly openKb: number;
  readonly closedKb: number;
  readonly afterLoadKb: number;
  readonly settledKb: number;
  readonly kbPerConnection: number;
  /** CPU milliseconds per second while all connections are open and silent. */
  readonly idleMsPerSecond: number;
}

/** Opens a connection, reads one value through it, leaves it open. */
function openOne(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const timer = setTimeout(() => socket.destroy(new Error('no reply')), CONNECT_TIMEOUT_MS);
    let text = '';
    const end = (error?: Error): void => {
      clearTimeout(timer);
      reject(error ?? new Error('idle: the connection was closed'));
    };
    socket.on('error', end);
    socket.on('close', () => end());
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (!/^\$\d+\r\n.*\r\n$/.test(text)) return;
      clearTimeout(timer);
      resolve(socket);
    });
    socket.write(encode(['GET', keyOf(1)]));
  });
}

async function openAll(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  const opener = async (): Promise<void> => {
    while (sockets.length < count) {
      const at = sockets.push(null as unknown as Socket) - 1; // takes its place before the wait
      sockets[at] = await openOne(port);
    }
  };
  await Promise.all(Array.from({ length: OPENING }, opener));
  return sockets;
}

async function loadIt(
  processes: Processes, instance: Instance, keyCount: number, seconds: number,
): Promise<void> {
  for (const name of ['set-p64-c50', 'get-p64-c50']) {
    const cell: Cell = cellNamed(name);
    const requests = await calibrate(processes, instance, cell, keyCount, seconds);
    await measure(processes, instance, cell, keyCount, requests);
  }
}

/** How many connections a party can hold when each process may open `descriptors`. */
export function idleCount(wanted: number, perClient: number, descriptors: number): number {
  return Math.min(wanted, Math.floor((descriptors - 200) / perClient));
}

/** Runs the cell on a fresh instance. Takes about 15 s. */
export async function measureIdle(
  processes: Processes, instance: Instance, count: number, keyCount: number, seconds: number,
): Promise<IdleSample> {
  const root = instance.root;
  const first = await openAll(instance.port, 1); // opens what the party opens at first need
  await sleep(SETTLE_MS);
  const freshKb = memoryOf(root).totalKb;
  const sockets = await openAll(instance.port, count);
  await sleep(SETTLE_MS);
  const openKb = memoryOf(root).totalKb;
  const before = cpuOf([root]);
  await sleep(WATCH_MS);
  const idleNs = cpuBetween(before, cpuOf([root]));
  for (const socket of [...first, ...sockets]) socket.end();
  await sleep(AFTER_CLOSE_MS);
  const closedKb = memoryOf(root).totalKb;
  await loadIt(processes, instance, keyCount, seconds);
  const afterLoadKb = memoryOf(root).totalKb;
  await sleep(AFTER_LOAD_MS);
  return {
    connections: count, freshKb, openKb, closedKb, afterLoadKb,
    settledKb: memoryOf(root).totalKb,
    kbPerConnection: (openKb - freshKb) / count,
    idleMsPerSecond: idleNs / 1e6 / (WATCH_MS / 1000),
  };
}
