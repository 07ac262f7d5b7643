/**
 * Sessions as local commands see them: facts read from rows, and changes written back by way of C++.
 * Made anew for each command that asks; the fast path never comes here.
 */
import type { PoolSettings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { commands } from '../protocol/command-table.js';
import { SessionFlag, SessionMode, SessionState } from '../shm/codes.js';
import { LaneHead, Session, SessionInfo } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';
import type { ClientFacts, SessionChanges, SessionFacts } from './local-answer.js';

/** Columns that native.sessionNote writes. */
const enum Note {
  Name,
  LibName,
  LibVer,
  Db,
}

const UNKNOWN = '?';

export class SessionDesk {
  constructor(
    private readonly view: LaneView,
    readonly lane: number,
    /** By id; another lane may have sessions of a pool that this one's roster does not know. */
    private readonly poolOf: (id: number) => PoolSettings | undefined,
  ) {}

  factsOf(row: number, pool: PoolSettings): SessionFacts {
    const mode = this.#word(row, Session.Mode);
    return {
      ...this.clientOf(row),
      authenticated: (mode & SessionMode.NeedsAuth) === 0 || pool.redisAuth === null,
      poolDb: pool.redisDb,
      poolPassword: pool.redisAuth,
    };
  }

  /** Every open session of the lane. */
  *clients(): Generator<ClientFacts> {
    const top = this.view.words[this.view.head + LaneHead.SessionTop]!;
    for (let row = 1; row < top; row++) {
      const state = this.#word(row, Session.State);
      if ((this.#word(row, Session.Mode) & SessionMode.Peer) !== 0) continue;
      if (state === SessionState.Open || state === SessionState.Finishing) yield this.clientOf(row);
    }
  }

  clientOf(row: number): ClientFacts {
    const pool = this.poolOf(this.#word(row, Session.Pool));
    const flags = this.#word(row, Session.Flags);
    const nowUs = this.view.doubles[this.view.head / 2 + LaneHead.NowUs]!;
    const lastCommand = this.#word(row, Session.LastCommand);
    const isUnix = (flags & SessionFlag.Unix) !== 0;
    const listen = pool?.listen.text ?? UNKNOWN;
    return {
      id: this.#double(row, Session.ClientId),
      addr: isUnix ? `${listen}:0` : this.peerOf(row),
      laddr: isUnix ? `${listen}:0` : listen,
      fd: this.#word(row, Session.Fd),
      isUnixSocket: isUnix,
      name: this.#text(row, SessionInfo.Name, SessionInfo.NameBytes),
      libName: this.#text(row, SessionInfo.LibName, SessionInfo.LibNameBytes),
      libVer: this.#text(row, SessionInfo.LibVer, SessionInfo.LibVerBytes),
      protocol: (this.#word(row, Session.Mode) & SessionMode.Resp3) !== 0 ? 3 : 2,
      db: this.#info(row, SessionInfo.Db),
      ageSeconds: Math.floor((nowUs - this.#double(row, Session.OpenedUs)) / 1e6),
      idleSeconds: Math.floor((nowUs - this.#double(row, Session.ActiveUs)) / 1e6),
      queryBytes: this.#word(row, Session.InBytes),
      outputBytes: this.#word(row, Session.OutBytes),
      lastCommand: commands[lastCommand]?.name ?? 'NULL',
      pool: pool?.name ?? UNKNOWN,
      lane: this.lane,
      row,
      generation: this.#word(row, Session.Generation),
    };
  }

  /** 'ip:port' of the client. */
  peerOf(row: number): string {
    const family = this.#info(row, SessionInfo.Family);
    if (family !== 4 && family !== 6) return 'unix';
    const at = (this.view.sessionInfo + row * SessionInfo.RowWords) * 4 + SessionInfo.Peer;
    const bytes = this.view.bytes.subarray(at, at + (family === 4 ? 4 : 16));
    const port = this.#info(row, SessionInfo.PeerPort);
    return family === 4 ? `${bytes.join('.')}:${port}` : `[${ipv6Of(bytes)}]:${port}`;
  }

  /** Notes what a command has changed. Returns the session's mode as it is to be from now on. */
  apply(row: number, changes: SessionChanges): number {
    let mode = this.#word(row, Session.Mode);
    if (changes.authenticated === true) mode &= ~SessionMode.NeedsAuth;
    if (changes.authenticated === false) mode |= SessionMode.NeedsAuth;
    if (changes.protocol === 3) mode |= SessionMode.Resp3;
    if (changes.protocol === 2) mode &= ~SessionMode.Resp3;
    if (changes.name !== undefined)
      native.sessionNote(row, Note.Name, Buffer.from(changes.name, 'latin1'));
    if (changes.libName !== undefined)
      native.sessionNote(row, Note.LibName, Buffer.from(changes.libName, 'latin1'));
    if (changes.libVer !== undefined)
      native.sessionNote(row, Note.LibVer, Buffer.from(changes.libVer, 'latin1'));
    if (changes.db !== undefined) native.sessionNote(row, Note.Db, Buffer.of(changes.db & 0xff));
    return mode;
  }

  #word(row: number, column: Session): number {
    return this.view.words[this.view.session + row * Session.RowWords + column]!;
  }

  #double(row: number, column: Session): number {
    return this.view.doubles[this.view.session / 2 + row * Session.RowDoubles + column]!;
  }

  #info(row: number, column: SessionInfo): number {
    return this.view.words[this.view.sessionInfo + row * SessionInfo.RowWords + column]!;
  }

  #text(row: number, column: SessionInfo, length: SessionInfo): string {
    const at = (this.view.sessionInfo + row * SessionInfo.RowWords) * 4 + column;
    return this.view.bytes.toString('latin1', at, at + this.#info(row, length));
  }
}

function ipv6Of(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return groups.join(':').replace(/(^|:)0(:0)+(:|$)/, '::');
}
