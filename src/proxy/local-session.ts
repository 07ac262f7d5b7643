/**
 * Commands about the asking session itself: PING ECHO TIME, AUTH HELLO SELECT RESET QUIT, and
 * ACL WHOAMI. A proxy knows one user, `default`, with the pool's password or with none.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { REDIS_VERSION } from '../base/version.js';
import { commandId } from '../protocol/command-table.js';
import {
  BAD_CLIENT_NAME, BAD_PROTOCOL_NUMBER, DB_OUT_OF_RANGE, NOAUTH_HELLO, NOPROTO, NOT_AN_INT32, NOT_AN_INTEGER,
  NO_PASSWORD_SET, SYNTAX_ERROR, WRONGPASS, quoted, wrongArityError,
} from '../protocol/errors.js';
import { ReplyWriter, latin1Of, type Protocol } from '../protocol/reply.js';
import { integerOf, isClientWord, isWord } from '../protocol/text.js';
import {
  answerError, answerOk, writerFor,
  type LocalAnswer, type LocalHandler, type LocalRequest, type SessionChanges, type SessionFacts,
} from './local-answer.js';

const USER = 'default';
const MICROS_PER_SECOND = 1_000_000;

/** So much of an unknown HELLO option is repeated in the error. */
const OPTION_QUOTED_MAX = 128;

function onPing(request: LocalRequest): LocalAnswer {
  const { id, args } = request;
  if (args.length > 2) return answerError(wrongArityError(id));
  const writer = writerFor(request);
  return { reply: (args.length === 1 ? writer.simple('PONG') : writer.bulk(args[1])).finish() };
}

function onEcho(request: LocalRequest): LocalAnswer {
  return { reply: writerFor(request).bulk(request.args[1]).finish() };
}

function onTime(request: LocalRequest): LocalAnswer {
  const now = request.proxy.nowMicros();
  const seconds = Math.floor(now / MICROS_PER_SECOND);
  const micros = Math.floor(now - seconds * MICROS_PER_SECOND);
  return { reply: writerFor(request).bulks([String(seconds), String(micros)]).finish() };
}

function onWhoami(request: LocalRequest): LocalAnswer {
  return { reply: writerFor(request).bulk(USER).finish() };
}

function onQuit(): LocalAnswer {
  return { ...answerOk(), close: true };
}

/** The pool has one database; its own number and 0 both mean it. */
function onSelect({ args, session }: LocalRequest): LocalAnswer {
  const db = integerOf(args[1]);
  if (db === null) return answerError(NOT_AN_INTEGER);
  if (db < -(2 ** 31) || db > 2 ** 31 - 1) return answerError(NOT_AN_INT32);
  if (db !== 0 && db !== session.poolDb) return answerError(DB_OUT_OF_RANGE);
  return answerOk({ db });
}

/** The library's name and version stay, as in Redis. */
function onReset({ session }: LocalRequest): LocalAnswer {
  return {
    reply: Buffer.from('+RESET\r\n'),
    changes: {
      reset: true, protocol: 2, name: '', db: 0, authenticated: session.poolPassword === null,
    },
  };
}

/** AUTH password | AUTH user password */
function onAuth({ args, session }: LocalRequest): LocalAnswer {
  if (args.length > 3) return answerError(SYNTAX_ERROR);
  if (args.length === 2 && session.poolPassword === null) return answerError(NO_PASSWORD_SET);
  const user = args.length === 3 ? args[1] : Buffer.from(USER);
  return isWelcome(session, user, args[args.length - 1])
    ? answerOk({ authenticated: true })
    : answerError(WRONGPASS);
}

/** Without a password the user may give any, as Redis' default user with `nopass`. */
function isWelcome(session: SessionFacts, user: Uint8Array, password: Uint8Array): boolean {
  if (latin1Of(user) !== USER) return false;
  return session.poolPassword === null || isSame(password, Buffer.from(session.poolPassword));
}

/** Compares digests, so that the time taken tells nothing about the password. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return timingSafeEqual(digestOf(a), digestOf(b));
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** HELLO [2|3 [AUTH user password] [SETNAME name]]: what came before a mistake has its effect. */
function onHello(request: LocalRequest): LocalAnswer {
  const { args, session } = request;
  const changes: SessionChanges = {};
  let protocol = session.protocol;
  if (args.length > 1) {
    const version = integerOf(args[1]);
    if (version === null) return answerError(BAD_PROTOCOL_NUMBER);
    if (version !== 2 && version !== 3) return answerError(NOPROTO);
    protocol = version;
    const error = readHelloOptions(args, session, changes);
    if (error !== null) return { ...answerError(error), changes };
  }
  if (!(changes.authenticated ?? session.authenticated)) {
    return { ...answerError(NOAUTH_HELLO), changes };
  }
  if (protocol !== session.protocol) changes.protocol = protocol;
  return { reply: greeting(session.id, protocol), changes };
}

function readHelloOptions(
  args: readonly Buffer[], session: SessionFacts, changes: SessionChanges,
): string | null {
  for (let i = 2; i < args.length; i += 1) {
    if (isWord(args[i], 'auth') && i + 2 < args.length) {
      if (!isWelcome(session, args[i + 1], args[i + 2])) return WRONGPASS;
      changes.authenticated = true;
      i += 2;
    } else if (isWord(args[i], 'setname') && i + 1 < args.length) {
      if (!isClientWord(args[i + 1])) return BAD_CLIENT_NAME;
      changes.name = latin1Of(args[i += 1]);
    } else {
      return `ERR Syntax error in HELLO option '${quoted(args[i], OPTION_QUOTED_MAX)}'`;
    }
  }
  return null;
}

/** `server` stays redis: libraries that look at it at all want to read just that. */
function greeting(id: number, protocol: Protocol): Buffer {
  return new ReplyWriter(protocol).map(7)
    .bulk('server').bulk('redis')
    .bulk('version').bulk(REDIS_VERSION)
    .bulk('proto').integer(protocol)
    .bulk('id').integer(id)
    .bulk('mode').bulk('standalone')
    .bulk('role').bulk('master')
    .bulk('modules').array(0)
    .finish();
}

export const sessionHandlers: ReadonlyMap<number, LocalHandler> = new Map<number, LocalHandler>([
  [commandId('acl|whoami'), onWhoami],
  [commandId('auth'), onAuth],
  [commandId('echo'), onEcho],
  [commandId('hello'), onHello],
  [commandId('ping'), onPing],
  [commandId('quit'), onQuit],
  [commandId('reset'), onReset],
  [commandId('select'), onSelect],
  [commandId('time'), onTime],
]);
