/**
 * The doorbell (native/doorbell.h) and the credit of a full ring (native/ring.h) in every order
 * that a machine with store buffers allows, with a death of either side at any step. Then the same with
 * one rule broken at a time: each must lose a wake-up, or the rule is for nothing.
 */
import t from 'tap';
import { walk, type Machine, type Step, type Thread } from '../support/store-buffers.js';

// --- memory ---

const TAIL = [0, 1] as const; // of each producer's ring
const RUNG = 2;
const SLEEPING = 3;
const EVENTFD = 4;

/** Of each producer. One less where deaths multiply the ways. */
const messagesOf = (deaths: number): readonly [number, number] =>
  (deaths === 0 ? [2, 2] : [2, 1]);

type Broken =
  | 'producer has no fence' | 'bit before tail' | 'heir does not publish'
  | 'heir rings sleepers only' | 'consumer has no fence' | 'consumer does not look'
  | 'looks before it says that it sleeps' | 'clears bits behind its look'
  | 'heir does not look at all rings';

const label = (name: string): Step => ({ op: 'label', name });
const go = (to: string): Step => ({ op: 'go', when: () => true, to });
const unless = (wrong: boolean, ...steps: Step[]): Step[] => (wrong ? [] : steps);

// --- two producers, one consumer ---

/** Registers: messages committed (lasts), scratch. */
function producer(number: 0 | 1, messages: number, broken: Broken | null): Thread {
  const bit = 1 << number;
  const publish: Step = { op: 'store', to: TAIL[number], value: ([sent]) => sent! };
  const setBit: Step[] = [
    { op: 'load', into: 1, from: RUNG },
    { op: 'go', when: (r) => (r[1]! & bit) !== 0, to: 'set' },
    { op: 'exchange', into: 1, at: RUNG, value: (_, old) => old | bit },
    label('set'),
  ];
  const isLate = broken === 'bit before tail';
  const wakeSleeper = (to: string): Step[] => [
    { op: 'load', into: 1, from: SLEEPING },
    { op: 'go', when: (r) => r[1] === 0, to },
    { op: 'exchange', into: 1, at: SLEEPING, value: () => 0 },
    { op: 'go', when: (r) => r[1] === 0, to },
  ];
  const ring: Step = { op: 'exchange', into: 1, at: EVENTFD, value: () => 1 };
  return {
    registers: 2,
    lasting: [0],
    steps: [
      label('top'),
      { op: 'go', when: (r) => r[0] === messages, to: 'end' },
      { op: 'compute', run: (r) => { r[0]! += 1; } },
      ...unless(isLate, publish),
      ...unless(broken === 'producer has no fence', { op: 'fence' }),
      ...setBit,
      ...wakeSleeper('top'),
      ring,
      ...unless(!isLate, publish),
      go('top'),
      label('rescue'),
      ...unless(broken === 'heir does not publish', publish),
      { op: 'fence' },
      { op: 'exchange', into: 1, at: RUNG, value: (_, old) => old | bit },
      ...unless(broken !== 'heir rings sleepers only', ...wakeSleeper('top')),
      ring,
      go('top'),
      label('end'),
    ],
  };
}

/** Registers: messages taken of each (last), scratch, tails. */
function consumer(broken: Broken | null): Thread {
  const bits: Step = { op: 'exchange', into: 2, at: RUNG, value: () => 0 };
  const isLate = broken === 'clears bits behind its look';
  const look = (number: 0 | 1): Step[] => [
    { op: 'go', when: (r) => (r[2]! & (1 << number)) === 0, to: `skip${number}` },
    { op: 'load', into: 3, from: TAIL[number] },
    { op: 'compute', run: (r) => { r[number] = r[3]!; } },
    label(`skip${number}`),
  ];
  const sayAsleep: Step[] = [
    { op: 'store', to: SLEEPING, value: () => 1 },
    ...unless(broken === 'consumer has no fence', { op: 'fence' }),
  ];
  const stayAwake: Step[] = [
    { op: 'load', into: 2, from: RUNG },
    { op: 'go', when: (r) => r[2] !== 0, to: 'awake' },
  ];
  const isEarly = broken === 'looks before it says that it sleeps';
  return {
    registers: 4,
    lasting: [0, 1],
    steps: [
      label('top'),
      { op: 'load', into: 2, from: RUNG },
      { op: 'go', when: (r) => r[2] === 0, to: 'arm' },
      ...unless(isLate, bits, { op: 'fence' }),
      label('look'),
      ...look(0),
      ...look(1),
      ...unless(!isLate, bits),
      label('arm'),
      ...unless(isEarly || broken === 'consumer does not look', ...sayAsleep, ...stayAwake),
      ...unless(!isEarly, ...stayAwake, ...sayAsleep),
      ...unless(broken !== 'consumer does not look', ...sayAsleep),
      { op: 'sleep', on: EVENTFD },
      label('awake'),
      { op: 'store', to: SLEEPING, value: () => 0 },
      go('top'),
      label('rescue'),
      { op: 'store', to: SLEEPING, value: () => 0 },
      ...unless(broken === 'heir does not look at all rings',
        { op: 'compute', run: (r) => { r[2] = 3; } }, go('look')),
      go('top'),
    ],
  };
}

function doorbell(broken: Broken | null, deaths: number): Machine {
  const [first, second] = messagesOf(deaths);
  return {
    threads: [producer(0, first, broken), producer(1, second, broken), consumer(broken)],
    memory: [0, 0, 0, 0, 0],
    deaths,
    wrong: ([, , taken]) => (taken![0] === first && taken![1] === second ? null
      : `everybody sleeps, ${taken![0]} of ${first}, ${taken![1]} of ${second} are taken`),
  };
}

t.test('no wake-up is lost', (t) => {
  for (const deaths of [0, 1]) {
    const { states, ends, wrong } = walk(doorbell(null, deaths));
    t.equal(wrong, null, `${states} states, ${ends} ends with up to ${deaths} deaths`);
    t.ok(ends > 0, 'it ends');
  }
  t.end();
});

const RULES: readonly (readonly [Broken, number])[] = [
  ['producer has no fence', 0],
  ['bit before tail', 0],
  ['consumer has no fence', 0],
  ['consumer does not look', 0],
  ['looks before it says that it sleeps', 0],
  ['clears bits behind its look', 0],
  ['heir does not publish', 1],
  ['heir rings sleepers only', 1],
  ['heir does not look at all rings', 1],
];

for (const [broken, deaths] of RULES) {
  t.test(`if ${broken}`, (t) => {
    const { states, wrong } = walk(doorbell(broken, deaths));
    t.match(wrong, /everybody sleeps/, `one is lost, found after ${states} states`);
    t.end();
  });
}

// --- credit: a producer that waits for room in a ring of two slots ---

const HEAD = 1;
const WAITING = 2;
const [IN, OUT] = [3, 6]; // doorbells of consumer and producer: rung, sleeping, eventfd
const SLOTS = 2;
const ALL = 4;

type Unfair = 'producer does not look again' | 'producer has no fence' | 'consumer has no fence'
  | 'consumer does not ring' | 'heir of the producer does not ask';

const ringAt = (bell: number, mark: string, scratch: number): Step[] => [
  { op: 'exchange', into: scratch, at: bell, value: () => 1 },
  { op: 'load', into: scratch, from: bell + 1 },
  { op: 'go', when: (r) => r[scratch] === 0, to: mark },
  { op: 'exchange', into: scratch, at: bell + 1, value: () => 0 },
  { op: 'go', when: (r) => r[scratch] === 0, to: mark },
  { op: 'exchange', into: scratch, at: bell + 2, value: () => 1 },
  label(mark),
];

const sleepAt = (bell: number, back: string, scratch: number): Step[] => [
  { op: 'store', to: bell + 1, value: () => 1 },
  { op: 'fence' },
  { op: 'load', into: scratch, from: bell },
  { op: 'go', when: (r) => r[scratch] !== 0, to: `woken${bell}` },
  { op: 'sleep', on: bell + 2 },
  label(`woken${bell}`),
  { op: 'store', to: bell + 1, value: () => 0 },
  { op: 'exchange', into: scratch, at: bell, value: () => 0 },
  go(back),
];

/** Registers: sent (lasts), the consumer's head, scratch. */
function sender(unfair: Unfair | null): Thread {
  const look: Step = { op: 'load', into: 1, from: HEAD };
  return {
    registers: 3,
    lasting: [0],
    steps: [
      label('top'),
      { op: 'go', when: (r) => r[0] === ALL, to: 'end' },
      look,
      { op: 'go', when: (r) => r[0]! - r[1]! < SLOTS, to: 'send' },
      ...unless(unfair === 'heir of the producer does not ask', label('ask')),
      { op: 'store', to: WAITING, value: () => 1 },
      ...unless(unfair === 'producer has no fence', { op: 'fence' }),
      ...unless(unfair === 'producer does not look again', look,
        { op: 'go', when: (r) => r[0]! - r[1]! <= SLOTS / 2, to: 'send' }),
      label('nap'),
      ...sleepAt(OUT, 'top', 2),
      label('send'),
      { op: 'compute', run: (r) => { r[0]! += 1; } },
      { op: 'store', to: TAIL[0], value: ([sent]) => sent! },
      { op: 'fence' },
      ...ringAt(IN, 'sent', 2),
      go('top'),
      label('rescue'),
      { op: 'store', to: TAIL[0], value: ([sent]) => sent! },
      { op: 'store', to: OUT + 1, value: () => 0 },
      { op: 'fence' },
      { op: 'exchange', into: 2, at: IN, value: () => 1 },
      { op: 'exchange', into: 2, at: IN + 2, value: () => 1 },
      go(unfair === 'heir of the producer does not ask' ? 'nap' : 'top'),
      label('end'),
    ],
  };
}

/** Registers: taken (lasts), the producer's tail, scratch. */
function receiver(unfair: Unfair | null): Thread {
  return {
    registers: 3,
    lasting: [0],
    steps: [
      label('top'),
      { op: 'load', into: 1, from: TAIL[0] },
      { op: 'go', when: (r) => r[0] === r[1], to: 'arm' },
      { op: 'compute', run: (r) => { r[0]! += 1; } },
      { op: 'store', to: HEAD, value: ([taken]) => taken! },
      ...unless(unfair === 'consumer has no fence', { op: 'fence' }),
      { op: 'load', into: 2, from: WAITING },
      { op: 'go', when: (r) => r[2] === 0 || r[1]! - r[0]! > SLOTS / 2, to: 'top' },
      { op: 'exchange', into: 2, at: WAITING, value: () => 0 },
      { op: 'go', when: (r) => r[2] === 0, to: 'top' },
      ...unless(unfair === 'consumer does not ring', ...ringAt(OUT, 'credited', 2)),
      go('top'),
      label('arm'),
      ...sleepAt(IN, 'top', 2),
      label('rescue'),
      { op: 'store', to: HEAD, value: ([taken]) => taken! },
      { op: 'store', to: IN + 1, value: () => 0 },
      { op: 'fence' },
      { op: 'exchange', into: 2, at: OUT, value: () => 1 },
      { op: 'exchange', into: 2, at: OUT + 2, value: () => 1 },
      go('top'),
    ],
  };
}

function credit(unfair: Unfair | null, deaths: number): Machine {
  return {
    threads: [sender(unfair), receiver(unfair)],
    memory: new Array<number>(9).fill(0),
    deaths,
    wrong: ([sent, taken]) => (sent![0] === ALL && taken![0] === ALL ? null
      : `both sleep, ${sent![0]} are sent, ${taken![0]} taken`),
  };
}

t.test('who waits for room gets it', (t) => {
  for (const deaths of [0, 1]) {
    const { states, ends, wrong } = walk(credit(null, deaths));
    t.equal(wrong, null, `${states} states, ${ends} ends with up to ${deaths} deaths`);
    t.ok(ends > 0, 'it ends');
  }
  t.end();
});

const CREDIT_RULES: readonly (readonly [Unfair, number])[] = [
  ['producer does not look again', 0],
  ['producer has no fence', 0],
  ['consumer has no fence', 0],
  ['consumer does not ring', 0],
  ['heir of the producer does not ask', 1],
];

for (const [unfair, deaths] of CREDIT_RULES) {
  t.test(`if ${unfair}`, (t) => {
    const { states, wrong } = walk(credit(unfair, deaths));
    t.match(wrong, /both sleep/, `one is lost, found after ${states} states`);
    t.end();
  });
}
