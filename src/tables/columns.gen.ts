// Written by src/shm/generate.ts from src/shm/layout.ts: change that, then `npm run generate`.

/** A table's number: its place in the list of bases that C++ is given. */
export const enum TableNumber {
  Superblock = 0,
  Directory = 1,
  Lane = 2,
  Worker = 3,
  Pool = 4,
  Backend = 5,
  Node = 6,
  Batch = 7,
  LaneHead = 8,
  Session = 9,
  SessionInfo = 10,
  Link = 11,
  Request = 12,
  Wire = 13,
  Listener = 14,
  Descriptor = 15,
  Receipt = 16,
  Ring = 17,
  Port = 18,
  Bell = 19,
  Message = 20,
  LaneCounter = 21,
  PoolCounter = 22,
  BackendCounter = 23,
  CommandCounter = 24,
  Histogram = 25,
  Count = 26,
}

export const SCHEMA_HASH = -1173686897;

/** What this object is and how it is cut. */
export const enum Superblock {
  Magic = 0, // i32: 0x42544f4e, written last: a half-made object is not an instance
  Format = 1, // i32: FORMAT of the program that made it
  MasterPid = 2, // i32: the master that ejects and reloads: the one whose workers serve
  Lanes = 3, // i32: lane extents that there is address space for
  Pools = 4, // i32: rows of pool, both halves
  Backends = 5, // i32: rows of backend, both halves
  Sessions = 6, // i32: rows of session per lane
  Links = 7, // i32: rows of link per lane
  Requests = 8, // i32: rows of request per lane
  Commands = 9, // i32: rows of command_counter per lane
  Nodes = 10, // i32: rows of node, at most
  Chunks = 11, // i32: rows of chunk, at most
  RouteWords = 12, // i32: words of the route region, both halves
  ConfBytes = 13, // i32: bytes of the conf region, both halves
  RouteGeneration = 14, // i32: bumped by the master after it wrote new routes; lanes follow at a turn's end
  ArenaBytes = 15, // i32: size of a lane's arena
  StartedAt = 8, // f64: wall clock at the instance's start, ms since 1970
  Bytes = 9, // f64: size of the object, reserved
  NodeBase = 10, // f64: offset of node row 0
  ChunkBase = 11, // f64: offset of chunk row 0
  PoolBytesMax = 12, // f64: bytes that node and chunk batches may hold together (shm_max)
  BatchBase = 13, // f64: offset of batch row 0
  Generation = 28, // i32: number of the configuration that lanes follow, or are about to
  DirectoryA = 29, // i32: schema hash of the columns listed in the first half of directory, 0 = none
  DirectoryB = 30, // i32: the same of the second half
  MapHash = 31, // i32: of all offsets that follow from the capacities: versions that differ there do not mix
  Reports = 32, // i32: crash reports written in the hour that reports_hour names; by atomic addition
  ReportsHour = 33, // i32: hours since 1970
  RowWords = 64,
  RowDoubles = 32,
  RowBytes = 256,
}

/** Columns of every table, and migrations from columns of before: how another version finds its way. */
export const enum Directory {
  Table = 0, // u8: name of the table
  Column = 24, // u8: name of the column; of a migration: the one that took over, empty = it was removed
  Type = 48, // u8: i32, f64, u64 or u8
  Scope = 56, // u8: instance or lane
  Offset = 18, // i32: bytes from the start of the row
  Count = 19, // i32: elements
  Stride = 20, // i32: bytes from row to row
  WasCount = 21, // i32: migrations: elements of the column of before
  Was = 88, // u8: migrations: name of the column of before; empty = this row lists a column
  WasType = 112, // u8: migrations: its type
  Factor = 15, // f64: migrations: column = was * factor + plus
  Plus = 16, // f64: see factor; of a removed column: what a version that still has it finds
  OneWay = 34, // i32: migrations: 1 = there is no way back
  RowWords = 40,
  RowDoubles = 20,
  RowBytes = 160,
}

/** One row per lane: who owns it and how far it is. */
export const enum Lane {
  Owner = 0, // i32: worker row * 4 + OwnerState, 0 = nobody; changed by compare and swap only
  Claimant = 1, // i32: worker row that asks the owner to freeze, 0 = none; compare and swap
  Keeper = 2, // i32: worker row whose keeper holds the descriptors of the rows; writer: the owner as it claims
  Epoch = 3, // i32: bumped at each change of owner; writer: the new one
  State = 4, // i32: LaneState
  Generation = 5, // i32: number of the configuration that the lane's rows follow; writer: the owner
  SchemaHash = 6, // i32: layout in which the owner keeps the lane's tables
  RouteGeneration = 7, // i32: the routes this lane uses; writer: the owner, at a turn's end
  Turns = 8, // i32: turns sealed, wraps; the master sees by it that the worker lives
  Sleeping = 9, // i32: 1 while the owner waits in epoll
  Restarts = 10, // i32: workers that died on this lane
  Takeovers = 11, // i32: changes of owner without a death
  Base = 6, // f64: offset of the lane's extent
  HeartbeatUs = 7, // f64: monotonic time of the last turn
  FrozenUs = 8, // f64: monotonic time of the last freeze
  PauseUs = 9, // f64: how long the last takeover kept the lane without an owner
  ClaimedUs = 10, // f64: monotonic time of the last change of owner
  ServedUs = 11, // f64: monotonic time when the new owner had sealed a turn with what waited
  WholeUs = 12, // f64: monotonic time when he had every descriptor, and his keeper answered for the lane
  Cause = 26, // i32: worker row * 4 + DeathCause: why that worker dies; writer: itself as it dies, or a master before he kills one that hangs
  PoolBytes = 14, // f64: bytes of the batches that the lane holds, of each UnitClass; booked before they are claimed
  RowWords = 48,
  RowDoubles = 24,
  RowBytes = 192,
}

/** One row per worker process, of whichever master. Row 0 is never used. */
export const enum Worker {
  State = 0, // i32: WorkerState; Free to Starting: compare and swap by the master that starts it, then the worker's own; Ended: the master
  Order = 1, // i32: WorkerOrder, written by the master before he sends USR2
  Pid = 2, // i32: the process; written by itself
  KeeperPid = 3, // i32: its keeper, 0 = it has none
  MasterPid = 4, // i32: who started it
  Lane = 5, // i32: the lane it is for, -1 = any that loses its owner: a standby, until it has taken one
  Generation = 6, // i32: the configuration it runs with
  Error = 7, // i32: errno of a take that failed; tells why state is Ready again
  Version = 32, // u8: of its program
  StartedAt = 7, // f64: wall clock, ms
  Life = 64, // u8: a robust mutex that its thread holds for life (native/life.h): the kernel tells of its death; all 0: it has none
  RowWords = 32,
  RowDoubles = 16,
  RowBytes = 128,
}

/** What a listen address serves. Written by the master; row = half * pools / 2 + id. */
export const enum Pool {
  Hash = 0, // i32: HashKind
  TagOpen = 1, // i32: first character of hash_tag, -1 = none
  TagClose = 2, // i32: second character of hash_tag
  Distribution = 3, // i32: Distribution
  TimeoutMs = 4, // i32: 0 = none; counted from a request's arrival
  ClientsMax = 5, // i32: sessions over all lanes, 0 = as many as there are rows
  RequestsMax = 6, // i32: requests in flight per session
  BulkMax = 7, // i32: bytes of one argument
  InlineMax = 8, // i32: bytes of an inline command, or of a line of a multibulk header
  InitialMode = 9, // i32: SessionMode bits of a new session (NeedsAuth when redis_auth is set)
  Backends = 10, // i32: how many servers are configured
  RouteBase = 11, // i32: first word of this pool's two route generations in the route region
  RouteWords = 12, // i32: words of one generation
  Keepalive = 13, // i32: 1: links are probed when idle (tcpkeepalive)
  Retired = 14, // i32: 1: no longer configured; its sessions end as soon as they have nothing under way
  OutputLimit = 8, // f64: bytes queued to one client before it is closed
  LinkQueueLimit = 9, // f64: bytes queued to one link before its clients are no longer read
  RowWords = 64,
  RowDoubles = 32,
  RowBytes = 256,
}

/** One Redis server. Written by the master; row = half * backends / 2 + id. */
export const enum Backend {
  Pool = 0, // i32: id of its pool
  Index = 1, // i32: position in the pool, sorted by name; -1 = retired
  Weight = 2, // i32: 1 and up
  Live = 3, // i32: 0 while ejected
  Ejections = 4, // i32: times ejected
  EjectedUntilUs = 3, // f64: monotonic; re-admitted then
  EjectedAt = 4, // f64: wall clock of the last ejection, µs since 1970 (twemproxy's server_ejected_at)
  RowWords = 16,
  RowDoubles = 8,
  RowBytes = 64,
}

/** Strings up to 24 chunks together. Row 0 is never used. */
export const enum Node {
  Next = 0, // i32: next node of the chain; nothing beyond its tail
  Start = 1, // i32: first byte used, unless it is a head
  End = 2, // i32: bytes used up to here, unless it is a tail
  Chunk = 3, // i32: rows of chunk
  RowWords = 32,
  RowDoubles = 16,
  RowBytes = 128,
}

/** 64 units of one class: the grain in which lanes take nodes and chunks. */
export const enum Batch {
  Owner = 0, // i32: lane + 1, 0 = nobody; taken and given back by compare and swap
  Class = 1, // i32: UnitClass
  Free = 8, // u64: bit n set: unit n is free. Writer: the owner. Rebuilt from rows after a crash
  RowWords = 4,
  RowDoubles = 2,
  RowBytes = 16,
}

/** The turn: its commit word, and what the two languages tell each other. */
export const enum LaneHead {
  JournalUsed = 0, // i32: THE commit word: bytes of before-images of the open turn. 0 = the last turn is sealed
  Turn = 1, // i32: number of the open turn; rows carry the turn that last imaged them
  Closing = 2, // i32: the turn that a commit is about to close, 0 = no commit is under way
  AcceptRow = 3, // i32: session row for the connection that is being accepted, 0 = none
  Undone = 4, // i32: the turn that a dead owner left open, until what it had received is kept, 0 = none
  Descriptors = 5, // i32: descriptors of this turn; writer: C++
  Decided = 6, // i32: descriptors TypeScript has written a plan for; C++ applies up to here
  Applied = 7, // i32: descriptors C++ has applied
  Operations = 8, // i32: words used in operation; writer: TypeScript
  ArenaUsed = 9, // i32: bytes used in the arena
  Receipts = 10, // i32: receipts of this turn
  Leave = 11, // i32: 1: return to libuv; writer: C++
  SessionTop = 12, // i32: rows ever used (high-water mark)
  LinkTop = 13, // i32: rows ever used
  RequestTop = 14, // i32: rows ever used
  SessionsOpen = 15, // i32: sessions now
  RequestsOpen = 16, // i32: request rows in use
  Arguments = 17, // i32: words used in argument; writer: C++
  LinksOpen = 18, // i32: links now
  NodesUsed = 19, // i32: nodes the lane holds
  ChunksUsed = 20, // i32: chunks the lane holds
  NextClientId = 11, // f64: CLIENT ID of the next session, 0 = the lane has given none
  NowUs = 12, // f64: lane time at the turn's start, µs: CLOCK_MONOTONIC less the time without an owner
  OwnerlessUs = 13, // f64: how long nobody owned the lane, all times together
  Step = 28, // i32: Step: what the owner is at; no undo takes it back
  Deciding = 29, // i32: step Deciding: the descriptor; writer: TypeScript
  Sealed = 30, // i32: turns sealed that had received or decided something, wraps
  FailedRepairs = 31, // i32: repairs in a row that ended their own worker
  Suspect = 32, // i32: Suspect: what the dead owner was at, until it is blamed
  SuspectRow = 33, // i32: session or link
  SuspectAt = 34, // i32: where it begins, bytes from the first unframed one
  SuspectCause = 35, // i32: DeathCause
  Faults = 36, // i32: deaths in a row by a fault of the worker's own that nothing could be blamed for, since the last sealed turn
  Kills = 37, // i32: deaths in a row by a bare SIGKILL at one and the same suspect, since the last sealed turn
  DeathsSealed = 38, // i32: sealed, as it was at the last death
  KilledRow = 39, // i32: the suspect of those kills: session, or 2^30 + link
  KilledAt = 160, // u64: stream offset where it begins
  Guard = 42, // i32: always LANE_GUARD: another value was written by mistake
  RowWords = 64,
  RowDoubles = 32,
  RowBytes = 256,
}

/** One downstream connection. Row number = epoll id. */
export const enum Session {
  Imaged = 0, // i32: turn that keeps this row's before-image
  State = 1, // i32: SessionState
  Generation = 2, // i32: bumped when the row is reused
  Fd = 3, // i32: descriptor, lane range
  Pool = 4, // i32: id of its pool
  Listener = 5, // i32: row of the listener that accepted it
  Mode = 6, // i32: SessionMode bits: what TypeScript must look at before a plain request may pass
  Flags = 7, // i32: SessionFlag bits
  RequestHead = 8, // i32: oldest request that has no complete reply yet
  RequestTail = 9, // i32: youngest request
  Requests = 10, // i32: requests in the list
  InHead = 11, // i32: first node, 0 = empty
  InTail = 12, // i32: last node
  InStart = 13, // i32: first unread byte in the head node
  InEnd = 14, // i32: bytes used in the tail node
  InBytes = 15, // i32: bytes in the chain
  ScanPhase = 16, // i32: large requests: where the push scanner stands (native/push-scanner.h)
  ScanNumber = 17, // i32: large requests: number being read, or bytes still to skip
  ScanLeft = 18, // i32: large requests: arguments still to come
  WholeBytes = 19, // i32: length of the whole large request at the head of the in chain, 0 = none
  OutHead = 20, // i32: first node, 0 = empty
  OutTail = 21, // i32: last node
  OutStart = 22, // i32: first unread byte in the head node
  OutEnd = 23, // i32: bytes used in the tail node
  OutBytes = 24, // i32: bytes in the chain
  HeldBytes = 25, // i32: bytes of replies held in request rows, not yet their turn
  Peeked = 26, // i32: unix sockets: received bytes that are still to be taken out of the socket
  StalledOn = 27, // i32: link whose queue must shrink before this session is read again
  Rx = 112, // u64: bytes received (kernel-journalled)
  Tx = 120, // u64: bytes sent (kernel-journalled)
  Cookie = 128, // u64: SO_COOKIE of the socket
  OpenedUs = 17, // f64: lane time
  ActiveUs = 18, // f64: lane time of the last request
  ClientId = 19, // f64: CLIENT ID, unique per instance
  LastCommand = 40, // i32: id in the command table, -1 = none
  Blames = 41, // i32: deaths that the request at blamed_at is blamed for
  BlamedAt = 168, // u64: stream offset where that request begins
  RowWords = 48,
  RowDoubles = 24,
  RowBytes = 192,
}

/** What clients say of themselves; same row as session. */
export const enum SessionInfo {
  Imaged = 0, // i32: turn that keeps this row's before-image
  NameBytes = 1, // i32: length of name
  LibNameBytes = 2, // i32: length of lib_name
  LibVerBytes = 3, // i32: length of lib_ver
  PeerPort = 4, // i32: TCP port, 0 for a unix socket
  Db = 5, // i32: selected database
  Family = 6, // i32: 4, 6 or 1 (unix)
  Peer = 28, // u8: address bytes, network order
  Name = 44, // u8: CLIENT SETNAME
  LibName = 140, // u8: CLIENT SETINFO LIB-NAME
  LibVer = 188, // u8: CLIENT SETINFO LIB-VER
  RelayLane = 55, // i32: of a peer (SessionMode.Peer): the lane whose relay it stands for, + 1
  RelayLink = 56, // i32: the relay's row there
  RelayGeneration = 57, // i32: … and its generation
  RelayEnd = 58, // i32: where its requests go: backend * RELAY_PLACES + place
  RowWords = 64,
  RowDoubles = 32,
  RowBytes = 256,
}

/** One upstream connection. epoll id = row number + 2^30. */
export const enum Link {
  Imaged = 0, // i32: turn that keeps this row's before-image
  State = 1, // i32: LinkState
  Generation = 2, // i32: bumped at each connect
  Fd = 3, // i32: descriptor, lane range
  Pool = 4, // i32: id of its pool
  Backend = 5, // i32: id of its backend
  Protocol = 6, // i32: 2 or 3
  Place = 7, // i32: which of server_connections, from 0
  Flags = 8, // i32: LinkFlag bits
  RequestHead = 9, // i32: oldest request whose reply is owed
  RequestTail = 10, // i32: youngest request
  Requests = 11, // i32: requests in the list
  InHead = 12, // i32: first node, 0 = empty
  InTail = 13, // i32: last node
  InStart = 14, // i32: first unread byte in the head node
  InEnd = 15, // i32: bytes used in the tail node
  InBytes = 16, // i32: bytes in the chain
  ScanPhase = 17, // i32: large replies: where the push scanner stands (native/push-scanner.h)
  ScanNumber = 18, // i32: large replies: number being read, or bytes still to skip
  ScanLeft = 19, // i32: large replies: elements still to come
  Streaming = 20, // i32: 1 while a reply is passed on in pieces, 2 while a push message is swallowed
  OutHead = 21, // i32: first node, 0 = empty
  OutTail = 22, // i32: last node
  OutStart = 23, // i32: first unread byte in the head node
  OutEnd = 24, // i32: bytes used in the tail node
  OutBytes = 25, // i32: bytes in the chain
  Stalled = 26, // i32: 1 while sessions wait for this link's queue to shrink
  Replies = 27, // i32: replies to requests on this connection, wraps
  Counted = 28, // i32: 1 while backend_counter.connections counts it
  Peeked = 29, // i32: unix sockets: received bytes that are still to be taken out of the socket
  QueuedTotal = 120, // u64: stream offset after the last queued byte
  Rx = 128, // u64: bytes received on this connection (kernel-journalled)
  Tx = 136, // u64: stream offset after the last sent byte (kernel-journalled)
  TxBase = 144, // u64: bytes of the handshake, which went before stream offset 0
  Cookie = 152, // u64: SO_COOKIE of the socket
  ConnectedUs = 20, // f64: lane time
  ReceivedUs = 21, // f64: lane time of the last byte
  DeadlineUs = 22, // f64: lane time by which it must be up, or (Leaving) gone; 0 = nothing is awaited
  RetryUs = 23, // f64: lane time of the next connect, 0 = at once; until then requests fail
  Failures = 48, // i32: connects in a row that failed
  RepliesDue = 49, // i32: replies to the handshake that are still to come
  Reason = 50, // i32: why it was lost last: errno, -1 = see reason_text, 0 = not lost since it was up
  ReasonBytes = 51, // i32: length of reason_text
  ReasonText = 208, // u8: what the server or the resolver said
  Blames = 68, // i32: deaths that the reply at blamed_at of this connection is blamed for
  BlamedAt = 280, // u64: stream offset where that reply begins
  Home = 72, // i32: of a relay: the lane that has the connection, + 1; 0 = it is this lane's own
  RowWords = 80,
  RowDoubles = 40,
  RowBytes = 320,
}

/** One request: who asked, where it went, what is owed. */
export const enum Request {
  Imaged = 0, // i32: turn that keeps this row's before-image
  State = 1, // i32: RequestState
  Session = 2, // i32: row, 0 = the client is gone
  SessionNext = 3, // i32: next request of the session; nothing beyond its tail
  Link = 4, // i32: row, 0 = answered locally
  LinkNext = 5, // i32: next request of the link; nothing beyond its tail
  Command = 6, // i32: id in the command table
  Flags = 7, // i32: RequestFlag bits
  Bytes = 8, // i32: length as sent upstream
  NearBytes = 9, // i32: length of a reply held in the arena or inline, 0 = it is in the held chain
  Parent = 10, // i32: split: the whole of which this is a part
  FirstPart = 11, // i32: split parent: newest part; parts are strung by session_next
  ArrivedUs = 6, // f64: lane time; the deadline counts from here
  LinkEnd = 56, // u64: stream offset of the link after the request's last byte
  HeldHead = 16, // i32: first node, 0 = empty
  HeldTail = 17, // i32: last node
  HeldStart = 18, // i32: first unread byte in the head node
  HeldEnd = 19, // i32: bytes used in the tail node
  HeldBytes = 20, // i32: bytes in the chain
  NearOffset = 21, // i32: arena offset of a reply held within this turn, -1 = in inline
  Parts = 22, // i32: split parent: parts without a reply
  Merge = 23, // i32: split parent: MergeKind
  Part = 24, // i32: split part: its number
  Keys = 25, // i32: split parent: keys; inline or, when many, its held chain is then two bytes a key, the part that has it
  Inline = 104, // u8: a short reply held over the turn's end
  RowWords = 32,
  RowDoubles = 16,
  RowBytes = 128,
}

/** What went out to a unix socket in the open turn, which no undo takes back. Rows: sessions, then links. */
export const enum Wire {
  Turn = 0, // i32: the turn that the others speak of; another's are left over
  Sending = 1, // i32: 1 while it is not known whether send has taken bytes
  Sent = 2, // i32: bytes that the turn has sent
  RowWords = 4,
  RowDoubles = 2,
  RowBytes = 16,
}

/** One listening socket of the lane. epoll id = row number + 2^29; row = id of its address. */
export const enum Listener {
  Imaged = 0, // i32: unused: listeners change between turns only
  State = 1, // i32: ListenerState
  Fd = 2, // i32: descriptor, lane range behind the links
  Pool = 3, // i32: id of the pool that it serves
  IsUnix = 4, // i32: 1: a unix socket
  Cookie = 24, // u64: SO_COOKIE of the socket that the lane's epoll watches
  RowWords = 16,
  RowDoubles = 8,
  RowBytes = 64,
}

/** What C++ tells TypeScript: one per framed request or event. */
export const enum Descriptor {
  Kind = 0, // i32: DescriptorKind
  Row = 1, // i32: session or link
  Plan = 2, // i32: written by TypeScript: > 0 link to forward to, < 0 ~index of an operation program
  Command = 3, // i32: id in the command table, -1 = unknown; events: a code
  Hash = 4, // i32: hash of the first key
  Argc = 5, // i32: arguments, name included
  Offset = 6, // i32: arena offset of the request's bytes; chained requests: -1, they are in the session's in chain
  Bytes = 7, // i32: length of the request
  Arguments = 8, // i32: first word in argument when the command needs its arguments, else -1
  Pool = 9, // i32: id of the session's pool
  Receipt = 10, // i32: the receipt this came from
  Start = 11, // i32: where the request begins within that receipt (inline requests are rewritten elsewhere)
  RowWords = 12,
  RowDoubles = 6,
  RowBytes = 48,
}

/** One receive of this turn, published before the syscall. */
export const enum Receipt {
  Row = 0, // i32: epoll id
  Turn = 1, // i32: the turn in which it is true; another's is left over
  Offset = 2, // i32: arena offset where kept and received bytes begin
  Kept = 3, // i32: bytes copied from the in chain
  Room = 4, // i32: bytes the kernel may write behind them
  Got = 5, // i32: bytes received; -1 until known
  Used = 6, // i32: bytes (kept + got) that whole requests have consumed
  RowWords = 8,
  RowDoubles = 4,
  RowBytes = 32,
}

/** What the lane has sent to another and taken from it, as of the last commit. Row = the other lane; row `lanes`: the master. */
export const enum Ring {
  Imaged = 0, // i32: turn that keeps this row's before-image
  OverflowHead = 1, // i32: first node, 0 = empty
  OverflowTail = 2, // i32: last node
  OverflowStart = 3, // i32: first unread byte in the head node
  OverflowEnd = 4, // i32: bytes used in the tail node
  OverflowBytes = 5, // i32: bytes in the chain
  Anew = 6, // i32: 1: the next message to the other must be MessageKind.Anew
  Queued = 32, // u64: messages ever written into the ring to the other
  Taken = 40, // u64: messages ever taken out of the ring from the other
  StreamHead = 12, // i32: first node, 0 = empty
  StreamTail = 13, // i32: last node
  StreamStart = 14, // i32: first unread byte in the head node
  StreamEnd = 15, // i32: bytes used in the tail node
  StreamBytes = 16, // i32: bytes in the chain
  Released = 72, // u64: stream offset of the first byte in the stream to the other
  Read = 80, // u64: stream offset up to which the other's stream has been read
  RowWords = 32,
  RowDoubles = 16,
  RowBytes = 128,
}

/** The lane's side of its rings as the others see it. Rows as in ring; row `lanes` + 1: the master's side, written by him. */
export const enum Port {
  Tail = 0, // u64: messages to the other that it may read; follows ring.queued behind each commit
  Waiting = 2, // i32: 1: more waits than the ring holds; the other sets 0 and rings when most of it is free
  Base = 16, // u64: payloads that begin before this stream offset are gone: the lane has begun anew
  Apart = 24, // u8: keeps what is read from what is written on cache lines of their own
  Head = 128, // u64: messages from the other whose slots may be written again; follows ring.taken
  Read = 136, // u64: the other may free its stream up to here; follows ring.read
  RowWords = 64,
  RowDoubles = 32,
  RowBytes = 256,
}

/** The lane's doorbell: written by whoever sends something to it, atomically. */
export const enum Bell {
  Sleeping = 0, // i32: 1: the owner is about to sleep; who sets 0 wakes it by its eventfd
  Apart = 4, // u8: keeps both on cache lines of their own
  Rung = 128, // u64: bit n: lane n has sent something, or made room; cleared by the owner, who then looks
  RowWords = 64,
  RowDoubles = 32,
  RowBytes = 256,
}

/** Slots of the rings that the lane writes: RING_SLOTS for each row of port. */
export const enum Message {
  Kind = 0, // i32: MessageKind
  Row = 1, // i32: whom or what it is about; a row of the receiver's
  Value = 2, // i32: as the kind says
  Bytes = 3, // i32: of its payload, 0 = it has none
  Node = 4, // i32: where the payload begins, in the sender's stream
  At = 5, // i32: … within that node; it goes on in the next one when the node is full
  Ends = 24, // u64: offset of the sender's stream behind the payload
  RowWords = 8,
  RowDoubles = 4,
  RowBytes = 32,
}

/** Counts of the lane as a whole. */
export const enum LaneCounter {
  Turns = 0, // f64: turns
  Accepts = 1, // f64: connections accepted
  AcceptErrors = 2, // f64: accepts that failed (EMFILE and the like)
  Sleeps = 3, // f64: times the lane waited
  Receives = 4, // f64: recv calls
  Sends = 5, // f64: send calls
  Images = 6, // f64: before-images written
  PoolFull = 7, // f64: times the chunk pool had nothing left
  Stalls = 8, // f64: times a session was stalled on a full link queue
  Poisoned = 9, // f64: requests and replies given up because workers died of them
  RowsDamaged = 10, // f64: sessions and links closed because their rows were damaged
  ColdStarts = 11, // f64: times the lane began anew because it was damaged as a whole
  MessagesSent = 12, // f64: messages to other lanes and the master
  MessagesReceived = 13, // f64: messages of other lanes and the master
  BellsRung = 14, // f64: times another lane was woken for them
  RowWords = 64,
  RowDoubles = 32,
  RowBytes = 256,
}

/** Counts per pool. */
export const enum PoolCounter {
  ClientConnections = 0, // f64: sessions now
  Accepted = 1, // f64: sessions ever
  ClientEof = 2, // f64: closed by the client
  ClientErr = 3, // f64: closed by a socket error
  Requests = 4, // f64: requests framed
  Replies = 5, // f64: replies delivered
  BytesIn = 6, // f64: bytes from clients
  BytesOut = 7, // f64: bytes to clients
  ForwardError = 8, // f64: requests answered with an error because of a server
  Fragments = 9, // f64: parts of split requests
  Local = 10, // f64: requests answered by the proxy
  ErrorProtocol = 11, // f64: sessions closed: broken framing
  ErrorUnknown = 12, // f64: unknown command or wrong arity
  ErrorRefused = 13, // f64: command not supported here
  ErrorCrossslot = 14, // f64: keys on several servers
  ErrorAuth = 15, // f64: NOAUTH, WRONGPASS
  ErrorTimeout = 16, // f64: requests timed out
  RefusedClients = 17, // f64: connections refused: client_connections reached
  ClosedOutput = 18, // f64: sessions closed: client_output_limit
  ClosedRequest = 19, // f64: sessions closed: request or inline too long
  Stalled = 20, // f64: times a session was stalled
  RowWords = 64,
  RowDoubles = 32,
  RowBytes = 256,
}

/** Counts per server. */
export const enum BackendCounter {
  Connections = 0, // f64: links open now
  Connects = 1, // f64: connects tried
  ServerEof = 2, // f64: links closed by the server
  ServerErr = 3, // f64: links lost by an error, connects failed
  ServerTimedout = 4, // f64: requests timed out
  Requests = 5, // f64: requests queued
  RequestBytes = 6, // f64: their bytes
  Responses = 7, // f64: replies received
  ResponseBytes = 8, // f64: their bytes
  InQueue = 9, // f64: requests whose reply is owed, now
  InQueueBytes = 10, // f64: bytes queued, not yet sent, now
  Failures = 11, // f64: failures in a row since the last good reply; the master ejects by it
  FailuresTotal = 12, // f64: failures ever
  Late = 13, // f64: replies that came after their request timed out or its client left
  RowWords = 48,
  RowDoubles = 24,
  RowBytes = 192,
}

/** Counts per command. */
export const enum CommandCounter {
  Calls = 0, // f64: requests
  Errors = 1, // f64: error replies
  Usec = 2, // f64: time from arrival to delivery, summed
  RowWords = 6,
  RowDoubles = 3,
  RowBytes = 24,
}

/** Latency, arrival to delivery: pools by id, behind them backends by id. */
export const enum Histogram {
  Bucket = 0, // f64: requests whose latency fell in the bucket
  RowWords = 448,
  RowDoubles = 224,
  RowBytes = 1792,
}
