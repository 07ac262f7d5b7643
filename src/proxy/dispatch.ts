/**
 * Decides what becomes of every request that was framed in a turn.
 *
 *   descriptor ─┬─ plain, admitted, link up ────────────► plan = link         (the fast path)
 *               ├─ MGET, MSET, DEL … ───────────────────► plan = Split program
 *               ├─ keys elsewhere, or several ──────────► plan = link, or CROSSSLOT
 *               └─ PING, HELLO, errors … ───────────────► plan = Reply program
 *
 * Nothing on the fast path allocates; it reads columns and writes one word per request. C++ carries
 * the plans out in order (native/apply.cc). After a decision that changes session state, the plans so
 * far are carried out at once, so that the next decision sees it.
 */
import { fail } from '../base/assert.js';
import { native } from '../native/binding.js';
import { Plan } from '../protocol/command.js';
import {
  arityOf,
  commandCount,
  commandId,
  commands,
  firstKeyOf,
  keyStepOf,
  isArityOf,
  mergeOf,
  needsArgs,
  planOf,
  resolveCommand,
} from '../protocol/command-table.js';
import { CROSSSLOT, NOAUTH, wrongArityError } from '../protocol/errors.js';
import { errorReply } from '../protocol/reply.js';
import { DescriptorKind, LinkState, NamedCommand, Operation, SessionMode, Step } from '../shm/codes.js';
import { Descriptor, LaneHead, Link, PoolCounter, Session, SessionInfo } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';
import { argumentsOf, isCut } from './arguments.js';
import type { LaneEvents } from './lane-events.js';
import { KILL_WORDS, planOfMessage, writeKill } from './lane-mail.js';
import type { LinkSet } from './link-set.js';
import { rejectionOf, routingKeysOf } from './local-admission.js';
import type { ClientFacts, ProxyFacts } from './local-answer.js';
import { answerLocally } from './local-commands.js';
import { scanErrorReply } from './scan-errors.js';
import type { PoolRoute } from './pool-route.js';
import { POISONED, headOf } from './poison.js';
import { PONG_PLAN, Program } from './program.js';
import type { SessionDesk } from './session-desk.js';
import { Splitter } from './split.js';

const PING = commandId('ping');
/** Whom nearly every answer kills. */
const NOBODY: readonly ClientFacts[] = [];

/** Behind these a session may use other links: what is under way on the old ones must be answered first. */
const SWITCHES_LINKS: ReadonlySet<number> = new Set([commandId('hello'), commandId('reset')]);

/** arity of the commands whose one key is argv[1]; 0: not one of them. */
const plainArity = Int32Array.from({ length: commandCount }, (_, id) =>
  planOf[id] === Plan.Plain && needsArgs[id] === 0 ? arityOf[id]! : 0,
);

/** What C++ must know of each command to frame it: see CommandNames in native/command-names.h. */
export function commandShapes(): Int32Array {
  return Int32Array.from({ length: commandCount }, (_, id) => {
    const isList = needsArgs[id] === 1 && id !== PING ? 1 : 0;
    return isList | ((firstKeyOf[id]! & 0xff) << 8) | ((keyStepOf[id]! & 0xff) << 16);
  });
}

export function commandNames(): string[] {
  return commands.slice(0, commandCount).map(({ name }) => name);
}

export class Dispatch {
  readonly #words: Int32Array;
  readonly #program: Program;
  readonly #splitter = new Splitter();
  #index = 0; // descriptor that is being decided

  constructor(
    private readonly view: LaneView,
    private readonly routes: readonly (PoolRoute | undefined)[], // by pool id
    private readonly links: LinkSet,
    private readonly desk: SessionDesk,
    private readonly facts: ProxyFacts,
    private readonly events: LaneEvents,
    private readonly requestRows: number,
  ) {
    this.#words = view.words;
    this.#program = new Program(view);
  }

  /** Writes a plan for each descriptor from `decided` to `descriptors` of the lane's head. */
  decide(): void {
    const words = this.#words;
    const { head, descriptor } = this.view;
    let index = words[head + LaneHead.Decided]!;
    if (index === 0) this.#program.reset();
    words[head + LaneHead.Step] = Step.Deciding;
    for (; index < words[head + LaneHead.Descriptors]!; index++) {
      const at = descriptor + index * Descriptor.RowWords;
      this.#index = index;
      words[head + LaneHead.Deciding] = index;
      if (words[at + Descriptor.Kind] === DescriptorKind.Request) {
        words[at + Descriptor.Plan] = this.#planOf(at);
      } else {
        this.#onEvent(at);
      }
    }
    words[head + LaneHead.Decided] = index;
    words[head + LaneHead.Step] = Step.Other;
  }

  #planOf(at: number): number {
    const words = this.#words;
    const command = words[at + Descriptor.Command]!;
    const row = words[at + Descriptor.Row]!;
    const mode = words[this.view.session + row * Session.RowWords + Session.Mode]!;
    const arity = command < 0 ? 0 : plainArity[command]!;
    const argc = words[at + Descriptor.Argc]!;
    const isAdmitted =
      arity !== 0 &&
      (arity > 0 ? argc === arity : argc >= -arity) &&
      (mode & (SessionMode.NeedsAuth | SessionMode.Peer)) === 0;
    if (!isAdmitted) return this.#planSlowly(at, command, mode, row);
    return this.#forward(at, this.routes[words[at + Descriptor.Pool]!]!, mode, row);
  }

  /** By the hash of its first key. */
  #forward(at: number, route: PoolRoute, mode: number, row: number): number {
    const backend = route.view.route(this.#words[at + Descriptor.Hash]!);
    if (backend < 0) return this.#noServer(route);
    const link = route.linkOf(backend, (mode & SessionMode.Resp3) >> 1, row);
    return this.#isOpen(link, route) ? link : this.#notOpen(link, route, row);
  }

  /** Up, its queue is not full, and the pool's gate is open. */
  #isOpen(link: number, route: PoolRoute): boolean {
    return (
      this.#words[this.view.link + link * Link.RowWords + Link.State] === LinkState.Up &&
      !this.#isFull(link, route.gate)
    );
  }

  /**
   * A link may queue link_queue_limit bytes, and have as many request rows as are free: so however
   * many servers hang, rows are left for the others.
   */
  #isFull(link: number, limit: number): boolean {
    const words = this.#words;
    const at = this.view.link + link * Link.RowWords;
    return (
      words[at + Link.OutBytes]! > limit ||
      words[at + Link.Requests]! > this.requestRows - words[this.view.head + LaneHead.RequestsOpen]!
    );
  }

  /** The plan for a request whose link is full, down, connecting, or not yet the session's. */
  #notOpen(link: number, route: PoolRoute, row: number): number {
    if (route.isHeld && this.links.isSettling(row)) {
      if (this.#isWaitedFor(row)) return this.#wait();
      this.links.settled(row);
    }
    if (this.#isFull(link, route.queueLimit)) {
      return this.#program.begin(this.#index, 2, 0).word(Operation.Stall).word(link).end();
    }
    if (this.links.isUp(link) || this.links.prepare(link)) return link;
    this.view.countPool(route.id, PoolCounter.ForwardError);
    return this.#reply(this.links.refusal(link));
  }

  #noServer(route: PoolRoute): number {
    this.view.countPool(route.id, PoolCounter.ForwardError);
    return this.#error(`ERR no server of pool '${route.settings.name}' is live`);
  }

  #planSlowly(at: number, command: number, mode: number, row: number): number {
    const words = this.#words;
    const route = this.routes[words[at + Descriptor.Pool]!]!;
    if (command === NamedCommand.Poisoned) return this.#refusePoisoned(at, row, route);
    if ((mode & SessionMode.Peer) !== 0) return this.#relay(route, mode, row);
    // The password that a session owes may have been taken out of the configuration since.
    const isAuthenticated =
      (mode & SessionMode.NeedsAuth) === 0 || route.settings.redisAuth === null;
    if (command === PING && isAuthenticated && words[at + Descriptor.Argc] === 1) return PONG_PLAN;
    if (command >= 0 && planOf[command] === Plan.Split && isAuthenticated) {
      return this.#split(at, command, route, mode, row);
    }
    if (command >= 0 && plainArity[command] !== 0) {
      if (!isArityOf(command, words[at + Descriptor.Argc]!))
        return this.#reject(wrongArityError(command), route);
      return isAuthenticated ? this.#forward(at, route, mode, row) : this.#reject(NOAUTH, route);
    }
    if (words[at + Descriptor.Offset]! < 0 && words[at + Descriptor.Arguments]! < 0) {
      return this.#error('ERR too many arguments for the proxy to look at');
    }
    const args = argumentsOf(this.view, at);
    if (command < 0 && isHttp(args[0]!)) return this.#hangUp(at, row);
    const id = resolveCommand(args);
    const rejection = rejectionOf(id, args, isAuthenticated);
    if (rejection !== null) return this.#reject(rejection, route);
    const plan = planOf[id] as Plan;
    if (plan === Plan.Local || plan === Plan.Container) return this.#answer(at, args, row, route);
    return this.#routeByKeys(id, at, args, route, mode, row);
  }

  /** Another lane has routed it, and decided all else: it leaves by this lane's own link. */
  #relay(route: PoolRoute | undefined, mode: number, row: number): number {
    const at = this.view.sessionInfo + row * SessionInfo.RowWords;
    const end = this.#words[at + SessionInfo.RelayEnd]!;
    const link = this.links.ownRow(end, (mode & SessionMode.Resp3) >> 1);
    if (route === undefined) return this.#reply(this.links.refusal(0));
    return this.#isOpen(link, route) ? link : this.#notOpen(link, route, row);
  }

  /** Workers died of it, so nothing of it is looked at but its head, for the log. */
  #refusePoisoned(at: number, row: number, route: PoolRoute): number {
    this.events.onPoisonedRequest(row, route.id, headOf(this.view, at));
    return this.#error(POISONED);
  }

  /** A web page makes its reader's browser talk to us: closed before what follows can do harm, as Redis does. */
  #hangUp(at: number, row: number): number {
    const pool = this.#words[at + Descriptor.Pool]!;
    this.view.countPool(pool, PoolCounter.ErrorProtocol);
    this.events.onBrokenRequest(row, pool, 'it speaks HTTP: perhaps an attack by way of a browser');
    return this.#program.begin(this.#index, 2, 0).word(Operation.Close).end();
  }

  #reject(text: string, route: PoolRoute): number {
    this.view.countPool(route.id, rejectionCounter(text));
    return this.#error(text);
  }

  #split(at: number, command: number, route: PoolRoute, mode: number, row: number): number {
    const words = this.#words;
    const argc = words[at + Descriptor.Argc]!;
    const step = keyStepOf[command]!;
    const first = words[at + Descriptor.Arguments]!;
    if (argc < 1 + step || (argc - 1) % step !== 0) return this.#error(wrongArityError(command));
    if (first < 0) return this.#error(`ERR too many arguments to be split over servers`);
    const keys = (argc - 1) / step;
    const parts = this.#splitter.group(
      words,
      this.view.argument + first,
      keys,
      step,
      route,
      (mode & SessionMode.Resp3) >> 1,
      row,
    );
    if (parts < 0) return this.#noServer(route);
    const { links } = this.#splitter;
    for (let part = 0; part < parts; part++) {
      if (this.#isOpen(links[part]!, route)) continue;
      const plan = this.#notOpen(links[part]!, route, row);
      if (plan < 0) return plan;
    }
    if (parts === 1) return links[0]!;
    if (!this.#program.fits(this.#splitter.wordsNeeded, 0))
      return this.#error('ERR too many keys to be split over servers');
    this.#program.begin(this.#index, this.#splitter.wordsNeeded, 0);
    this.#splitter.write(this.#program, mergeOf[command]!, step);
    return this.#program.end();
  }

  /** Several keys, or keys elsewhere than argv[1]: one server must own them all. */
  #routeByKeys(
    id: number,
    at: number,
    args: Buffer[],
    route: PoolRoute,
    mode: number,
    row: number,
  ): number {
    const keys = routingKeysOf(id, args);
    if (typeof keys === 'string') return this.#reject(keys, route);
    let owner = -1;
    for (const key of keys) {
      if (isCut(this.view, at, key))
        return this.#error('ERR the key is too long for the proxy to look at');
      const backend = route.view.route(
        native.hashKey(route.hashKind, route.tagOpen, route.tagClose, args[key]!),
      );
      if (backend < 0) return this.#noServer(route);
      if (owner >= 0 && backend !== owner) {
        this.view.countPool(route.id, PoolCounter.ErrorCrossslot);
        return this.#error(CROSSSLOT);
      }
      owner = backend;
    }
    const link = route.linkOf(owner, (mode & SessionMode.Resp3) >> 1, row);
    return this.#isOpen(link, route) ? link : this.#notOpen(link, route, row);
  }

  #answer(at: number, args: Buffer[], row: number, route: PoolRoute): number {
    if (SWITCHES_LINKS.has(this.#words[at + Descriptor.Command]!) && this.#isWaitedFor(row))
      return this.#wait();
    if (args.some((_, index) => isCut(this.view, at, index)))
      return this.#error('ERR an argument is too long for the proxy to look at');
    const answer = answerLocally(args, this.desk.factsOf(row, route.settings), this.facts);
    if (answer.reply[0] === 0x2d && isAuthFailure(answer.reply))
      this.view.countPool(route.id, PoolCounter.ErrorAuth);
    const kills = answer.kills ?? NOBODY;
    const room = 16 + kills.length * KILL_WORDS;
    if (!this.#program.fits(room, answer.reply.length))
      return this.#error('ERR the answer is too large for the proxy');
    this.#program.begin(this.#index, room, answer.reply.length).reply(answer.reply);
    for (const client of kills) writeKill(this.#program, this.desk.lane, client);
    if (answer.changes !== undefined) {
      this.#program.word(Operation.SetMode).word(this.desk.apply(row, answer.changes));
    }
    if (answer.close === true) this.#program.word(Operation.Close);
    const plan = this.#program.end();
    if (answer.changes === undefined) return plan;
    this.#words[at + Descriptor.Plan] = plan;
    native.laneApply(this.#index + 1);
    return plan;
  }

  /** Whether requests of this session are under way: those before this one are carried out first. */
  #isWaitedFor(row: number): boolean {
    native.laneApply(this.#index);
    return this.#words[this.view.session + row * Session.RowWords + Session.Requests]! > 0;
  }

  /** The request stays unread until everything before it is answered. */
  #wait(): number {
    return this.#program.begin(this.#index, 1, 0).word(Operation.Wait).end();
  }

  #error(text: string): number {
    return this.#reply(errorReply(text));
  }

  #reply(bytes: Buffer): number {
    return this.#program.begin(this.#index, 4, bytes.length).reply(bytes).end();
  }

  #onEvent(at: number): void {
    const words = this.#words;
    const row = words[at + Descriptor.Row]!;
    const code = words[at + Descriptor.Command]!;
    switch (words[at + Descriptor.Kind] as DescriptorKind) {
      case DescriptorKind.LinkUp:
        return this.links.onUp(row);
      case DescriptorKind.LinkLost:
        return this.links.onLost(row, code);
      case DescriptorKind.ServerFailing:
        return this.links.onFailingReply(row);
      case DescriptorKind.LinkReply: {
        const begin = this.view.arena + words[at + Descriptor.Offset]!;
        return this.links.onReply(
          row,
          this.view.bytes.subarray(begin, begin + words[at + Descriptor.Bytes]!),
        );
      }
      case DescriptorKind.ProtocolError: {
        const error = scanErrorReply(code, words[at + Descriptor.Bytes]!);
        this.#program.begin(this.#index, 8, 128).reply(error).word(Operation.Close);
        words[at + Descriptor.Plan] = this.#program.end();
        const why = error.toString('latin1', '-ERR '.length, error.length - 2);
        return this.events.onBrokenRequest(row, words[at + Descriptor.Pool]!, why);
      }
      case DescriptorKind.SessionClosed:
        return this.events.onSessionClosed(
          row,
          code,
          words[at + Descriptor.Pool]!,
          words[at + Descriptor.Bytes]!,
        );
      case DescriptorKind.AcceptFailed:
        return this.events.onAcceptFailed(code);
      case DescriptorKind.ClientRefused:
        return this.events.onClientRefused(row, code);
      case DescriptorKind.Message: {
        const value = words[at + Descriptor.Argc]!;
        words[at + Descriptor.Plan] = planOfMessage(this.#program, this.#index, code, row, value);
        return;
      }
      default:
        return fail('every kind of descriptor has a case');
    }
  }
}

function rejectionCounter(text: string): PoolCounter {
  if (text.startsWith('NOAUTH')) return PoolCounter.ErrorAuth;
  if (text.includes('not supported') || text.includes('disabled')) return PoolCounter.ErrorRefused;
  return PoolCounter.ErrorUnknown;
}

/** Redis' own two signs of a request that was meant for a web server. */
function isHttp(name: Buffer): boolean {
  const text = name.toString('latin1', 0, 6).toLowerCase();
  return (name.length === 4 && text === 'post') || (name.length === 5 && text === 'host:');
}

function isAuthFailure(reply: Buffer): boolean {
  const text = reply.toString('latin1', 1, 10);
  return text.startsWith('WRONGPASS') || text.startsWith('NOAUTH');
}
