/**
 * What a command that the proxy answers itself may see and say. Handlers are pure: they read facts
 * and return bytes and wished changes; who calls them writes the changes into the session's row.
 */
import { ReplyWriter, errorReply, type Protocol } from '../protocol/reply.js';

/** What CLIENT LIST tells of any session. */
export interface ClientFacts {
  readonly id: number;           // safe integer, never used twice by one instance
  readonly addr: string;         // the client's 'ip:port', or '/path:0' on a unix socket
  readonly laddr: string;        // the listener's
  readonly fd: number;
  readonly isUnixSocket: boolean;
  readonly name: string;         // '' when not set; printable ASCII without blanks, like the next
  readonly libName: string;
  readonly libVer: string;
  readonly protocol: Protocol;
  readonly db: number;           // as the client selected it
  readonly ageSeconds: number;
  readonly idleSeconds: number;
  readonly queryBytes: number;   // received and not yet framed
  readonly outputBytes: number;  // replies not yet sent
  readonly lastCommand: string;  // name as in the table, or 'NULL'
  readonly pool: string;
  readonly lane: number;
  readonly row: number;          // in its lane
  readonly generation: number;   // of the row: tells it from a later session there
}

/** The session that asks. */
export interface SessionFacts extends ClientFacts {
  readonly authenticated: boolean;       // true from the start where no password is set
  readonly poolDb: number;               // the database that the pool's links use
  readonly poolPassword: string | null;  // null: none is needed
}

/** Sections of INFO, in the order in which they are shown. */
export type InfoSection =
  | 'server' | 'clients' | 'memory' | 'persistence' | 'stats' | 'replication' | 'cpu'
  | 'commandstats' | 'errorstats' | 'cluster' | 'keyspace' | 'proxy' | 'pools';

export type Field = readonly [name: string, value: string | number];

/** The rest of the proxy, asked only when a command needs it. */
export interface ProxyFacts {
  readonly version: string;  // Baton's own
  /** Unix time in microseconds. */
  nowMicros(): number;
  /** Fields of an INFO section, without those that are the same for every Baton. */
  infoFields(section: InfoSection): readonly Field[];
  /** Settings for CONFIG GET by Redis' or Baton's name; they win over the compatible defaults. */
  configValues(): Iterable<readonly [name: string, value: string]>;
  /** Every open session of the instance, the asking one included, in the order of their ids. */
  clients(): Iterable<ClientFacts>;
}

/** What is to be written into the session's row when the reply is sealed; absent: unchanged. */
export interface SessionChanges {
  authenticated?: boolean;
  protocol?: Protocol;
  name?: string;
  libName?: string;
  libVer?: string;
  db?: number;
  reset?: boolean;  // RESET: the other fields already say what that means for them
}

export interface LocalAnswer {
  readonly reply: Buffer;
  readonly changes?: SessionChanges;
  readonly close?: boolean;  // close the session when the reply is sent
  readonly kills?: readonly ClientFacts[];  // other sessions to be closed at once
}

/** One command as a handler sees it; `id` is the row that decides: a container's subcommand. */
export interface LocalRequest {
  readonly id: number;
  readonly args: readonly Buffer[];
  readonly session: SessionFacts;
  readonly proxy: ProxyFacts;
}

export type LocalHandler = (request: LocalRequest) => LocalAnswer;

/** A writer in the protocol of the session that asks. */
export function writerFor(request: LocalRequest): ReplyWriter {
  return new ReplyWriter(request.session.protocol);
}

export function answerError(text: string): LocalAnswer {
  return { reply: errorReply(text) };
}

export function answerOk(changes?: SessionChanges): LocalAnswer {
  const reply = Buffer.from('+OK\r\n');
  return changes === undefined ? { reply } : { reply, changes };
}
