/**
 * States, flags and codes that live in shared words. Both languages use them: generate.ts copies
 * this file's enums into native/layout.gen.h, so a number is written once.
 */
export const enum LaneState { Free, Starting, Serving, Draining, Stopped }

/**
 * The low bits of lane.owner; a lane has one owner at any time.
 *
 *   0 ──claim──► Serving(A) ──asked, at a turn's end──► Frozen(A) ──claim──► Serving(B)
 *                    ▲ └──────────── A died: claim ─────────┼──────────────────▲
 *                    └──────── nobody claimed in time ──────┘
 *   Serving(A), Frozen(A) ──A is dying: its thread never touches the lane again──► Abandoned(A) ──claim──► …
 */
export const enum OwnerState { Nobody, Serving, Frozen, Abandoned }

/** Why an owner died. */
export const enum DeathCause {
  Kill, // a bare SIGKILL, by whomever: no fault of its own
  Signal, // SIGSEGV and the like
  Error, // an error that nobody caught, an exit code that is not 0
  Hang, // it did not take turns any more
}

/** What an owner is at, so that what it died of can be told. */
export const enum Step {
  Other,
  Framing, // the last receipt, from receipt.used on
  Deciding, // descriptor lane_head.deciding
  Applying, // descriptor lane_head.applied
  Repairing, // what an owner before has left
}

export const enum Suspect {
  None,
  Request, // whole, being decided or carried out
  Unframed, // bytes of a client that are being framed
  Reply, // bytes of a server that are being framed
}

/**
 *   Free ─► Starting ─► Ready ──Take──► Serving ──lane given away──► Frozen ──Take──► Serving
 *                         ▲──take failed──┘ └────────── ends ──────────┴──► Ended ─► Free
 */
export const enum WorkerState { Free, Starting, Ready, Serving, Frozen, Ended }

export const enum WorkerOrder {
  None,
  Take, // the lane, from whoever owns it
  End, // the process: it owns nothing (any more)
}

/** What laneClaim found. */
export const enum Claim {
  Fresh, // a lane that nobody owned: empty
  Given, // its owner froze at a turn's end
  Inherited, // its owner is dead
}

export const enum ListenerState { Free, Watched }

/**
 *   Free ──accept──► Open ──close asked──► Closing ──closed──► Free
 *                      └─► Finishing: no more reads, closes when all replies are sent ─► Closing
 */
export const enum SessionState { Free, Open, Finishing, Closing }

/** A session whose mode is 0 speaks RESP2, is let in and has no state: its plain requests pass. */
export const enum SessionMode {
  NeedsAuth = 1,
  Resp3 = 2,
  Peer = 4, // stands for the relay of another lane: its requests have been routed
}

export const enum SessionFlag {
  Unix = 1,
  WantWrite = 2, // EPOLLOUT is asked for
  Muted = 4, // EPOLLIN is switched off: a limit is reached
  Scanning = 8, // a large request is being collected in the in chain
  Backlog = 16, // the in chain may hold whole requests that a limit kept from being framed
  Eof = 32, // the client will send no more
  Barrier = 128, // its next request waits until all before it are answered
  Quit = 64, // it asked to be closed: what it sent behind that is not looked at
  Poisoned = 256, // the request at blamed_at is refused
  Unframable = 512, // what begins at blamed_at is not framed: the session is closed there
}

/**
 *   Free ─► Down ─► Resolving ─► Connecting ─► Handshake ─► Up ──lost──► Down
 *                      └─────────────┴── failed ──┴──► Down, with retry_us: backing off
 */
export const enum LinkState { Free, Down, Connecting, Handshake, Up, Resolving }

export const enum LinkFlag {
  Unix = 1,
  WantWrite = 2,
  Leaving = 4, // its server is no longer configured: closed when nothing is owed
  Lost = 8, // with the owner before; nobody has been told yet
  Untold = 16, // a relay that was lost in this turn; LinkLost is still to be decided
}

/**
 *   Free ─► Sent (queued or in flight: see link_end) ─► Held (whole reply kept, not its turn) ─► Free
 *                     └─► Answered (error given; the late reply will be dropped) ─► Free
 */
export const enum RequestState { Free, Sent, Held, Answered, Waiting }

export const enum RequestFlag {
  InSession = 1, // strung in its session's list
  InLink = 2, // strung in its link's list
  Handshake = 4, // ours: HELLO, AUTH, SELECT on a new link; the reply goes to TypeScript
  CloseAfter = 8, // close the session when the reply is out
  Part = 16, // part of a split request
  Error = 32, // the held reply is an error
  TimedOut = 64, // answered with an error; the late reply will be dropped
  Partial = 128, // the reply is flowing in pieces
  Cut = 256, // some of those pieces are already in the session's output
}

export const enum MergeKind {
  None,
  Interleave, // MGET: elements go back to the places their keys had
  AllOk, // MSET: +OK when every part said +OK, else the first error
  Sum, // DEL UNLINK EXISTS TOUCH: integers are added
}

export const enum DescriptorKind {
  Request = 1,
  LinkUp, // connected; row = link
  LinkLost, // row = link, command = errno, argc = requests failed
  LinkReply, // reply to a handshake request; offset, bytes
  SessionClosed, // row = session, command = CloseReason; only the reasons worth a log line
  AcceptFailed, // command = errno
  ClientRefused, // a pool's client limit; row = pool
  ServerFailing, // row = link: a reply that counts as a failure (-LOADING and the like)
  ProtocolError, // row = session, command = ScanError; the plan answers it and closes
  Message, // of a lane or the master: row = what it is about, command = MessageKind, argc = value,
           // pool = which lane, or as many as there are: the master
}

export const enum CloseReason {
  None, ClientEof, ClientError, Protocol, OutputLimit, RequestTooLarge, InlineTooLarge, Asked, Drained,
  ReplyCut, // the link was lost in the middle of a reply that had begun to flow
  NoMemory,
}

/** Operation programs that TypeScript writes for requests that are not plainly forwarded. */
export const enum Operation {
  End,
  Reply, // offset, bytes: answer from scratch
  Split, // merge, parts, keys, keyStep, then a link per part, then a part per key
  SetMode, // mode bits
  Close, // close when everything before it is answered
  Wait, // keep the request unread until all before it are answered
  Stall, // link: keep the request unread until the link's queue shrinks
  Send, // lane, MessageKind, row, value: without a payload; lost if shm_max is reached
  Kill, // session, generation: closed, whatever it has under way; nothing if it is gone
}

/** Values of descriptor.command that are no command's. */
export const enum NamedCommand {
  Unknown = -1,
  Poisoned = -2, // the worker died of this request: it is refused
}

export const enum UnitClass { Node, Chunk }

/** What one lane tells another. Numbers are never reused: lanes of two versions talk. */
export const enum MessageKind {
  None,
  Anew, // the sender has lost all it knew of the receiver: what was under way between them is over
  Kill, // CLIENT KILL: row = session, value = its generation
  RelayOpen, // row = the relay's link, value = its generation; payload: pool, mode, backend, place
  Relay, // row = the relay's link; payload: requests
  RelayReply, // row = the relay's link, value = its generation; payload: replies
  RelayClose, // the relay is lost or given up: row = its link
  RelayLost, // its peer is gone: row = the relay's link, value = its generation
}
