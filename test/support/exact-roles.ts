/**
 * What the sessions of an exact load do. Each role keeps another place of the proxy busy:
 *
 *   mixed     pipelines of several commands, some answered by the proxy   requests, replies, splits
 *   counter   INCR and nothing else                                       exactly once
 *   split     MSET, MGET, EXISTS over all servers                         parts and merges
 *   half      requests in pieces, a piece at a time                       unframed bytes
 *   slow      asks for megabytes and reads them slowly                    queued replies
 *   big       ten megabytes in, slowly, and out again                     collecting, streaming
 *   late      a request that runs into the pool's timeout                 deadlines, dropped replies
 *   visitor   comes, counts, leaves: in order, or rudely                  accept, close, orphans
 *   shaky     counts, and asks for parts, at servers that come and go     connect, errors
 *   wire      the same requests again and again, over a unix socket       sends cut by a death
 *   idle      nothing until the end                                       state that rests
 */
import { Actor, type ActorPlan } from './exact-actor.js';
import { bulkOf } from './exact-values.js';

export type Role = 'mixed' | 'counter' | 'split' | 'half' | 'slow' | 'big' | 'late' | 'visitor'
  | 'shaky' | 'wire' | 'idle';

const SMALL_BYTES = [64, 100, 700, 3000];
const NAMES = Array.from({ length: 12 }, (_, i) => `part${i}`);
const PART_BYTES = 80;
const SLOW_EVERY_MS = 20;
const SLOW_OWED_MAX = 2;
const BIG_PIECES = 20;
const BIG_PAUSE_MS = 300;
const VISIT_RUDE_ONE_IN = 4;
const VISIT_REST_MS = 60;
const HALF_BYTES = 2000;
const HALF_PIECES_MAX = 9;
const HALF_EVERY_MS = 8;

abstract class Brisk extends Actor {
  override readonly isBrisk = true;

  /** A pipeline follows when the one before is answered, at the latest when its half is. */
  act(nowMs: number): number {
    if (this.owed > this.plan.depth / 2) return 0;
    this.at(nowMs);
    const before = this.requests;
    this.pipeline();
    this.flush();
    return this.requests - before;
  }

  protected abstract pipeline(): void;
}

class Counter extends Brisk {
  protected pipeline(): void {
    for (let i = 0; i < this.plan.depth; i += 1) this.incr();
  }
}

class Mixed extends Brisk {
  #number = 0;

  protected override prologue(): void {
    this.mset(NAMES, 0, PART_BYTES);
  }

  protected pipeline(): void {
    const number = this.#number += 1;
    const bytes = this.dice.pick(SMALL_BYTES);
    this.incr();
    this.set('value', number, bytes);
    this.get('value', number, bytes);
    for (let i = 3; i < this.plan.depth; i += 1) this.#another(number + i);
  }

  #another(number: number): void {
    switch (number % 6) {
      case 0: case 1: return this.mget(NAMES, 0, PART_BYTES);
      case 2: return this.getNothing();
      case 3: return this.askName();
      case 4: return this.askSum('EXISTS', [...NAMES, 'nothing'], NAMES.length);
      default: return this.incr();
    }
  }
}

class Split extends Brisk {
  #number = 0;

  protected pipeline(): void {
    const number = this.#number += NAMES.length;
    this.mset(NAMES, number, PART_BYTES);
    this.mget(NAMES, number, PART_BYTES);
    this.askSum('DEL', NAMES.slice(0, 5), 5);
    this.askSum('EXISTS', NAMES, NAMES.length - 5);
  }
}

class Half extends Actor {
  #pieces: Buffer[] = [];
  #number = 0;
  #lastMs = 0;

  override get isBusy(): boolean {
    return this.#pieces.length > 0 || super.isBusy;
  }

  act(nowMs: number): number {
    if (nowMs - this.#lastMs < HALF_EVERY_MS && !this.isHurried) return 0;
    this.#lastMs = nowMs;
    const before = this.requests;
    if (this.#pieces.length === 0 && !this.isHurried && this.owed === 0) this.#begin(nowMs);
    const piece = this.#pieces.shift();
    if (piece !== undefined) this.socket.write(piece);
    return this.requests - before;
  }

  #begin(nowMs: number): void {
    this.at(nowMs);
    const number = this.#number += 1;
    this.incr();
    this.set('value', number, HALF_BYTES);
    this.get('value', number, HALF_BYTES);
    this.incr();
    const bytes = this.takeOut();
    const cuts = Array.from({ length: this.dice.between(2, HALF_PIECES_MAX) },
      () => this.dice.below(bytes.length)).sort((a, b) => a - b);
    this.#pieces = [0, ...cuts].map((cut, i) => bytes.subarray(cut, cuts[i] ?? bytes.length));
  }
}

class Slow extends Actor {
  #lastMs = 0;

  protected override prologue(): void {
    this.set('value', 1, this.plan.slowBytes);
  }

  /** A listener for `readable` keeps the socket from flowing: only read() makes room for more. */
  protected override receive(): void {
    this.socket.on('readable', () => { if (this.replies < 4) this.#read(); });
  }

  act(nowMs: number): number {
    this.at(nowMs);
    const before = this.requests;
    if (!this.isHurried && this.owed < SLOW_OWED_MAX) {
      this.get('value', 1, this.plan.slowBytes);
      this.incr();
      this.flush();
    }
    if (nowMs - this.#lastMs >= SLOW_EVERY_MS || this.isHurried) {
      this.#lastMs = nowMs;
      this.#read();
    }
    return this.requests - before;
  }

  #read(): void {
    const bytes = this.socket.read() as Buffer | null;
    if (bytes !== null) this.take(bytes);
  }
}

class Big extends Actor {
  #number = 0;
  #pieces: Buffer[] = [];
  #restUntilMs = 0;

  override get isBusy(): boolean {
    return this.#pieces.length > 0 || super.isBusy;
  }

  act(nowMs: number): number {
    this.at(nowMs);
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.socket.write(piece);
      return 0;
    }
    if (this.owed > 0 || this.isHurried || nowMs < this.#restUntilMs) return 0;
    this.#restUntilMs = nowMs + BIG_PAUSE_MS;
    const number = this.#number += 1;
    this.set('value', number, this.plan.bigBytes);
    const bytes = this.takeOut();
    const pieceBytes = Math.ceil(this.plan.bigBytes / BIG_PIECES);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.#pieces.push(bytes.subarray(at, at + pieceBytes));
    }
    this.get('value', number, this.plan.bigBytes);
    this.incr();
    this.#pieces.push(this.takeOut());
    return 3;
  }
}

/** Its server keeps what is called `late` for longer than the pool waits. */
class Late extends Actor {
  #number = 0;

  act(nowMs: number): number {
    if (this.owed > 0 || this.isHurried) return 0;
    this.at(nowMs);
    const number = this.#number += 1;
    const { id, lateMs } = this.plan;
    const sentMs = nowMs;
    this.ask(['GET', `early:${id}:${number}`], { pieces: bulkOf(id, number, 64) });
    this.ask(['GET', `late:${id}:${number}`], {
      line: (text) => /^-.*timed out/i.test(text) && performance.now() - sentMs >= lateMs - 5,
    });
    this.flush();
    return 2;
  }

  /** Its server does not count. */
  protected override incr(): void {}
}

class Visitor extends Actor {
  #restUntilMs = 0;
  #isHalfSaid = false;

  act(nowMs: number): number {
    if (nowMs < this.#restUntilMs || this.isHurried) return 0;
    this.at(nowMs);
    const isDone = this.owed === 0;
    if (isDone && this.#isHalfSaid) this.#leave();
    else if (isDone || this.#isHalfSaid) this.#count();
    else if (this.dice.below(VISIT_RUDE_ONE_IN) === 0) this.#leave();
    this.#restUntilMs = nowMs + this.dice.below(VISIT_REST_MS);
    return 1;
  }

  #count(): void {
    this.#isHalfSaid = !this.#isHalfSaid;
    for (let i = 0; i < this.plan.depth; i += 1) this.incr();
    this.flush();
  }

  #leave(): void {
    this.#isHalfSaid = false;
    const resets = this.dice.isHead() && typeof this.plan.address === 'number';
    this.comeAgain((socket) => resets ? socket.resetAndDestroy() : socket.destroy());
  }
}

/** An error says that nobody knows whether it counted. */
class Shaky extends Counter {
  protected override prologue(): void {
    this.mset(NAMES, 0, PART_BYTES);
  }

  protected override pipeline(): void {
    super.pipeline();
    this.mget(NAMES, 0, PART_BYTES);
  }

  protected override mayFail(text: string): boolean {
    return text.startsWith('-ERR') || text.startsWith('-LOADING'); // it has just come back
  }
}

/** Nothing it says depends on whether what it said before was carried out. */
class Wire extends Brisk {
  protected override prologue(): void {
    this.mset(NAMES, 0, PART_BYTES);
  }

  protected pipeline(): void {
    const bytes = SMALL_BYTES.at(-1)!;
    this.incr();
    this.set('value', 1, bytes);
    this.get('value', 1, bytes);
    this.mget(NAMES, 0, PART_BYTES);
  }

  protected override get mayBeCut(): boolean {
    return true;
  }

  protected override mayFail(text: string): boolean {
    return text.startsWith('-ERR');
  }
}

class Idle extends Actor {
  act(): number {
    return 0;
  }
}

const ROLES = {
  mixed: Mixed, counter: Counter, split: Split, half: Half,
  slow: Slow, big: Big, late: Late, visitor: Visitor, shaky: Shaky, wire: Wire,
  idle: Idle,
};

export function actorOf(role: Role, plan: ActorPlan): Actor {
  return new ROLES[role](role, plan);
}
