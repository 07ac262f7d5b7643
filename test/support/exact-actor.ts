/**
 * One session of an exact load: a connection of which every reply is checked. What it sends is its
 * role's to say (exact-roles.ts); what has gone wrong is counted here.
 *
 *   connect ─► HELLO 3 ─► CLIENT SETNAME, CLIENT ID ─► its role's prologue ─► act() … ─► epilogue
 */
import { connect, type Socket } from 'node:net';
import { bulkOf } from './exact-values.js';
import { Verifier, type Expected } from './exact-verifier.js';
import { encode, type Argument } from './resp.js';
import { Dice } from './seed.js';

export interface ActorPlan {
  readonly id: number; // unique in the load; makes keys and values
  readonly prefix: string; // of all keys
  readonly address: number | string;
  readonly isResp3: boolean;
  readonly depth: number;
  readonly seed: number;
  readonly lateMs: number; // the pool's timeout, for those who run into it
  readonly slowBytes: number; // of a value that is read slowly
  readonly bigBytes: number;
}

const OK = [Buffer.from('+OK\r\n')];
const NULLS = { 2: [Buffer.from('$-1\r\n')], 3: [Buffer.from('_\r\n')] };

export abstract class Actor {
  readonly trouble: string[] = [];
  requests = 0; // sent, or begun to be sent
  replies = 0; // verified
  errors = 0;
  pardoned = 0; // errors that its role has to reckon with
  mismatches = 0;
  closes = 0;
  cuts = 0; // closes that its role has to reckon with
  stallMs = 0; // the longest time that a reply took
  isEnding = false; // closes by itself
  isHurried = false; // no more leisure: the end is near
  /** Its requests are paced by the load as a whole; others act at every tick. */
  readonly isBrisk: boolean = false;
  protected readonly dice: Dice;
  protected socket: Socket;
  #verifier: Verifier;
  readonly #name: string;
  #count = 0; // what INCR said last
  #counting = 0; // INCRs without an answer
  #doubt = 0; // INCRs since then that an error answered: nobody knows whether they were carried out
  #clientId = '';
  #isResp3: boolean; // so it was greeted
  #out: Buffer[] = [];
  #nowMs = 0;

  constructor(readonly role: string, protected readonly plan: ActorPlan) {
    this.dice = new Dice(plan.seed);
    this.#name = `s${plan.id}`;
    this.#isResp3 = plan.isResp3;
    this.#verifier = this.#newVerifier();
    this.socket = this.#newSocket();
  }

  /** Leaves, by an end, a reset or without a word, and comes again as another client. */
  protected comeAgain(leave: (socket: Socket) => void): void {
    const { socket } = this;
    this.#doubt += this.#counting;
    this.#counting = 0;
    this.#clientId = '';
    this.#isResp3 = false;
    this.#verifier = this.#newVerifier();
    this.socket = this.#newSocket();
    leave(socket);
    this.receive();
    this.introduce(this.#nowMs);
  }

  #newVerifier(): Verifier {
    return new Verifier({
      answered: (expected) => this.#onAnswered(expected),
      error: (expected, text) => {
        this.#onAnswered(expected);
        if (this.mayFail(text)) {
          this.pardoned += 1;
          return;
        }
        this.errors += 1;
        this.#tell(`${expected.request} was answered by ${text}`);
      },
      mismatch: (text) => {
        this.mismatches += 1;
        this.#tell(text);
        this.socket.destroy();
      },
    });
  }

  #newSocket(): Socket {
    const { address } = this.plan;
    const socket = typeof address === 'number' ? connect(address, '127.0.0.1') : connect(address);
    const isOurs = (): boolean => socket === this.socket && !this.isEnding;
    socket.setNoDelay(true);
    socket.on('error', (error) => { if (isOurs()) this.#tell(error.message); });
    socket.on('close', () => { if (isOurs()) this.#onClose(); });
    return socket;
  }

  /** Whether it may be closed without a reason of its own. */
  protected get mayBeCut(): boolean {
    return false;
  }

  /** Whether an error is an answer like any other: its servers come and go. */
  protected mayFail(_text: string): boolean {
    return false;
  }

  /** One step of its role. Returns how many requests it has begun. */
  abstract act(nowMs: number): number;

  /** Something half-sent or unread that must be done before the end. */
  get isBusy(): boolean {
    return this.owed > 0;
  }

  get owed(): number {
    return this.#verifier.owed;
  }

  get isOver(): boolean {
    return this.closes > 0 || this.mismatches > 0;
  }

  /** How long the oldest unanswered request has been waiting. */
  waitedMs(nowMs: number): number {
    return nowMs - (this.#verifier.oldest?.sentMs ?? nowMs);
  }

  describe(): string {
    const oldest = this.#verifier.oldest?.request ?? 'nothing';
    return `${this.role} ${this.#name}: ${this.owed} replies owed, first that of ${oldest}`;
  }

  /** Sends what a session begins with. Its replies are to be waited for. */
  open(nowMs: number): void {
    this.#nowMs = nowMs;
    this.receive();
    if (this.plan.isResp3) {
      this.ask(['HELLO', '3'], { any: (reply) => reply.type === '%' });
      this.flush();
      return;
    }
    this.introduce(nowMs);
  }

  /** What follows once HELLO is answered. */
  introduce(nowMs: number): void {
    this.#nowMs = nowMs;
    this.ask(['CLIENT', 'SETNAME', this.#name], { pieces: OK });
    this.askClientId();
    this.prologue();
    this.flush();
  }

  /** The last requests: what the session was must still be known. */
  close(nowMs: number): void {
    this.#nowMs = nowMs;
    this.askName();
    this.askClientId();
    this.incr();
    this.flush();
  }

  end(): void {
    this.isEnding = true;
    this.socket.destroy();
  }

  protected prologue(): void {}

  /** How replies are read: as they come. */
  protected receive(): void {
    this.socket.on('data', (bytes) => this.take(bytes));
  }

  protected take(bytes: Buffer): void {
    this.#verifier.take(bytes);
  }

  // --- requests; they leave with flush() ---

  protected ask(args: readonly Argument[], reply: Partial<Expected>): void {
    this.put(encode(args), `${args.slice(0, 2).join(' ')}`, reply);
  }

  protected put(bytes: Buffer, request: string, reply: Partial<Expected>): void {
    this.#out.push(bytes);
    this.#verifier.expect({ request, sentMs: this.#nowMs, ...reply });
    this.requests += 1;
  }

  protected flush(): void {
    if (this.#out.length === 0) return;
    this.socket.write(this.#out.length === 1 ? this.#out[0]! : Buffer.concat(this.#out));
    this.#out = [];
  }

  /** What flush() would send, for those who send otherwise. */
  protected takeOut(): Buffer {
    const bytes = Buffer.concat(this.#out);
    this.#out = [];
    return bytes;
  }

  /** The time that requests get from here on. */
  protected at(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  protected key(name: string): string {
    return `${this.plan.prefix}${this.#name}:${name}`;
  }

  protected incr(): void {
    this.#counting += 1;
    this.ask(['INCR', this.key('count')], {
      line: (text) => {
        const surplus = Number(text.slice(1)) - this.#count - 1;
        if (text[0] !== ':') return false;
        if (!(surplus >= 0 && surplus <= this.#doubt)) {
          this.#tell(`${text} follows ${this.#count} with ${this.#doubt} in doubt`);
          return false;
        }
        this.#counting -= 1;
        this.#doubt -= surplus;
        this.#count += surplus + 1;
        return true;
      },
      onError: () => {
        this.#counting -= 1;
        this.#doubt += 1;
      },
    });
  }

  protected set(name: string, number: number, bytes: number): void {
    const key = this.key(name);
    this.put(Buffer.concat([encodeHead('SET', key, 3), ...bulkOf(this.plan.id, number, bytes)]),
      `SET ${key} ${number}`, { pieces: OK });
  }

  protected get(name: string, number: number, bytes: number): void {
    this.ask(['GET', this.key(name)], { pieces: bulkOf(this.plan.id, number, bytes) });
  }

  protected getNothing(): void {
    this.ask(['GET', this.key('nothing')], { pieces: this.#null });
  }

  protected mset(names: readonly string[], number: number, bytes: number): void {
    const parts: Buffer[] = [Buffer.from(`*${1 + 2 * names.length}\r\n$4\r\nMSET\r\n`)];
    for (const [i, name] of names.entries()) {
      parts.push(bulk(this.key(name)), ...bulkOf(this.plan.id, number + i, bytes));
    }
    this.put(Buffer.concat(parts), `MSET of ${names.length}`, { pieces: OK });
  }

  /** A null in the middle, so that not all places are alike. */
  protected mget(names: readonly string[], number: number, bytes: number): void {
    const middle = names.length >> 1;
    const keys = names.map((name) => this.key(name));
    keys.splice(middle, 0, this.key('nothing'));
    const values = names.map((_, i) => bulkOf(this.plan.id, number + i, bytes));
    values.splice(middle, 0, [...this.#null]);
    this.ask(['MGET', ...keys],
      { pieces: [Buffer.concat([Buffer.from(`*${keys.length}\r\n`), ...values.flat()])] });
  }

  protected askName(): void {
    this.ask(['CLIENT', 'GETNAME'], { pieces: [bulk(this.#name)] });
  }

  protected askClientId(): void {
    this.ask(['CLIENT', 'ID'], {
      line: (text) => {
        if (this.#clientId === '') this.#clientId = text;
        return /^:\d+$/.test(text) && text === this.#clientId;
      },
    });
  }

  protected askSum(command: 'EXISTS' | 'DEL', names: readonly string[], sum: number): void {
    this.ask([command, ...names.map((name) => this.key(name))],
      { pieces: [Buffer.from(`:${sum}\r\n`)] });
  }

  get #null(): readonly Buffer[] {
    return NULLS[this.#isResp3 ? 3 : 2];
  }

  #onAnswered(expected: Expected): void {
    this.replies += 1;
    this.stallMs = Math.max(this.stallMs, performance.now() - (expected.sentMs ?? Infinity));
  }

  #onClose(): void {
    if (this.mismatches > 0) return;
    if (this.mayBeCut) {
      this.cuts += 1;
      this.comeAgain(() => {});
      return;
    }
    this.closes += 1;
    this.#tell(`was closed; ${this.owed} replies owed`);
  }

  #tell(text: string): void {
    if (this.trouble.length < TROUBLE_MAX) this.trouble.push(`${this.role} ${this.#name}: ${text}`);
  }
}

const TROUBLE_MAX = 5; // of one session; the first tells most

function bulk(text: string): Buffer {
  return Buffer.from(`$${Buffer.byteLength(text)}\r\n${text}\r\n`);
}

/** A request's bytes up to its last argument. */
function encodeHead(command: string, key: string, args: number): Buffer {
  return Buffer.concat([
    Buffer.from(`*${args}\r\n$${command.length}\r\n${command}\r\n`), bulk(key),
  ]);
}
