/**
 * CLIENT: what a session may ask and set about itself, and the list of all sessions. The fields
 * of a line are those of Redis 7.2 and in its order; Baton's own (pool, lane) stand at the end.
 */
import { Refusal } from '../protocol/command.js';
import { commandId } from '../protocol/command-table.js';
import { BAD_CLIENT_ID, BAD_CLIENT_NAME, SYNTAX_ERROR, quoted, refusedOptionError } from
  '../protocol/errors.js';
import { latin1Of } from '../protocol/reply.js';
import { integerOf, isClientWord, isWord } from '../protocol/text.js';
import {
  answerError, answerOk, writerFor,
  type ClientFacts, type LocalAnswer, type LocalHandler, type LocalRequest,
} from './local-answer.js';
import { onKill } from './local-kill.js';

/** So much of an unknown word is repeated in an error. */
const QUOTED_MAX = 128;

function onId(request: LocalRequest): LocalAnswer {
  return { reply: writerFor(request).integer(request.session.id).finish() };
}

function onGetName(request: LocalRequest): LocalAnswer {
  const { name } = request.session;
  const writer = writerFor(request);
  return { reply: (name === '' ? writer.null() : writer.bulk(name)).finish() };
}

function onSetName({ args }: LocalRequest): LocalAnswer {
  if (!isClientWord(args[2])) return answerError(BAD_CLIENT_NAME);
  return answerOk({ name: latin1Of(args[2]) });
}

/** CLIENT SETINFO LIB-NAME name | LIB-VER version */
function onSetInfo({ args }: LocalRequest): LocalAnswer {
  const [, , attribute, value] = args;
  const isLibName = isWord(attribute, 'lib-name');
  const shown = quoted(attribute, QUOTED_MAX);
  if (!isLibName && !isWord(attribute, 'lib-ver')) {
    return answerError(`ERR Unrecognized option '${shown}'`);
  }
  if (!isClientWord(value)) {
    return answerError(`ERR ${shown} cannot contain spaces, newlines or special characters.`);
  }
  const text = latin1Of(value);
  return answerOk(isLibName ? { libName: text } : { libVer: text });
}

function onInfo(request: LocalRequest): LocalAnswer {
  return { reply: writerFor(request).verbatim(`${clientLine(request.session)}\n`).finish() };
}

/** CLIENT LIST [TYPE normal|master|replica|pubsub] [ID id …]: here every client is normal. */
function onList(request: LocalRequest): LocalAnswer {
  const { args, proxy } = request;
  let isWanted = (_client: ClientFacts): boolean => true;
  if (args.length === 4 && isWord(args[2], 'type')) {
    const isNormal = isWord(args[3], 'normal');
    if (!isNormal && !OTHER_TYPES.some((type) => isWord(args[3], type))) {
      return answerError(`ERR Unknown client type '${quoted(args[3], QUOTED_MAX)}'`);
    }
    isWanted = () => isNormal;
  } else if (args.length > 3 && isWord(args[2], 'id')) {
    const ids = new Set(args.slice(3).map(integerOf));
    if (ids.has(null)) return answerError(BAD_CLIENT_ID);
    isWanted = (client) => ids.has(client.id);
  } else if (args.length !== 2) {
    return answerError(SYNTAX_ERROR);
  }
  let text = '';
  for (const client of proxy.clients()) {
    if (isWanted(client)) text += `${clientLine(client)}\n`;
  }
  return { reply: writerFor(request).verbatim(text).finish() };
}

const OTHER_TYPES = ['master', 'replica', 'slave', 'pubsub'];

/** NO-EVICT and NO-TOUCH: accepted; a proxy evicts nobody and touches no key by itself. */
function onSwitch({ args }: LocalRequest): LocalAnswer {
  const isSwitch = isWord(args[2], 'on') || isWord(args[2], 'off');
  return isSwitch ? answerOk() : answerError(SYNTAX_ERROR);
}

/** Replies are always on: the request rows live until each is answered. */
function onReply({ id, args }: LocalRequest): LocalAnswer {
  if (isWord(args[2], 'on')) return answerOk();
  for (const option of ['off', 'skip']) {
    if (isWord(args[2], option)) {
      return answerError(refusedOptionError(id, option, Refusal.Connection));
    }
  }
  return answerError(SYNTAX_ERROR);
}

/** Tracking cannot be on, so nobody receives invalidations: -1. */
function onGetRedir(request: LocalRequest): LocalAnswer {
  return { reply: writerFor(request).integer(-1).finish() };
}

function onTrackingInfo(request: LocalRequest): LocalAnswer {
  const writer = writerFor(request).map(3)
    .bulk('flags').set(1).bulk('off')
    .bulk('redirect').integer(-1)
    .bulk('prefixes').array(0);
  return { reply: writer.finish() };
}

/** One line of CLIENT LIST, without its line end. */
export function clientLine(client: ClientFacts): string {
  const memoryBytes = client.queryBytes + client.outputBytes;
  return [
    `id=${client.id}`, `addr=${client.addr}`, `laddr=${client.laddr}`, `fd=${client.fd}`,
    `name=${client.name}`, `age=${client.ageSeconds}`, `idle=${client.idleSeconds}`,
    `flags=${client.isUnixSocket ? 'U' : 'N'}`, `db=${client.db}`,
    'sub=0', 'psub=0', 'ssub=0', 'multi=-1',
    `qbuf=${client.queryBytes}`, 'qbuf-free=0', 'argv-mem=0', 'multi-mem=0', 'rbs=0', 'rbp=0',
    'obl=0', 'oll=0', `omem=${client.outputBytes}`, `tot-mem=${memoryBytes}`, 'events=r',
    `cmd=${client.lastCommand}`, 'user=default', 'redir=-1', `resp=${client.protocol}`,
    `lib-name=${client.libName}`, `lib-ver=${client.libVer}`,
    `pool=${client.pool}`, `lane=${client.lane}`,
  ].join(' ');
}

export const clientHandlers: ReadonlyMap<number, LocalHandler> = new Map<number, LocalHandler>([
  [commandId('client|getname'), onGetName],
  [commandId('client|getredir'), onGetRedir],
  [commandId('client|id'), onId],
  [commandId('client|info'), onInfo],
  [commandId('client|kill'), onKill],
  [commandId('client|list'), onList],
  [commandId('client|no-evict'), onSwitch],
  [commandId('client|no-touch'), onSwitch],
  [commandId('client|reply'), onReply],
  [commandId('client|setinfo'), onSetInfo],
  [commandId('client|setname'), onSetName],
  [commandId('client|trackinginfo'), onTrackingInfo],
]);
