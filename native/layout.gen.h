// Written by src/shm/generate.ts from src/shm/layout.ts and src/shm/codes.ts: change those, then `npm run generate`.
#pragma once
#include <cstddef>
#include <cstdint>

namespace baton {

inline constexpr int32_t kSchemaHash = -1173686897;
inline constexpr int32_t kChunkBytes = 4096;
inline constexpr int32_t kNodeChunks = 24;
inline constexpr int32_t kRingSlots = 2048;
inline constexpr int32_t kLaneGuard = 1818324581;
inline constexpr int32_t kLanesMax = 64;
inline constexpr int32_t kRelayPlaces = 1024;
inline constexpr int32_t kHistogramBuckets = 224;

enum class TableNumber : int32_t { Superblock, Directory, Lane, Worker, Pool, Backend, Node, Batch, LaneHead, Session, SessionInfo, Link, Request, Wire, Listener, Descriptor, Receipt, Ring, Port, Bell, Message, LaneCounter, PoolCounter, BackendCounter, CommandCounter, Histogram, Count };

enum LaneState_ : int32_t {
  kLaneStateFree,
  kLaneStateStarting,
  kLaneStateServing,
  kLaneStateDraining,
  kLaneStateStopped,
};

enum OwnerState_ : int32_t {
  kOwnerStateNobody,
  kOwnerStateServing,
  kOwnerStateFrozen,
  kOwnerStateAbandoned,
};

enum DeathCause_ : int32_t {
  kDeathCauseKill,
  kDeathCauseSignal,
  kDeathCauseError,
  kDeathCauseHang,
};

enum Step_ : int32_t {
  kStepOther,
  kStepFraming,
  kStepDeciding,
  kStepApplying,
  kStepRepairing,
};

enum Suspect_ : int32_t {
  kSuspectNone,
  kSuspectRequest,
  kSuspectUnframed,
  kSuspectReply,
};

enum WorkerState_ : int32_t {
  kWorkerStateFree,
  kWorkerStateStarting,
  kWorkerStateReady,
  kWorkerStateServing,
  kWorkerStateFrozen,
  kWorkerStateEnded,
};

enum WorkerOrder_ : int32_t {
  kWorkerOrderNone,
  kWorkerOrderTake,
  kWorkerOrderEnd,
};

enum Claim_ : int32_t {
  kClaimFresh,
  kClaimGiven,
  kClaimInherited,
};

enum ListenerState_ : int32_t {
  kListenerStateFree,
  kListenerStateWatched,
};

enum SessionState_ : int32_t {
  kSessionStateFree,
  kSessionStateOpen,
  kSessionStateFinishing,
  kSessionStateClosing,
};

enum SessionMode_ : int32_t {
  kSessionModeNeedsAuth = 1,
  kSessionModeResp3 = 2,
  kSessionModePeer = 4,
};

enum SessionFlag_ : int32_t {
  kSessionFlagUnix = 1,
  kSessionFlagWantWrite = 2,
  kSessionFlagMuted = 4,
  kSessionFlagScanning = 8,
  kSessionFlagBacklog = 16,
  kSessionFlagEof = 32,
  kSessionFlagBarrier = 128,
  kSessionFlagQuit = 64,
  kSessionFlagPoisoned = 256,
  kSessionFlagUnframable = 512,
};

enum LinkState_ : int32_t {
  kLinkStateFree,
  kLinkStateDown,
  kLinkStateConnecting,
  kLinkStateHandshake,
  kLinkStateUp,
  kLinkStateResolving,
};

enum LinkFlag_ : int32_t {
  kLinkFlagUnix = 1,
  kLinkFlagWantWrite = 2,
  kLinkFlagLeaving = 4,
  kLinkFlagLost = 8,
  kLinkFlagUntold = 16,
};

enum RequestState_ : int32_t {
  kRequestStateFree,
  kRequestStateSent,
  kRequestStateHeld,
  kRequestStateAnswered,
  kRequestStateWaiting,
};

enum RequestFlag_ : int32_t {
  kRequestFlagInSession = 1,
  kRequestFlagInLink = 2,
  kRequestFlagHandshake = 4,
  kRequestFlagCloseAfter = 8,
  kRequestFlagPart = 16,
  kRequestFlagError = 32,
  kRequestFlagTimedOut = 64,
  kRequestFlagPartial = 128,
  kRequestFlagCut = 256,
};

enum MergeKind_ : int32_t {
  kMergeKindNone,
  kMergeKindInterleave,
  kMergeKindAllOk,
  kMergeKindSum,
};

enum DescriptorKind_ : int32_t {
  kDescriptorKindRequest = 1,
  kDescriptorKindLinkUp,
  kDescriptorKindLinkLost,
  kDescriptorKindLinkReply,
  kDescriptorKindSessionClosed,
  kDescriptorKindAcceptFailed,
  kDescriptorKindClientRefused,
  kDescriptorKindServerFailing,
  kDescriptorKindProtocolError,
  kDescriptorKindMessage,
};

enum CloseReason_ : int32_t {
  kCloseReasonNone,
  kCloseReasonClientEof,
  kCloseReasonClientError,
  kCloseReasonProtocol,
  kCloseReasonOutputLimit,
  kCloseReasonRequestTooLarge,
  kCloseReasonInlineTooLarge,
  kCloseReasonAsked,
  kCloseReasonDrained,
  kCloseReasonReplyCut,
  kCloseReasonNoMemory,
};

enum Operation_ : int32_t {
  kOperationEnd,
  kOperationReply,
  kOperationSplit,
  kOperationSetMode,
  kOperationClose,
  kOperationWait,
  kOperationStall,
  kOperationSend,
  kOperationKill,
};

enum NamedCommand_ : int32_t {
  kNamedCommandUnknown = -1,
  kNamedCommandPoisoned = -2,
};

enum UnitClass_ : int32_t {
  kUnitClassNode,
  kUnitClassChunk,
};

enum MessageKind_ : int32_t {
  kMessageKindNone,
  kMessageKindAnew,
  kMessageKindKill,
  kMessageKindRelayOpen,
  kMessageKindRelay,
  kMessageKindRelayReply,
  kMessageKindRelayClose,
  kMessageKindRelayLost,
};

// What this object is and how it is cut.
struct alignas(8) Superblock {
  int32_t magic;  // 0x42544f4e, written last: a half-made object is not an instance
  int32_t format;  // FORMAT of the program that made it
  int32_t master_pid;  // the master that ejects and reloads: the one whose workers serve
  int32_t lanes;  // lane extents that there is address space for
  int32_t pools;  // rows of pool, both halves
  int32_t backends;  // rows of backend, both halves
  int32_t sessions;  // rows of session per lane
  int32_t links;  // rows of link per lane
  int32_t requests;  // rows of request per lane
  int32_t commands;  // rows of command_counter per lane
  int32_t nodes;  // rows of node, at most
  int32_t chunks;  // rows of chunk, at most
  int32_t route_words;  // words of the route region, both halves
  int32_t conf_bytes;  // bytes of the conf region, both halves
  int32_t route_generation;  // bumped by the master after it wrote new routes; lanes follow at a turn's end
  int32_t arena_bytes;  // size of a lane's arena
  double started_at;  // wall clock at the instance's start, ms since 1970
  double bytes;  // size of the object, reserved
  double node_base;  // offset of node row 0
  double chunk_base;  // offset of chunk row 0
  double pool_bytes_max;  // bytes that node and chunk batches may hold together (shm_max)
  double batch_base;  // offset of batch row 0
  int32_t generation;  // number of the configuration that lanes follow, or are about to
  int32_t directory_a;  // schema hash of the columns listed in the first half of directory, 0 = none
  int32_t directory_b;  // the same of the second half
  int32_t map_hash;  // of all offsets that follow from the capacities: versions that differ there do not mix
  int32_t reports;  // crash reports written in the hour that reports_hour names; by atomic addition
  int32_t reports_hour;  // hours since 1970
  uint8_t spare_[120];
};
static_assert(offsetof(Superblock, magic) == 0);
static_assert(offsetof(Superblock, format) == 4);
static_assert(offsetof(Superblock, master_pid) == 8);
static_assert(offsetof(Superblock, lanes) == 12);
static_assert(offsetof(Superblock, pools) == 16);
static_assert(offsetof(Superblock, backends) == 20);
static_assert(offsetof(Superblock, sessions) == 24);
static_assert(offsetof(Superblock, links) == 28);
static_assert(offsetof(Superblock, requests) == 32);
static_assert(offsetof(Superblock, commands) == 36);
static_assert(offsetof(Superblock, nodes) == 40);
static_assert(offsetof(Superblock, chunks) == 44);
static_assert(offsetof(Superblock, route_words) == 48);
static_assert(offsetof(Superblock, conf_bytes) == 52);
static_assert(offsetof(Superblock, route_generation) == 56);
static_assert(offsetof(Superblock, arena_bytes) == 60);
static_assert(offsetof(Superblock, started_at) == 64);
static_assert(offsetof(Superblock, bytes) == 72);
static_assert(offsetof(Superblock, node_base) == 80);
static_assert(offsetof(Superblock, chunk_base) == 88);
static_assert(offsetof(Superblock, pool_bytes_max) == 96);
static_assert(offsetof(Superblock, batch_base) == 104);
static_assert(offsetof(Superblock, generation) == 112);
static_assert(offsetof(Superblock, directory_a) == 116);
static_assert(offsetof(Superblock, directory_b) == 120);
static_assert(offsetof(Superblock, map_hash) == 124);
static_assert(offsetof(Superblock, reports) == 128);
static_assert(offsetof(Superblock, reports_hour) == 132);
static_assert(sizeof(Superblock) == 256);

// Columns of every table, and migrations from columns of before: how another version finds its way.
struct alignas(8) Directory {
  uint8_t table[24];  // name of the table
  uint8_t column[24];  // name of the column; of a migration: the one that took over, empty = it was removed
  uint8_t type[8];  // i32, f64, u64 or u8
  uint8_t scope[16];  // instance or lane
  int32_t offset;  // bytes from the start of the row
  int32_t count;  // elements
  int32_t stride;  // bytes from row to row
  int32_t was_count;  // migrations: elements of the column of before
  uint8_t was[24];  // migrations: name of the column of before; empty = this row lists a column
  uint8_t was_type[8];  // migrations: its type
  double factor;  // migrations: column = was * factor + plus
  double plus;  // see factor; of a removed column: what a version that still has it finds
  int32_t one_way;  // migrations: 1 = there is no way back
  uint8_t spare_[20];
};
static_assert(offsetof(Directory, table) == 0);
static_assert(offsetof(Directory, column) == 24);
static_assert(offsetof(Directory, type) == 48);
static_assert(offsetof(Directory, scope) == 56);
static_assert(offsetof(Directory, offset) == 72);
static_assert(offsetof(Directory, count) == 76);
static_assert(offsetof(Directory, stride) == 80);
static_assert(offsetof(Directory, was_count) == 84);
static_assert(offsetof(Directory, was) == 88);
static_assert(offsetof(Directory, was_type) == 112);
static_assert(offsetof(Directory, factor) == 120);
static_assert(offsetof(Directory, plus) == 128);
static_assert(offsetof(Directory, one_way) == 136);
static_assert(sizeof(Directory) == 160);

// One row per lane: who owns it and how far it is.
struct alignas(8) LaneRow {
  int32_t owner;  // worker row * 4 + OwnerState, 0 = nobody; changed by compare and swap only
  int32_t claimant;  // worker row that asks the owner to freeze, 0 = none; compare and swap
  int32_t keeper;  // worker row whose keeper holds the descriptors of the rows; writer: the owner as it claims
  int32_t epoch;  // bumped at each change of owner; writer: the new one
  int32_t state;  // LaneState
  int32_t generation;  // number of the configuration that the lane's rows follow; writer: the owner
  int32_t schema_hash;  // layout in which the owner keeps the lane's tables
  int32_t route_generation;  // the routes this lane uses; writer: the owner, at a turn's end
  int32_t turns;  // turns sealed, wraps; the master sees by it that the worker lives
  int32_t sleeping;  // 1 while the owner waits in epoll
  int32_t restarts;  // workers that died on this lane
  int32_t takeovers;  // changes of owner without a death
  double base;  // offset of the lane's extent
  double heartbeat_us;  // monotonic time of the last turn
  double frozen_us;  // monotonic time of the last freeze
  double pause_us;  // how long the last takeover kept the lane without an owner
  double claimed_us;  // monotonic time of the last change of owner
  double served_us;  // monotonic time when the new owner had sealed a turn with what waited
  double whole_us;  // monotonic time when he had every descriptor, and his keeper answered for the lane
  int32_t cause;  // worker row * 4 + DeathCause: why that worker dies; writer: itself as it dies, or a master before he kills one that hangs
  double pool_bytes[2];  // bytes of the batches that the lane holds, of each UnitClass; booked before they are claimed
  uint8_t spare_[64];
};
static_assert(offsetof(LaneRow, owner) == 0);
static_assert(offsetof(LaneRow, claimant) == 4);
static_assert(offsetof(LaneRow, keeper) == 8);
static_assert(offsetof(LaneRow, epoch) == 12);
static_assert(offsetof(LaneRow, state) == 16);
static_assert(offsetof(LaneRow, generation) == 20);
static_assert(offsetof(LaneRow, schema_hash) == 24);
static_assert(offsetof(LaneRow, route_generation) == 28);
static_assert(offsetof(LaneRow, turns) == 32);
static_assert(offsetof(LaneRow, sleeping) == 36);
static_assert(offsetof(LaneRow, restarts) == 40);
static_assert(offsetof(LaneRow, takeovers) == 44);
static_assert(offsetof(LaneRow, base) == 48);
static_assert(offsetof(LaneRow, heartbeat_us) == 56);
static_assert(offsetof(LaneRow, frozen_us) == 64);
static_assert(offsetof(LaneRow, pause_us) == 72);
static_assert(offsetof(LaneRow, claimed_us) == 80);
static_assert(offsetof(LaneRow, served_us) == 88);
static_assert(offsetof(LaneRow, whole_us) == 96);
static_assert(offsetof(LaneRow, cause) == 104);
static_assert(offsetof(LaneRow, pool_bytes) == 112);
static_assert(sizeof(LaneRow) == 192);

// One row per worker process, of whichever master. Row 0 is never used.
struct alignas(8) Worker {
  int32_t state;  // WorkerState; Free to Starting: compare and swap by the master that starts it, then the worker's own; Ended: the master
  int32_t order;  // WorkerOrder, written by the master before he sends USR2
  int32_t pid;  // the process; written by itself
  int32_t keeper_pid;  // its keeper, 0 = it has none
  int32_t master_pid;  // who started it
  int32_t lane_;  // the lane it is for, -1 = any that loses its owner: a standby, until it has taken one
  int32_t generation;  // the configuration it runs with
  int32_t error;  // errno of a take that failed; tells why state is Ready again
  uint8_t version[24];  // of its program
  double started_at;  // wall clock, ms
  uint8_t life[40];  // a robust mutex that its thread holds for life (native/life.h): the kernel tells of its death; all 0: it has none
  uint8_t spare_[24];
};
static_assert(offsetof(Worker, state) == 0);
static_assert(offsetof(Worker, order) == 4);
static_assert(offsetof(Worker, pid) == 8);
static_assert(offsetof(Worker, keeper_pid) == 12);
static_assert(offsetof(Worker, master_pid) == 16);
static_assert(offsetof(Worker, lane_) == 20);
static_assert(offsetof(Worker, generation) == 24);
static_assert(offsetof(Worker, error) == 28);
static_assert(offsetof(Worker, version) == 32);
static_assert(offsetof(Worker, started_at) == 56);
static_assert(offsetof(Worker, life) == 64);
static_assert(sizeof(Worker) == 128);

// What a listen address serves. Written by the master; row = half * pools / 2 + id.
struct alignas(8) Pool {
  int32_t hash;  // HashKind
  int32_t tag_open;  // first character of hash_tag, -1 = none
  int32_t tag_close;  // second character of hash_tag
  int32_t distribution;  // Distribution
  int32_t timeout_ms;  // 0 = none; counted from a request's arrival
  int32_t clients_max;  // sessions over all lanes, 0 = as many as there are rows
  int32_t requests_max;  // requests in flight per session
  int32_t bulk_max;  // bytes of one argument
  int32_t inline_max;  // bytes of an inline command, or of a line of a multibulk header
  int32_t initial_mode;  // SessionMode bits of a new session (NeedsAuth when redis_auth is set)
  int32_t backends;  // how many servers are configured
  int32_t route_base;  // first word of this pool's two route generations in the route region
  int32_t route_words;  // words of one generation
  int32_t keepalive;  // 1: links are probed when idle (tcpkeepalive)
  int32_t retired;  // 1: no longer configured; its sessions end as soon as they have nothing under way
  double output_limit;  // bytes queued to one client before it is closed
  double link_queue_limit;  // bytes queued to one link before its clients are no longer read
  uint8_t spare_[176];
};
static_assert(offsetof(Pool, hash) == 0);
static_assert(offsetof(Pool, tag_open) == 4);
static_assert(offsetof(Pool, tag_close) == 8);
static_assert(offsetof(Pool, distribution) == 12);
static_assert(offsetof(Pool, timeout_ms) == 16);
static_assert(offsetof(Pool, clients_max) == 20);
static_assert(offsetof(Pool, requests_max) == 24);
static_assert(offsetof(Pool, bulk_max) == 28);
static_assert(offsetof(Pool, inline_max) == 32);
static_assert(offsetof(Pool, initial_mode) == 36);
static_assert(offsetof(Pool, backends) == 40);
static_assert(offsetof(Pool, route_base) == 44);
static_assert(offsetof(Pool, route_words) == 48);
static_assert(offsetof(Pool, keepalive) == 52);
static_assert(offsetof(Pool, retired) == 56);
static_assert(offsetof(Pool, output_limit) == 64);
static_assert(offsetof(Pool, link_queue_limit) == 72);
static_assert(sizeof(Pool) == 256);

// One Redis server. Written by the master; row = half * backends / 2 + id.
struct alignas(8) Backend {
  int32_t pool;  // id of its pool
  int32_t index;  // position in the pool, sorted by name; -1 = retired
  int32_t weight;  // 1 and up
  int32_t live;  // 0 while ejected
  int32_t ejections;  // times ejected
  double ejected_until_us;  // monotonic; re-admitted then
  double ejected_at;  // wall clock of the last ejection, µs since 1970 (twemproxy's server_ejected_at)
  uint8_t spare_[24];
};
static_assert(offsetof(Backend, pool) == 0);
static_assert(offsetof(Backend, index) == 4);
static_assert(offsetof(Backend, weight) == 8);
static_assert(offsetof(Backend, live) == 12);
static_assert(offsetof(Backend, ejections) == 16);
static_assert(offsetof(Backend, ejected_until_us) == 24);
static_assert(offsetof(Backend, ejected_at) == 32);
static_assert(sizeof(Backend) == 64);

// Strings up to 24 chunks together. Row 0 is never used.
struct alignas(8) Node {
  int32_t next;  // next node of the chain; nothing beyond its tail
  int32_t start;  // first byte used, unless it is a head
  int32_t end;  // bytes used up to here, unless it is a tail
  int32_t chunk[24];  // rows of chunk
  uint8_t spare_[20];
};
static_assert(offsetof(Node, next) == 0);
static_assert(offsetof(Node, start) == 4);
static_assert(offsetof(Node, end) == 8);
static_assert(offsetof(Node, chunk) == 12);
static_assert(sizeof(Node) == 128);

// 64 units of one class: the grain in which lanes take nodes and chunks.
struct alignas(8) Batch {
  int32_t owner;  // lane + 1, 0 = nobody; taken and given back by compare and swap
  int32_t class_;  // UnitClass
  uint64_t free;  // bit n set: unit n is free. Writer: the owner. Rebuilt from rows after a crash
};
static_assert(offsetof(Batch, owner) == 0);
static_assert(offsetof(Batch, class_) == 4);
static_assert(offsetof(Batch, free) == 8);
static_assert(sizeof(Batch) == 16);

// The turn: its commit word, and what the two languages tell each other.
struct alignas(8) LaneHead {
  int32_t journal_used;  // THE commit word: bytes of before-images of the open turn. 0 = the last turn is sealed
  int32_t turn;  // number of the open turn; rows carry the turn that last imaged them
  int32_t closing;  // the turn that a commit is about to close, 0 = no commit is under way
  int32_t accept_row;  // session row for the connection that is being accepted, 0 = none
  int32_t undone;  // the turn that a dead owner left open, until what it had received is kept, 0 = none
  int32_t descriptors;  // descriptors of this turn; writer: C++
  int32_t decided;  // descriptors TypeScript has written a plan for; C++ applies up to here
  int32_t applied;  // descriptors C++ has applied
  int32_t operations;  // words used in operation; writer: TypeScript
  int32_t arena_used;  // bytes used in the arena
  int32_t receipts;  // receipts of this turn
  int32_t leave;  // 1: return to libuv; writer: C++
  int32_t session_top;  // rows ever used (high-water mark)
  int32_t link_top;  // rows ever used
  int32_t request_top;  // rows ever used
  int32_t sessions_open;  // sessions now
  int32_t requests_open;  // request rows in use
  int32_t arguments;  // words used in argument; writer: C++
  int32_t links_open;  // links now
  int32_t nodes_used;  // nodes the lane holds
  int32_t chunks_used;  // chunks the lane holds
  double next_client_id;  // CLIENT ID of the next session, 0 = the lane has given none
  double now_us;  // lane time at the turn's start, µs: CLOCK_MONOTONIC less the time without an owner
  double ownerless_us;  // how long nobody owned the lane, all times together
  int32_t step;  // Step: what the owner is at; no undo takes it back
  int32_t deciding;  // step Deciding: the descriptor; writer: TypeScript
  int32_t sealed;  // turns sealed that had received or decided something, wraps
  int32_t failed_repairs;  // repairs in a row that ended their own worker
  int32_t suspect;  // Suspect: what the dead owner was at, until it is blamed
  int32_t suspect_row;  // session or link
  int32_t suspect_at;  // where it begins, bytes from the first unframed one
  int32_t suspect_cause;  // DeathCause
  int32_t faults;  // deaths in a row by a fault of the worker's own that nothing could be blamed for, since the last sealed turn
  int32_t kills;  // deaths in a row by a bare SIGKILL at one and the same suspect, since the last sealed turn
  int32_t deaths_sealed;  // sealed, as it was at the last death
  int32_t killed_row;  // the suspect of those kills: session, or 2^30 + link
  uint64_t killed_at;  // stream offset where it begins
  int32_t guard;  // always LANE_GUARD: another value was written by mistake
  uint8_t spare_[84];
};
static_assert(offsetof(LaneHead, journal_used) == 0);
static_assert(offsetof(LaneHead, turn) == 4);
static_assert(offsetof(LaneHead, closing) == 8);
static_assert(offsetof(LaneHead, accept_row) == 12);
static_assert(offsetof(LaneHead, undone) == 16);
static_assert(offsetof(LaneHead, descriptors) == 20);
static_assert(offsetof(LaneHead, decided) == 24);
static_assert(offsetof(LaneHead, applied) == 28);
static_assert(offsetof(LaneHead, operations) == 32);
static_assert(offsetof(LaneHead, arena_used) == 36);
static_assert(offsetof(LaneHead, receipts) == 40);
static_assert(offsetof(LaneHead, leave) == 44);
static_assert(offsetof(LaneHead, session_top) == 48);
static_assert(offsetof(LaneHead, link_top) == 52);
static_assert(offsetof(LaneHead, request_top) == 56);
static_assert(offsetof(LaneHead, sessions_open) == 60);
static_assert(offsetof(LaneHead, requests_open) == 64);
static_assert(offsetof(LaneHead, arguments) == 68);
static_assert(offsetof(LaneHead, links_open) == 72);
static_assert(offsetof(LaneHead, nodes_used) == 76);
static_assert(offsetof(LaneHead, chunks_used) == 80);
static_assert(offsetof(LaneHead, next_client_id) == 88);
static_assert(offsetof(LaneHead, now_us) == 96);
static_assert(offsetof(LaneHead, ownerless_us) == 104);
static_assert(offsetof(LaneHead, step) == 112);
static_assert(offsetof(LaneHead, deciding) == 116);
static_assert(offsetof(LaneHead, sealed) == 120);
static_assert(offsetof(LaneHead, failed_repairs) == 124);
static_assert(offsetof(LaneHead, suspect) == 128);
static_assert(offsetof(LaneHead, suspect_row) == 132);
static_assert(offsetof(LaneHead, suspect_at) == 136);
static_assert(offsetof(LaneHead, suspect_cause) == 140);
static_assert(offsetof(LaneHead, faults) == 144);
static_assert(offsetof(LaneHead, kills) == 148);
static_assert(offsetof(LaneHead, deaths_sealed) == 152);
static_assert(offsetof(LaneHead, killed_row) == 156);
static_assert(offsetof(LaneHead, killed_at) == 160);
static_assert(offsetof(LaneHead, guard) == 168);
static_assert(sizeof(LaneHead) == 256);

// One downstream connection. Row number = epoll id.
struct alignas(8) Session {
  int32_t imaged;  // turn that keeps this row's before-image
  int32_t state;  // SessionState
  int32_t generation;  // bumped when the row is reused
  int32_t fd;  // descriptor, lane range
  int32_t pool;  // id of its pool
  int32_t listener;  // row of the listener that accepted it
  int32_t mode;  // SessionMode bits: what TypeScript must look at before a plain request may pass
  int32_t flags;  // SessionFlag bits
  int32_t request_head;  // oldest request that has no complete reply yet
  int32_t request_tail;  // youngest request
  int32_t requests;  // requests in the list
  int32_t in_head;  // first node, 0 = empty
  int32_t in_tail;  // last node
  int32_t in_start;  // first unread byte in the head node
  int32_t in_end;  // bytes used in the tail node
  int32_t in_bytes;  // bytes in the chain
  int32_t scan_phase;  // large requests: where the push scanner stands (native/push-scanner.h)
  int32_t scan_number;  // large requests: number being read, or bytes still to skip
  int32_t scan_left;  // large requests: arguments still to come
  int32_t whole_bytes;  // length of the whole large request at the head of the in chain, 0 = none
  int32_t out_head;  // first node, 0 = empty
  int32_t out_tail;  // last node
  int32_t out_start;  // first unread byte in the head node
  int32_t out_end;  // bytes used in the tail node
  int32_t out_bytes;  // bytes in the chain
  int32_t held_bytes;  // bytes of replies held in request rows, not yet their turn
  int32_t peeked;  // unix sockets: received bytes that are still to be taken out of the socket
  int32_t stalled_on;  // link whose queue must shrink before this session is read again
  uint64_t rx;  // bytes received (kernel-journalled)
  uint64_t tx;  // bytes sent (kernel-journalled)
  uint64_t cookie;  // SO_COOKIE of the socket
  double opened_us;  // lane time
  double active_us;  // lane time of the last request
  double client_id;  // CLIENT ID, unique per instance
  int32_t last_command;  // id in the command table, -1 = none
  int32_t blames;  // deaths that the request at blamed_at is blamed for
  uint64_t blamed_at;  // stream offset where that request begins
  uint8_t spare_[16];
};
static_assert(offsetof(Session, imaged) == 0);
static_assert(offsetof(Session, state) == 4);
static_assert(offsetof(Session, generation) == 8);
static_assert(offsetof(Session, fd) == 12);
static_assert(offsetof(Session, pool) == 16);
static_assert(offsetof(Session, listener) == 20);
static_assert(offsetof(Session, mode) == 24);
static_assert(offsetof(Session, flags) == 28);
static_assert(offsetof(Session, request_head) == 32);
static_assert(offsetof(Session, request_tail) == 36);
static_assert(offsetof(Session, requests) == 40);
static_assert(offsetof(Session, in_head) == 44);
static_assert(offsetof(Session, in_tail) == 48);
static_assert(offsetof(Session, in_start) == 52);
static_assert(offsetof(Session, in_end) == 56);
static_assert(offsetof(Session, in_bytes) == 60);
static_assert(offsetof(Session, scan_phase) == 64);
static_assert(offsetof(Session, scan_number) == 68);
static_assert(offsetof(Session, scan_left) == 72);
static_assert(offsetof(Session, whole_bytes) == 76);
static_assert(offsetof(Session, out_head) == 80);
static_assert(offsetof(Session, out_tail) == 84);
static_assert(offsetof(Session, out_start) == 88);
static_assert(offsetof(Session, out_end) == 92);
static_assert(offsetof(Session, out_bytes) == 96);
static_assert(offsetof(Session, held_bytes) == 100);
static_assert(offsetof(Session, peeked) == 104);
static_assert(offsetof(Session, stalled_on) == 108);
static_assert(offsetof(Session, rx) == 112);
static_assert(offsetof(Session, tx) == 120);
static_assert(offsetof(Session, cookie) == 128);
static_assert(offsetof(Session, opened_us) == 136);
static_assert(offsetof(Session, active_us) == 144);
static_assert(offsetof(Session, client_id) == 152);
static_assert(offsetof(Session, last_command) == 160);
static_assert(offsetof(Session, blames) == 164);
static_assert(offsetof(Session, blamed_at) == 168);
static_assert(sizeof(Session) == 192);

// What clients say of themselves; same row as session.
struct alignas(8) SessionInfo {
  int32_t imaged;  // turn that keeps this row's before-image
  int32_t name_bytes;  // length of name
  int32_t lib_name_bytes;  // length of lib_name
  int32_t lib_ver_bytes;  // length of lib_ver
  int32_t peer_port;  // TCP port, 0 for a unix socket
  int32_t db;  // selected database
  int32_t family;  // 4, 6 or 1 (unix)
  uint8_t peer[16];  // address bytes, network order
  uint8_t name[96];  // CLIENT SETNAME
  uint8_t lib_name[48];  // CLIENT SETINFO LIB-NAME
  uint8_t lib_ver[32];  // CLIENT SETINFO LIB-VER
  int32_t relay_lane;  // of a peer (SessionMode.Peer): the lane whose relay it stands for, + 1
  int32_t relay_link;  // the relay's row there
  int32_t relay_generation;  // … and its generation
  int32_t relay_end;  // where its requests go: backend * RELAY_PLACES + place
  uint8_t spare_[20];
};
static_assert(offsetof(SessionInfo, imaged) == 0);
static_assert(offsetof(SessionInfo, name_bytes) == 4);
static_assert(offsetof(SessionInfo, lib_name_bytes) == 8);
static_assert(offsetof(SessionInfo, lib_ver_bytes) == 12);
static_assert(offsetof(SessionInfo, peer_port) == 16);
static_assert(offsetof(SessionInfo, db) == 20);
static_assert(offsetof(SessionInfo, family) == 24);
static_assert(offsetof(SessionInfo, peer) == 28);
static_assert(offsetof(SessionInfo, name) == 44);
static_assert(offsetof(SessionInfo, lib_name) == 140);
static_assert(offsetof(SessionInfo, lib_ver) == 188);
static_assert(offsetof(SessionInfo, relay_lane) == 220);
static_assert(offsetof(SessionInfo, relay_link) == 224);
static_assert(offsetof(SessionInfo, relay_generation) == 228);
static_assert(offsetof(SessionInfo, relay_end) == 232);
static_assert(sizeof(SessionInfo) == 256);

// One upstream connection. epoll id = row number + 2^30.
struct alignas(8) Link {
  int32_t imaged;  // turn that keeps this row's before-image
  int32_t state;  // LinkState
  int32_t generation;  // bumped at each connect
  int32_t fd;  // descriptor, lane range
  int32_t pool;  // id of its pool
  int32_t backend;  // id of its backend
  int32_t protocol;  // 2 or 3
  int32_t place;  // which of server_connections, from 0
  int32_t flags;  // LinkFlag bits
  int32_t request_head;  // oldest request whose reply is owed
  int32_t request_tail;  // youngest request
  int32_t requests;  // requests in the list
  int32_t in_head;  // first node, 0 = empty
  int32_t in_tail;  // last node
  int32_t in_start;  // first unread byte in the head node
  int32_t in_end;  // bytes used in the tail node
  int32_t in_bytes;  // bytes in the chain
  int32_t scan_phase;  // large replies: where the push scanner stands (native/push-scanner.h)
  int32_t scan_number;  // large replies: number being read, or bytes still to skip
  int32_t scan_left;  // large replies: elements still to come
  int32_t streaming;  // 1 while a reply is passed on in pieces, 2 while a push message is swallowed
  int32_t out_head;  // first node, 0 = empty
  int32_t out_tail;  // last node
  int32_t out_start;  // first unread byte in the head node
  int32_t out_end;  // bytes used in the tail node
  int32_t out_bytes;  // bytes in the chain
  int32_t stalled;  // 1 while sessions wait for this link's queue to shrink
  int32_t replies;  // replies to requests on this connection, wraps
  int32_t counted;  // 1 while backend_counter.connections counts it
  int32_t peeked;  // unix sockets: received bytes that are still to be taken out of the socket
  uint64_t queued_total;  // stream offset after the last queued byte
  uint64_t rx;  // bytes received on this connection (kernel-journalled)
  uint64_t tx;  // stream offset after the last sent byte (kernel-journalled)
  uint64_t tx_base;  // bytes of the handshake, which went before stream offset 0
  uint64_t cookie;  // SO_COOKIE of the socket
  double connected_us;  // lane time
  double received_us;  // lane time of the last byte
  double deadline_us;  // lane time by which it must be up, or (Leaving) gone; 0 = nothing is awaited
  double retry_us;  // lane time of the next connect, 0 = at once; until then requests fail
  int32_t failures;  // connects in a row that failed
  int32_t replies_due;  // replies to the handshake that are still to come
  int32_t reason;  // why it was lost last: errno, -1 = see reason_text, 0 = not lost since it was up
  int32_t reason_bytes;  // length of reason_text
  uint8_t reason_text[64];  // what the server or the resolver said
  int32_t blames;  // deaths that the reply at blamed_at of this connection is blamed for
  uint64_t blamed_at;  // stream offset where that reply begins
  int32_t home;  // of a relay: the lane that has the connection, + 1; 0 = it is this lane's own
  uint8_t spare_[28];
};
static_assert(offsetof(Link, imaged) == 0);
static_assert(offsetof(Link, state) == 4);
static_assert(offsetof(Link, generation) == 8);
static_assert(offsetof(Link, fd) == 12);
static_assert(offsetof(Link, pool) == 16);
static_assert(offsetof(Link, backend) == 20);
static_assert(offsetof(Link, protocol) == 24);
static_assert(offsetof(Link, place) == 28);
static_assert(offsetof(Link, flags) == 32);
static_assert(offsetof(Link, request_head) == 36);
static_assert(offsetof(Link, request_tail) == 40);
static_assert(offsetof(Link, requests) == 44);
static_assert(offsetof(Link, in_head) == 48);
static_assert(offsetof(Link, in_tail) == 52);
static_assert(offsetof(Link, in_start) == 56);
static_assert(offsetof(Link, in_end) == 60);
static_assert(offsetof(Link, in_bytes) == 64);
static_assert(offsetof(Link, scan_phase) == 68);
static_assert(offsetof(Link, scan_number) == 72);
static_assert(offsetof(Link, scan_left) == 76);
static_assert(offsetof(Link, streaming) == 80);
static_assert(offsetof(Link, out_head) == 84);
static_assert(offsetof(Link, out_tail) == 88);
static_assert(offsetof(Link, out_start) == 92);
static_assert(offsetof(Link, out_end) == 96);
static_assert(offsetof(Link, out_bytes) == 100);
static_assert(offsetof(Link, stalled) == 104);
static_assert(offsetof(Link, replies) == 108);
static_assert(offsetof(Link, counted) == 112);
static_assert(offsetof(Link, peeked) == 116);
static_assert(offsetof(Link, queued_total) == 120);
static_assert(offsetof(Link, rx) == 128);
static_assert(offsetof(Link, tx) == 136);
static_assert(offsetof(Link, tx_base) == 144);
static_assert(offsetof(Link, cookie) == 152);
static_assert(offsetof(Link, connected_us) == 160);
static_assert(offsetof(Link, received_us) == 168);
static_assert(offsetof(Link, deadline_us) == 176);
static_assert(offsetof(Link, retry_us) == 184);
static_assert(offsetof(Link, failures) == 192);
static_assert(offsetof(Link, replies_due) == 196);
static_assert(offsetof(Link, reason) == 200);
static_assert(offsetof(Link, reason_bytes) == 204);
static_assert(offsetof(Link, reason_text) == 208);
static_assert(offsetof(Link, blames) == 272);
static_assert(offsetof(Link, blamed_at) == 280);
static_assert(offsetof(Link, home) == 288);
static_assert(sizeof(Link) == 320);

// One request: who asked, where it went, what is owed.
struct alignas(8) Request {
  int32_t imaged;  // turn that keeps this row's before-image
  int32_t state;  // RequestState
  int32_t session;  // row, 0 = the client is gone
  int32_t session_next;  // next request of the session; nothing beyond its tail
  int32_t link;  // row, 0 = answered locally
  int32_t link_next;  // next request of the link; nothing beyond its tail
  int32_t command;  // id in the command table
  int32_t flags;  // RequestFlag bits
  int32_t bytes;  // length as sent upstream
  int32_t near_bytes;  // length of a reply held in the arena or inline, 0 = it is in the held chain
  int32_t parent;  // split: the whole of which this is a part
  int32_t first_part;  // split parent: newest part; parts are strung by session_next
  double arrived_us;  // lane time; the deadline counts from here
  uint64_t link_end;  // stream offset of the link after the request's last byte
  int32_t held_head;  // first node, 0 = empty
  int32_t held_tail;  // last node
  int32_t held_start;  // first unread byte in the head node
  int32_t held_end;  // bytes used in the tail node
  int32_t held_bytes;  // bytes in the chain
  int32_t near_offset;  // arena offset of a reply held within this turn, -1 = in inline
  int32_t parts;  // split parent: parts without a reply
  int32_t merge;  // split parent: MergeKind
  int32_t part;  // split part: its number
  int32_t keys;  // split parent: keys; inline or, when many, its held chain is then two bytes a key, the part that has it
  uint8_t inline_[24];  // a short reply held over the turn's end
};
static_assert(offsetof(Request, imaged) == 0);
static_assert(offsetof(Request, state) == 4);
static_assert(offsetof(Request, session) == 8);
static_assert(offsetof(Request, session_next) == 12);
static_assert(offsetof(Request, link) == 16);
static_assert(offsetof(Request, link_next) == 20);
static_assert(offsetof(Request, command) == 24);
static_assert(offsetof(Request, flags) == 28);
static_assert(offsetof(Request, bytes) == 32);
static_assert(offsetof(Request, near_bytes) == 36);
static_assert(offsetof(Request, parent) == 40);
static_assert(offsetof(Request, first_part) == 44);
static_assert(offsetof(Request, arrived_us) == 48);
static_assert(offsetof(Request, link_end) == 56);
static_assert(offsetof(Request, held_head) == 64);
static_assert(offsetof(Request, held_tail) == 68);
static_assert(offsetof(Request, held_start) == 72);
static_assert(offsetof(Request, held_end) == 76);
static_assert(offsetof(Request, held_bytes) == 80);
static_assert(offsetof(Request, near_offset) == 84);
static_assert(offsetof(Request, parts) == 88);
static_assert(offsetof(Request, merge) == 92);
static_assert(offsetof(Request, part) == 96);
static_assert(offsetof(Request, keys) == 100);
static_assert(offsetof(Request, inline_) == 104);
static_assert(sizeof(Request) == 128);

// What went out to a unix socket in the open turn, which no undo takes back. Rows: sessions, then links.
struct alignas(8) Wire {
  int32_t turn;  // the turn that the others speak of; another's are left over
  int32_t sending;  // 1 while it is not known whether send has taken bytes
  int32_t sent;  // bytes that the turn has sent
  uint8_t spare_[4];
};
static_assert(offsetof(Wire, turn) == 0);
static_assert(offsetof(Wire, sending) == 4);
static_assert(offsetof(Wire, sent) == 8);
static_assert(sizeof(Wire) == 16);

// One listening socket of the lane. epoll id = row number + 2^29; row = id of its address.
struct alignas(8) Listener {
  int32_t imaged;  // unused: listeners change between turns only
  int32_t state;  // ListenerState
  int32_t fd;  // descriptor, lane range behind the links
  int32_t pool;  // id of the pool that it serves
  int32_t is_unix;  // 1: a unix socket
  uint64_t cookie;  // SO_COOKIE of the socket that the lane's epoll watches
  uint8_t spare_[32];
};
static_assert(offsetof(Listener, imaged) == 0);
static_assert(offsetof(Listener, state) == 4);
static_assert(offsetof(Listener, fd) == 8);
static_assert(offsetof(Listener, pool) == 12);
static_assert(offsetof(Listener, is_unix) == 16);
static_assert(offsetof(Listener, cookie) == 24);
static_assert(sizeof(Listener) == 64);

// What C++ tells TypeScript: one per framed request or event.
struct alignas(8) Descriptor {
  int32_t kind;  // DescriptorKind
  int32_t row;  // session or link
  int32_t plan;  // written by TypeScript: > 0 link to forward to, < 0 ~index of an operation program
  int32_t command;  // id in the command table, -1 = unknown; events: a code
  int32_t hash;  // hash of the first key
  int32_t argc;  // arguments, name included
  int32_t offset;  // arena offset of the request's bytes; chained requests: -1, they are in the session's in chain
  int32_t bytes;  // length of the request
  int32_t arguments;  // first word in argument when the command needs its arguments, else -1
  int32_t pool;  // id of the session's pool
  int32_t receipt;  // the receipt this came from
  int32_t start;  // where the request begins within that receipt (inline requests are rewritten elsewhere)
};
static_assert(offsetof(Descriptor, kind) == 0);
static_assert(offsetof(Descriptor, row) == 4);
static_assert(offsetof(Descriptor, plan) == 8);
static_assert(offsetof(Descriptor, command) == 12);
static_assert(offsetof(Descriptor, hash) == 16);
static_assert(offsetof(Descriptor, argc) == 20);
static_assert(offsetof(Descriptor, offset) == 24);
static_assert(offsetof(Descriptor, bytes) == 28);
static_assert(offsetof(Descriptor, arguments) == 32);
static_assert(offsetof(Descriptor, pool) == 36);
static_assert(offsetof(Descriptor, receipt) == 40);
static_assert(offsetof(Descriptor, start) == 44);
static_assert(sizeof(Descriptor) == 48);

// One receive of this turn, published before the syscall.
struct alignas(8) Receipt {
  int32_t row;  // epoll id
  int32_t turn;  // the turn in which it is true; another's is left over
  int32_t offset;  // arena offset where kept and received bytes begin
  int32_t kept;  // bytes copied from the in chain
  int32_t room;  // bytes the kernel may write behind them
  int32_t got;  // bytes received; -1 until known
  int32_t used;  // bytes (kept + got) that whole requests have consumed
  uint8_t spare_[4];
};
static_assert(offsetof(Receipt, row) == 0);
static_assert(offsetof(Receipt, turn) == 4);
static_assert(offsetof(Receipt, offset) == 8);
static_assert(offsetof(Receipt, kept) == 12);
static_assert(offsetof(Receipt, room) == 16);
static_assert(offsetof(Receipt, got) == 20);
static_assert(offsetof(Receipt, used) == 24);
static_assert(sizeof(Receipt) == 32);

// What the lane has sent to another and taken from it, as of the last commit. Row = the other lane; row `lanes`: the master.
struct alignas(8) Ring {
  int32_t imaged;  // turn that keeps this row's before-image
  int32_t overflow_head;  // first node, 0 = empty
  int32_t overflow_tail;  // last node
  int32_t overflow_start;  // first unread byte in the head node
  int32_t overflow_end;  // bytes used in the tail node
  int32_t overflow_bytes;  // bytes in the chain
  int32_t anew;  // 1: the next message to the other must be MessageKind.Anew
  uint64_t queued;  // messages ever written into the ring to the other
  uint64_t taken;  // messages ever taken out of the ring from the other
  int32_t stream_head;  // first node, 0 = empty
  int32_t stream_tail;  // last node
  int32_t stream_start;  // first unread byte in the head node
  int32_t stream_end;  // bytes used in the tail node
  int32_t stream_bytes;  // bytes in the chain
  uint64_t released;  // stream offset of the first byte in the stream to the other
  uint64_t read;  // stream offset up to which the other's stream has been read
  uint8_t spare_[40];
};
static_assert(offsetof(Ring, imaged) == 0);
static_assert(offsetof(Ring, overflow_head) == 4);
static_assert(offsetof(Ring, overflow_tail) == 8);
static_assert(offsetof(Ring, overflow_start) == 12);
static_assert(offsetof(Ring, overflow_end) == 16);
static_assert(offsetof(Ring, overflow_bytes) == 20);
static_assert(offsetof(Ring, anew) == 24);
static_assert(offsetof(Ring, queued) == 32);
static_assert(offsetof(Ring, taken) == 40);
static_assert(offsetof(Ring, stream_head) == 48);
static_assert(offsetof(Ring, stream_tail) == 52);
static_assert(offsetof(Ring, stream_start) == 56);
static_assert(offsetof(Ring, stream_end) == 60);
static_assert(offsetof(Ring, stream_bytes) == 64);
static_assert(offsetof(Ring, released) == 72);
static_assert(offsetof(Ring, read) == 80);
static_assert(sizeof(Ring) == 128);

// The lane's side of its rings as the others see it. Rows as in ring; row `lanes` + 1: the master's side, written by him.
struct alignas(8) Port {
  uint64_t tail;  // messages to the other that it may read; follows ring.queued behind each commit
  int32_t waiting;  // 1: more waits than the ring holds; the other sets 0 and rings when most of it is free
  uint64_t base;  // payloads that begin before this stream offset are gone: the lane has begun anew
  uint8_t apart[104];  // keeps what is read from what is written on cache lines of their own
  uint64_t head;  // messages from the other whose slots may be written again; follows ring.taken
  uint64_t read;  // the other may free its stream up to here; follows ring.read
  uint8_t spare_[112];
};
static_assert(offsetof(Port, tail) == 0);
static_assert(offsetof(Port, waiting) == 8);
static_assert(offsetof(Port, base) == 16);
static_assert(offsetof(Port, apart) == 24);
static_assert(offsetof(Port, head) == 128);
static_assert(offsetof(Port, read) == 136);
static_assert(sizeof(Port) == 256);

// The lane's doorbell: written by whoever sends something to it, atomically.
struct alignas(8) Bell {
  int32_t sleeping;  // 1: the owner is about to sleep; who sets 0 wakes it by its eventfd
  uint8_t apart[124];  // keeps both on cache lines of their own
  uint64_t rung;  // bit n: lane n has sent something, or made room; cleared by the owner, who then looks
  uint8_t spare_[120];
};
static_assert(offsetof(Bell, sleeping) == 0);
static_assert(offsetof(Bell, apart) == 4);
static_assert(offsetof(Bell, rung) == 128);
static_assert(sizeof(Bell) == 256);

// Slots of the rings that the lane writes: RING_SLOTS for each row of port.
struct alignas(8) Message {
  int32_t kind;  // MessageKind
  int32_t row;  // whom or what it is about; a row of the receiver's
  int32_t value;  // as the kind says
  int32_t bytes;  // of its payload, 0 = it has none
  int32_t node;  // where the payload begins, in the sender's stream
  int32_t at;  // … within that node; it goes on in the next one when the node is full
  uint64_t ends;  // offset of the sender's stream behind the payload
};
static_assert(offsetof(Message, kind) == 0);
static_assert(offsetof(Message, row) == 4);
static_assert(offsetof(Message, value) == 8);
static_assert(offsetof(Message, bytes) == 12);
static_assert(offsetof(Message, node) == 16);
static_assert(offsetof(Message, at) == 20);
static_assert(offsetof(Message, ends) == 24);
static_assert(sizeof(Message) == 32);

// Counts of the lane as a whole.
struct alignas(8) LaneCounter {
  double turns;  // turns
  double accepts;  // connections accepted
  double accept_errors;  // accepts that failed (EMFILE and the like)
  double sleeps;  // times the lane waited
  double receives;  // recv calls
  double sends;  // send calls
  double images;  // before-images written
  double pool_full;  // times the chunk pool had nothing left
  double stalls;  // times a session was stalled on a full link queue
  double poisoned;  // requests and replies given up because workers died of them
  double rows_damaged;  // sessions and links closed because their rows were damaged
  double cold_starts;  // times the lane began anew because it was damaged as a whole
  double messages_sent;  // messages to other lanes and the master
  double messages_received;  // messages of other lanes and the master
  double bells_rung;  // times another lane was woken for them
  uint8_t spare_[136];
};
static_assert(offsetof(LaneCounter, turns) == 0);
static_assert(offsetof(LaneCounter, accepts) == 8);
static_assert(offsetof(LaneCounter, accept_errors) == 16);
static_assert(offsetof(LaneCounter, sleeps) == 24);
static_assert(offsetof(LaneCounter, receives) == 32);
static_assert(offsetof(LaneCounter, sends) == 40);
static_assert(offsetof(LaneCounter, images) == 48);
static_assert(offsetof(LaneCounter, pool_full) == 56);
static_assert(offsetof(LaneCounter, stalls) == 64);
static_assert(offsetof(LaneCounter, poisoned) == 72);
static_assert(offsetof(LaneCounter, rows_damaged) == 80);
static_assert(offsetof(LaneCounter, cold_starts) == 88);
static_assert(offsetof(LaneCounter, messages_sent) == 96);
static_assert(offsetof(LaneCounter, messages_received) == 104);
static_assert(offsetof(LaneCounter, bells_rung) == 112);
static_assert(sizeof(LaneCounter) == 256);

// Counts per pool.
struct alignas(8) PoolCounter {
  double client_connections;  // sessions now
  double accepted;  // sessions ever
  double client_eof;  // closed by the client
  double client_err;  // closed by a socket error
  double requests;  // requests framed
  double replies;  // replies delivered
  double bytes_in;  // bytes from clients
  double bytes_out;  // bytes to clients
  double forward_error;  // requests answered with an error because of a server
  double fragments;  // parts of split requests
  double local;  // requests answered by the proxy
  double error_protocol;  // sessions closed: broken framing
  double error_unknown;  // unknown command or wrong arity
  double error_refused;  // command not supported here
  double error_crossslot;  // keys on several servers
  double error_auth;  // NOAUTH, WRONGPASS
  double error_timeout;  // requests timed out
  double refused_clients;  // connections refused: client_connections reached
  double closed_output;  // sessions closed: client_output_limit
  double closed_request;  // sessions closed: request or inline too long
  double stalled;  // times a session was stalled
  uint8_t spare_[88];
};
static_assert(offsetof(PoolCounter, client_connections) == 0);
static_assert(offsetof(PoolCounter, accepted) == 8);
static_assert(offsetof(PoolCounter, client_eof) == 16);
static_assert(offsetof(PoolCounter, client_err) == 24);
static_assert(offsetof(PoolCounter, requests) == 32);
static_assert(offsetof(PoolCounter, replies) == 40);
static_assert(offsetof(PoolCounter, bytes_in) == 48);
static_assert(offsetof(PoolCounter, bytes_out) == 56);
static_assert(offsetof(PoolCounter, forward_error) == 64);
static_assert(offsetof(PoolCounter, fragments) == 72);
static_assert(offsetof(PoolCounter, local) == 80);
static_assert(offsetof(PoolCounter, error_protocol) == 88);
static_assert(offsetof(PoolCounter, error_unknown) == 96);
static_assert(offsetof(PoolCounter, error_refused) == 104);
static_assert(offsetof(PoolCounter, error_crossslot) == 112);
static_assert(offsetof(PoolCounter, error_auth) == 120);
static_assert(offsetof(PoolCounter, error_timeout) == 128);
static_assert(offsetof(PoolCounter, refused_clients) == 136);
static_assert(offsetof(PoolCounter, closed_output) == 144);
static_assert(offsetof(PoolCounter, closed_request) == 152);
static_assert(offsetof(PoolCounter, stalled) == 160);
static_assert(sizeof(PoolCounter) == 256);

// Counts per server.
struct alignas(8) BackendCounter {
  double connections;  // links open now
  double connects;  // connects tried
  double server_eof;  // links closed by the server
  double server_err;  // links lost by an error, connects failed
  double server_timedout;  // requests timed out
  double requests;  // requests queued
  double request_bytes;  // their bytes
  double responses;  // replies received
  double response_bytes;  // their bytes
  double in_queue;  // requests whose reply is owed, now
  double in_queue_bytes;  // bytes queued, not yet sent, now
  double failures;  // failures in a row since the last good reply; the master ejects by it
  double failures_total;  // failures ever
  double late;  // replies that came after their request timed out or its client left
  uint8_t spare_[80];
};
static_assert(offsetof(BackendCounter, connections) == 0);
static_assert(offsetof(BackendCounter, connects) == 8);
static_assert(offsetof(BackendCounter, server_eof) == 16);
static_assert(offsetof(BackendCounter, server_err) == 24);
static_assert(offsetof(BackendCounter, server_timedout) == 32);
static_assert(offsetof(BackendCounter, requests) == 40);
static_assert(offsetof(BackendCounter, request_bytes) == 48);
static_assert(offsetof(BackendCounter, responses) == 56);
static_assert(offsetof(BackendCounter, response_bytes) == 64);
static_assert(offsetof(BackendCounter, in_queue) == 72);
static_assert(offsetof(BackendCounter, in_queue_bytes) == 80);
static_assert(offsetof(BackendCounter, failures) == 88);
static_assert(offsetof(BackendCounter, failures_total) == 96);
static_assert(offsetof(BackendCounter, late) == 104);
static_assert(sizeof(BackendCounter) == 192);

// Counts per command.
struct alignas(8) CommandCounter {
  double calls;  // requests
  double errors;  // error replies
  double usec;  // time from arrival to delivery, summed
};
static_assert(offsetof(CommandCounter, calls) == 0);
static_assert(offsetof(CommandCounter, errors) == 8);
static_assert(offsetof(CommandCounter, usec) == 16);
static_assert(sizeof(CommandCounter) == 24);

// Latency, arrival to delivery: pools by id, behind them backends by id.
struct alignas(8) Histogram {
  double bucket[224];  // requests whose latency fell in the bucket
};
static_assert(offsetof(Histogram, bucket) == 0);
static_assert(sizeof(Histogram) == 1792);

}  // namespace baton
