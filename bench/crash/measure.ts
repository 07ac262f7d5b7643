/**
 * One cell: clients at work while the worker of their lane is killed, again and again.
 *
 *   outside   |kill ·· first reply ·········· last reply to what was under way|   the clients
 *   inside    |kill ─ claimed ─ served ────── whole|                              lane.*_us
 *
 * Between two kills another worker gets warm, and a pause lets the backlog drain. Kills while which
 * the host took time from this machine are left out.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Processes } from '../compare/processes.js';
import { Client, type ClientReport } from '../upgrade/clients.js';
import { Instance } from '../upgrade/instance.js';
import type { LaneClaim } from '../upgrade/shared-rows.js';
import { distributionOf, type Distribution, type Samples } from '../upgrade/stalls.js';
import { StealLog } from '../upgrade/steal.js';
import type { Options } from './options.js';

const WARM_UP_MS = 1500;
const SETTLE_MS = 500;
const WATCHED_US = 50_000; // after a kill, for time that the host takes

export interface Kill {
  readonly killedUs: number; // CLOCK_MONOTONIC
  readonly claim: LaneClaim;
}

/** All in µs after the kill. */
export interface CellResult {
  readonly sessions: number;
  readonly kills: number;
  readonly quietKills: number; // those while which the host took no time from this machine
  readonly claimed: Distribution;
  readonly served: Distribution;
  readonly whole: Distribution;
  readonly firstReply: Distribution;
  readonly lastReply: Distribution;
  readonly waiting: Distribution; // sessions that had a batch under way
  readonly client: ClientReport;
}

export interface Bench {
  readonly options: Options;
  readonly processes: Processes;
  readonly folder: string;
  readonly servers: readonly number[];
  readonly client: readonly string[]; // the command, without its arguments
  readonly say: (line: string) => void;
}

export async function measureCell(bench: Bench, sessions: number): Promise<CellResult> {
  const { options, processes, folder, servers, client } = bench;
  const name = `sessions-${sessions}`;
  const instance = await Instance.start(processes, folder, `baton-${name}`, servers, 1);
  const periodMs = sessions / options.rate * 1000;
  const active = await Client.start(processes, folder, `clients-${name}`, client, instance.port,
    { sessions, depth: options.depth, periodMs, firstId: 0 });
  await sleep(WARM_UP_MS);
  const kills: Kill[] = [];
  const steal = new StealLog();
  for (let i = 0; i < options.kills; i++) {
    await instance.guarded();
    await sleep(SETTLE_MS);
    kills.push(await instance.kill());
  }
  await sleep(SETTLE_MS);
  steal.stop();
  const report = await active.finish();
  await instance.stop();
  return evaluate(sessions, active.samples(), kills, steal, report);
}

function evaluate(
  sessions: number, samples: Samples, all: readonly Kill[], steal: StealLog, client: ClientReport,
): CellResult {
  const kills = all.filter(({ killedUs }) => steal.between(killedUs, killedUs + WATCHED_US) === 0);
  const inside = (time: (claim: LaneClaim) => number) =>
    distributionOf(kills.map(({ killedUs, claim }) => time(claim) - killedUs));
  const outside = kills.map((kill) => repliesAfter(samples, kill));
  return {
    sessions,
    kills: all.length,
    quietKills: kills.length,
    claimed: inside(({ claimedUs }) => claimedUs),
    served: inside(({ servedUs }) => servedUs),
    whole: inside(({ wholeUs }) => wholeUs),
    firstReply: distributionOf(outside.map(({ firstUs }) => firstUs)),
    lastReply: distributionOf(outside.map(({ lastUs }) => lastUs)),
    waiting: distributionOf(outside.map(({ waiting }) => waiting)),
    client,
  };
}

/**
 * What clients saw of a kill, in µs after it: the first batch that was finished once the lane had
 * another owner, and the last one of those that had been written before that.
 */
export function repliesAfter(
  samples: Samples, { killedUs, claim }: Kill,
): { firstUs: number; lastUs: number; waiting: number } {
  let [firstUs, lastUs] = [Infinity, 0];
  const waiting = new Set<number>();
  for (let i = 0; i < samples.sentUs.length; i++) {
    const end = samples.sentUs[i]! + samples.latencyUs[i]!;
    if (end < claim.claimedUs) continue;
    firstUs = Math.min(firstUs, end - killedUs);
    if (samples.sentUs[i]! > claim.claimedUs) continue;
    lastUs = Math.max(lastUs, end - killedUs);
    waiting.add(samples.session[i]!);
  }
  return { firstUs, lastUs, waiting: waiting.size };
}

/** What the clients complain about, in words; null when every reply was right. */
export function complaintOf({ client }: CellResult): string | null {
  const { closed, wrong, unanswered, firstError } = client;
  if (closed + wrong + unanswered === 0) return null;
  return `${closed} sessions were closed, ${wrong} got a wrong reply, ${unanswered} batches were `
    + `not answered; first: ${firstError}`;
}
