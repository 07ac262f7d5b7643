/** What lanes say to each other: rings with what waits in them, and doorbells. */
import { Bell, Port, Ring, TableNumber } from '../tables/columns.gen.js';
import type { InstanceObject } from './instance-object.js';
import type { Rows } from './rows.js';

export interface RingReport {
  readonly from: number | 'master';
  readonly to: number | 'master';
  readonly taken: number; // messages ever; by the receiver, as of its open turn
  readonly released: number; // the receiver has committed that they are taken
  readonly published: number; // the receiver may take them
  readonly queued: number; // by the sender, as of its open turn
  readonly depth: number; // queued, and not taken
  readonly overflowBytes: number; // behind those in the ring
  readonly isWaiting: boolean; // the sender wants to be rung when there is room
}

export interface BellReport {
  readonly lane: number;
  readonly isSleeping: boolean;
  readonly rungBy: readonly number[]; // lanes, since the owner looked last
}

/** A lane's own words. */
interface Side {
  readonly rings: Rows;
  readonly ports: Rows;
}

/** Those that have ever carried something, or are about to. */
export function readRings(object: InstanceObject, lanes: readonly number[]): RingReport[] {
  return allRings(object, lanes).filter(({ queued, overflowBytes }) =>
    queued > 0 || overflowBytes > 0);
}

/**
 * Each ordered pair of lanes, and each lane's rings to and from the master. Receivers are read
 * before senders: so nothing can have been taken that was not queued, whatever goes on meanwhile.
 */
export function allRings(object: InstanceObject, lanes: readonly number[]): RingReport[] {
  const takers = new Map(lanes.map((lane) => [lane, sideOf(object, lane)]));
  const senders = new Map(lanes.map((lane) => [lane, sideOf(object, lane)]));
  const pairs = lanes.flatMap((from) => lanes.filter((to) => to !== from).map((to): RingReport =>
    ringOf(from, to, {
      taken: takers.get(to)!.rings.big(from, Ring.Taken),
      released: takers.get(to)!.ports.big(from, Port.Head),
      published: senders.get(from)!.ports.big(to, Port.Tail),
      queued: senders.get(from)!.rings.big(to, Ring.Queued),
    }, senders.get(from)!, to)));
  const master = object.plan.capacities.lanes;
  return [...pairs, ...lanes.flatMap((lane) =>
    officeRings(lane, master, takers.get(lane)!, senders.get(lane)!))];
}

/** Row `master` is the lane's side; row `master` + 1 of port is the master's own. */
function officeRings(lane: number, master: number, before: Side, now: Side): RingReport[] {
  const office = master + 1;
  const taken = before.ports.big(office, Port.Head);
  const queued = now.ports.big(office, Port.Tail);
  return [
    ringOf(lane, 'master', {
      taken, released: taken,
      published: now.ports.big(master, Port.Tail),
      queued: now.rings.big(master, Ring.Queued),
    }, now, master),
    {
      ...ringOf('master', lane, {
        taken: before.rings.big(master, Ring.Taken),
        released: before.ports.big(master, Port.Head),
        published: queued, queued,
      }, now, master),
      overflowBytes: 0, isWaiting: false, // those words are about the other direction
    },
  ];
}

interface Positions {
  readonly taken: bigint;
  readonly released: bigint;
  readonly published: bigint;
  readonly queued: bigint;
}

function ringOf(
  from: RingReport['from'], to: RingReport['to'],
  { taken, released, published, queued }: Positions, sender: Side, row: number,
): RingReport {
  return {
    from,
    to,
    taken: Number(taken),
    released: Number(released),
    published: Number(published),
    queued: Number(queued),
    depth: Number(queued - taken),
    overflowBytes: sender.rings.word(row, Ring.OverflowBytes),
    isWaiting: sender.ports.word(row, Port.Waiting) !== 0,
  };
}

function sideOf(object: InstanceObject, lane: number): Side {
  const { lanes } = object.plan.capacities;
  // Heads before what is taken, tails before what is queued: each follows the other.
  const ports = object.laneRows(lane, TableNumber.Port, lanes + 2);
  return { ports, rings: object.laneRows(lane, TableNumber.Ring, lanes + 1) };
}

export function readBells(object: InstanceObject, lanes: readonly number[]): BellReport[] {
  return lanes.map((lane) => {
    const rows = object.laneRows(lane, TableNumber.Bell, 1);
    const rung = rows.big(0, Bell.Rung);
    const { lanes: most } = object.plan.capacities;
    const rungBy = Array.from({ length: most }, (_, number) => number)
      .filter((number) => (rung >> BigInt(number) & 1n) === 1n);
    return { lane, isSleeping: rows.word(0, Bell.Sleeping) !== 0, rungBy };
  });
}
