/**
 * States, flags and codes that live in shared words. Both languages use them: generate.ts copies
 * this file's enums into native/layout.gen.h, so a number is written once.
 */
export const enum LaneState { Free, Starting, Serving, Draining, Stopped }

/**
 *   Free ──accept──► Open ──close asked──► Closing ──closed──► Free
 *                      └─► Finishing: no more reads, closes when all replies are sent ─► Closing
 */
export const enum SessionState { Free, Open, Finishing, Closing }

/** A session whose mode is 0 speaks RESP2, is let in and has no state: its plain requests pass. */
export const enum SessionMode { NeedsAuth = 1, Resp3 = 2 }

export const enum SessionFlag {
  Unix = 1,
  WantWrite = 2, // EPOLLOUT is asked for
  Muted = 4, // EPOLLIN is switched off: a limit is reached
  Scanning = 8, // a large request is being collected in the in chain
  Backlog = 16, // the in chain may hold whole requests that a limit kept from being framed
  Eof = 32, // the client will send no more
  Barrier = 128, // its next request waits until all before it are answered
  Quit = 64, // it asked to be closed: what it sent behind that is not looked at
}

/**
 *   Free ─► Connecting ─► Handshake ─► Up ──lost──► Down ─► Connecting
 */
export const enum LinkState { Free, Down, Connecting, Handshake, Up }

export const enum LinkFlag { Unix = 1, WantWrite = 2 }

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
}

export const enum UnitClass { Node, Chunk }
