/**
 * One cell: clients at work while Baton is reloaded and replaced, and while nothing happens.
 *
 *   round   | nothing | reload | nothing | upgrade |       each a window; one second between them
 *   window  |signal----takeover----everything old gone|
 *
 * The windows of nothing last as long as the last real one did, so that a like stretch of the same
 * run says what the machine and the clients do by themselves. Takeovers that did not happen are
 * placed in them, evenly. Takeovers, real or placed, while which the host took time from this machine
 * are left out of all stalls around them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Processes } from '../compare/processes.js';
import { Client, IDLE, type ClientReport } from './clients.js';
import { Instance } from './instance.js';
import type { Options } from './options.js';
import type { LaneTakeovers } from './shared-rows.js';
import { nowUs, StealLog } from './steal.js';
import {
  distributionOf, longestBySession, ownP999, quantile, type Distribution, type Samples,
  type Window,
} from './stalls.js';

export const KINDS = ['nothing', 'reload', 'upgrade'] as const;
export type Kind = (typeof KINDS)[number];
const ROUND: readonly Kind[] = ['nothing', 'reload', 'nothing', 'upgrade'];

const WARM_UP_MS = 3000;
const SETTLE_MS = 1000;
const FIRST_WINDOW_MS = 1000;   // of nothing, before anything is known
const PLACED_TAKEOVERS = 10;    // in a window of nothing
const PAUSE_GUESS_US = 500;     // of them, when no lane has ever been taken over
const TAIL_US = 20_000;         // after a takeover, in which its backlog may still be felt

export interface KindResult {
  readonly kind: Kind;
  readonly windows: number;
  readonly takeovers: number;
  readonly quietTakeovers: number; // those while which the host took no time from this machine
  /** All in µs. How long lanes had no owner, by their own account. */
  readonly pause: Distribution;
  /** Stalls of the sessions that had a batch under way during a pause. */
  readonly underWay: Distribution;
  /** Stalls of all sessions, from the pause until each has written again. */
  readonly around: Distribution;
  /** By how much those exceed the session's own p99.9 while nothing happens. */
  readonly beyond: Distribution;
  /** Stalls of all sessions, from the signal until everything old was gone. */
  readonly whole: Distribution;
  readonly windowMs: Distribution;
}

export interface CellResult {
  readonly idle: number;
  readonly kinds: readonly KindResult[];
  readonly clients: readonly ClientReport[];
}

interface Event {
  readonly kind: Kind;
  readonly whole: Window;
  readonly pauses: readonly Window[];
}

export interface Bench {
  readonly options: Options;
  readonly processes: Processes;
  readonly folder: string;
  readonly servers: readonly number[];
  readonly client: readonly string[]; // the command, without its arguments
  readonly say: (line: string) => void;
}

export async function measureCell(bench: Bench, idle: number): Promise<CellResult> {
  const { options, processes, folder, servers, client } = bench;
  const name = `idle-${idle}`;
  const instance = await Instance.start(
    processes, folder, `baton-${name}`, servers, options.workers,
  );
  const start = (label: string, sessions: number, periodMs: number, firstId: number) =>
    Client.start(processes, folder, `${label}-${name}`, client, instance.port,
      { sessions, depth: options.depth, periodMs, firstId });
  const sleepers = idle > 0 ? await start('sleepers', idle, IDLE, options.sessions) : null;
  const active = await start('active', options.sessions, options.periodMs, 0);
  const steal = new StealLog();
  const events = await playEvents(bench, instance);
  steal.stop();
  const clients = [await active.finish(), ...sleepers === null ? [] : [await sleepers.finish()]];
  await instance.stop();
  return { idle, kinds: evaluate(active.samples(), events, steal, options), clients };
}

async function playEvents(bench: Bench, instance: Instance): Promise<Event[]> {
  const events: Event[] = [];
  let lastMs = FIRST_WINDOW_MS;
  await sleep(WARM_UP_MS);
  for (let round = 1; round <= bench.options.rounds; round++) {
    for (const kind of ROUND) {
      const event = await play(kind, instance, lastMs);
      events.push(event);
      lastMs = (event.whole.toUs - event.whole.fromUs) / 1000;
      await sleep(SETTLE_MS);
    }
    bench.say(`round ${round} of ${bench.options.rounds}`);
  }
  return events;
}

async function play(kind: Kind, instance: Instance, lengthMs: number): Promise<Event> {
  const fromUs = nowUs();
  const takeovers = await act(kind, instance, lengthMs);
  return { kind, whole: { fromUs, toUs: nowUs() }, pauses: takeovers.map(pauseOf) };
}

async function act(kind: Kind, instance: Instance, lengthMs: number): Promise<LaneTakeovers[]> {
  switch (kind) {
    case 'reload':
      return instance.reload();
    case 'upgrade':
      return instance.upgrade();
    default:
      await sleep(lengthMs);
      return [];
  }
}

function pauseOf({ frozenUs, pauseUs }: LaneTakeovers): Window {
  return { fromUs: frozenUs, toUs: frozenUs + pauseUs };
}

function lengthOf({ fromUs, toUs }: Window): number {
  return toUs - fromUs;
}

/** Windows of nothing get takeovers as long as the real ones were. */
function withPlacedTakeovers(events: readonly Event[]): Event[] {
  const pauses = events.flatMap((event) => event.pauses.map(lengthOf)).sort((a, b) => a - b);
  const pauseUs = quantile(pauses, 0.5) || PAUSE_GUESS_US;
  return events.map((event) => {
    if (event.kind !== 'nothing') return event;
    const step = lengthOf(event.whole) / PLACED_TAKEOVERS;
    const placed = Array.from({ length: PLACED_TAKEOVERS }, (_, i) => {
      const fromUs = event.whole.fromUs + (i + 0.5) * step;
      return { fromUs, toUs: fromUs + pauseUs };
    });
    return { ...event, pauses: placed };
  });
}

function evaluate(
  samples: Samples, events: readonly Event[], steal: StealLog, options: Options,
): KindResult[] {
  const all = withPlacedTakeovers(events);
  const quiet = all.filter(({ kind }) => kind === 'nothing').map(({ whole }) => whole);
  const own = ownP999(samples, quiet);
  return KINDS.map((kind) =>
    evaluateKind(kind, samples, all.filter((event) => event.kind === kind), own, steal, options));
}

function evaluateKind(
  kind: Kind, samples: Samples, events: readonly Event[], own: Float64Array, steal: StealLog,
  options: Options,
): KindResult {
  const tailUs = options.periodMs * 1000 + TAIL_US;
  const takeovers = events.flatMap((event) => event.pauses);
  const pauses = takeovers.filter(({ fromUs, toUs }) => steal.between(fromUs, toUs + tailUs) === 0);
  const around = pauses.map(({ fromUs, toUs }) =>
    longestBySession(samples, { fromUs, toUs: toUs + tailUs }));
  const stallsOf = (all: readonly Float64Array[]) =>
    all.flatMap((longest) => [...longest].filter((stall) => stall > 0));
  return {
    kind,
    windows: events.length,
    takeovers: takeovers.length,
    quietTakeovers: pauses.length,
    pause: distributionOf(pauses.map(lengthOf)),
    underWay: distributionOf(stallsOf(pauses.map((pause) => longestBySession(samples, pause)))),
    around: distributionOf(stallsOf(around)),
    beyond: distributionOf(around.flatMap((longest) =>
      Array.from(longest, (stall, session) => Math.max(0, stall - own[session]!)))),
    whole: distributionOf(stallsOf(events.map(({ whole }) => longestBySession(samples, whole)))),
    windowMs: distributionOf(events.map(({ whole }) => lengthOf(whole) / 1000)),
  };
}

/** What the clients complain about, in words; null when every reply was right. */
export function complaintOf({ clients }: CellResult): string | null {
  const bad = clients.find(({ closed, wrong, unanswered }) => closed + wrong + unanswered > 0);
  if (bad === undefined) return null;
  const { closed, wrong, unanswered, firstError } = bad;
  return `${closed} sessions were closed, ${wrong} got a wrong reply, ${unanswered} batches were `
    + `not answered; first: ${firstError}`;
}
