/**
 * CLIENT KILL ip:port
 * CLIENT KILL [ID id] [TYPE type] [USER name] [ADDR ip:port] [LADDR ip:port] [SKIPME yes|no] …
 *
 * Whom it means among the sessions of all lanes; who calls closes them. Pools may have different
 * passwords, so a session reaches those of its own pool only.
 */
import { LOW_CLIENT_ID, NO_SUCH_CLIENT, SYNTAX_ERROR, quoted } from '../protocol/errors.js';
import { latin1Of } from '../protocol/reply.js';
import { integerOf, isWord } from '../protocol/text.js';
import {
  answerError, answerOk, writerFor, type ClientFacts, type LocalAnswer, type LocalRequest,
} from './local-answer.js';

const OTHER_TYPES = ['master', 'replica', 'slave', 'pubsub'];
const USER = 'default';
/** So much of an unknown word is repeated in an error. */
const QUOTED_MAX = 128;

type Test = (client: ClientFacts) => boolean;

interface Wanted {
  readonly tests: Test[];
  skipMe: boolean;
}

export function onKill(request: LocalRequest): LocalAnswer {
  const { args, session, proxy } = request;
  const isOld = args.length === 3;
  const wanted: Wanted = { tests: [({ pool }) => pool === session.pool], skipMe: !isOld };
  const error = isOld ? readAddress(args[2], wanted) : readFilters(args, wanted);
  if (error !== null) return answerError(error);
  const found = [...proxy.clients()].filter((client) => wanted.tests.every((test) => test(client)));
  const kills = found.filter(({ id }) => id !== session.id);
  const close = !wanted.skipMe && found.length > kills.length;
  const count = kills.length + (close ? 1 : 0);
  if (!isOld) return { reply: writerFor(request).integer(count).finish(), kills, close };
  return count === 0 ? answerError(NO_SUCH_CLIENT) : { ...answerOk(), kills, close };
}

function readAddress(text: Uint8Array, { tests }: Wanted): null {
  const address = latin1Of(text);
  tests.push(({ addr }) => addr === address);
  return null;
}

/** Fills `wanted`; returns the text of an error, or null. */
function readFilters(args: readonly Buffer[], wanted: Wanted): string | null {
  if (args.length % 2 !== 0) return SYNTAX_ERROR;
  for (let i = 2; i < args.length; i += 2) {
    const error = readFilter(args[i]!, args[i + 1]!, wanted);
    if (error !== null) return error;
  }
  return null;
}

function readFilter(name: Buffer, value: Buffer, wanted: Wanted): string | null {
  const { tests } = wanted;
  const text = latin1Of(value);
  if (isWord(name, 'id')) {
    const wantedId = integerOf(value);
    if (wantedId === null || wantedId < 1) return LOW_CLIENT_ID;
    tests.push(({ id }) => id === wantedId);
  } else if (isWord(name, 'type')) {
    const isNormal = isWord(value, 'normal');
    if (!isNormal && !OTHER_TYPES.some((type) => isWord(value, type))) {
      return `ERR Unknown client type '${quoted(value, QUOTED_MAX)}'`;
    }
    tests.push(() => isNormal);
  } else if (isWord(name, 'user')) {
    if (text !== USER) return `ERR No such user '${quoted(value, QUOTED_MAX)}'`;
  } else if (isWord(name, 'addr')) {
    readAddress(value, wanted);
  } else if (isWord(name, 'laddr')) {
    tests.push(({ laddr }) => laddr === text);
  } else if (isWord(name, 'skipme') && (isWord(value, 'yes') || isWord(value, 'no'))) {
    wanted.skipMe = isWord(value, 'yes');
  } else {
    return SYNTAX_ERROR;
  }
  return null;
}
