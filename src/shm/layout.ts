/**
 * THE definition of shared memory: every table, every column, who writes it and what it means.
 *
 *   instance object
 *   ┌────────────┬───────────┬──────┬────────┬──────┬─────────┬───────┬────────┬───┬──────┬────────┐
 *   │ superblock │ directory │ lane │ worker │ pool │ backend │ conf… │ lane 0 │ … │ node │ chunk  │
 *   └────────────┴───────────┴──────┴────────┴──────┴─────────┴───────┴────────┴───┴──────┴────────┘
 *    instance tables: written by masters, read by all               │ one extent │ bytes in flight:
 *    (lane and worker rows: partly by the worker they speak of)     │ per lane,  │ grows by
 *                                                                   │ one writer │ fallocate
 *
 * Pool, backend, conf and route have two halves: a configuration is written whole into the half
 * that is not in use (generation & 1), and lanes change over one by one. A pool or a server that
 * stays keeps its id, which is its row within the half: the columns and counters of a lane that
 * name it stay true.
 *
 * Row 0 of session, link, request, worker, node and chunk is never used, so that 0 means "none" in
 * every column that holds a row number. Changing anything here changes the schema hash: run
 * `npm run generate` and commit what it writes. Another version may attach to memory made by this
 * one: what may change, and how, is in src/shm/compatibility.ts.
 */
import { backendCounter, commandCounter, histogram, laneCounter, poolCounter } from './counter-tables.js';
import { bell, message, port, ring } from './ring-tables.js';
import { chain, table, type Table } from './schema.js';

/**
 * Bumped when something changes its meaning that no column shows (a state's number, the rules of
 * a chain): programs of different formats never share an instance.
 */
export const FORMAT = 1;

/** What lane_head.guard holds in a lane that is whole. */
export const LANE_GUARD = 0x6c616e65;

/** Places of one backend that session_info.relay_end can tell apart: the most server_connections. */
export const RELAY_PLACES = 1024;

/** Lanes that an instance can have; the step from one CLIENT ID of a lane to its next. */
export const LANES_MAX = 64;

export const superblock = table('superblock', 'instance', 256, 'What this object is and how it is cut.', [
  ['magic', 'i32', '0x42544f4e, written last: a half-made object is not an instance'],
  ['format', 'i32', 'FORMAT of the program that made it'],
  ['master_pid', 'i32', 'the master that ejects and reloads: the one whose workers serve'],
  ['lanes', 'i32', 'lane extents that there is address space for'],
  ['pools', 'i32', 'rows of pool, both halves'],
  ['backends', 'i32', 'rows of backend, both halves'],
  ['sessions', 'i32', 'rows of session per lane'],
  ['links', 'i32', 'rows of link per lane'],
  ['requests', 'i32', 'rows of request per lane'],
  ['commands', 'i32', 'rows of command_counter per lane'],
  ['nodes', 'i32', 'rows of node, at most'],
  ['chunks', 'i32', 'rows of chunk, at most'],
  ['route_words', 'i32', 'words of the route region, both halves'],
  ['conf_bytes', 'i32', 'bytes of the conf region, both halves'],
  ['route_generation', 'i32', 'bumped by the master after it wrote new routes; lanes follow at a turn\'s end'],
  ['arena_bytes', 'i32', 'size of a lane\'s arena'],
  ['started_at', 'f64', 'wall clock at the instance\'s start, ms since 1970'],
  ['bytes', 'f64', 'size of the object, reserved'],
  ['node_base', 'f64', 'offset of node row 0'],
  ['chunk_base', 'f64', 'offset of chunk row 0'],
  ['pool_bytes_max', 'f64', 'bytes that node and chunk batches may hold together (shm_max)'],
  ['batch_base', 'f64', 'offset of batch row 0'],
  ['generation', 'i32', 'number of the configuration that lanes follow, or are about to'],
  ['directory_a', 'i32', 'schema hash of the columns listed in the first half of directory, 0 = none'],
  ['directory_b', 'i32', 'the same of the second half'],
  ['map_hash', 'i32', 'of all offsets that follow from the capacities: versions that differ there do not mix'],
  ['reports', 'i32', 'crash reports written in the hour that reports_hour names; by atomic addition'],
  ['reports_hour', 'i32', 'hours since 1970'],
]);

export const directory = table('directory', 'instance', 160, 'Columns of every table, and migrations from columns of before: how another version finds its way.', [
  ['table', 'u8', 'name of the table', 24],
  ['column', 'u8', 'name of the column; of a migration: the one that took over, empty = it was removed', 24],
  ['type', 'u8', 'i32, f64, u64 or u8', 8],
  ['scope', 'u8', 'instance or lane', 16],
  ['offset', 'i32', 'bytes from the start of the row'],
  ['count', 'i32', 'elements'],
  ['stride', 'i32', 'bytes from row to row'],
  ['was_count', 'i32', 'migrations: elements of the column of before'],
  ['was', 'u8', 'migrations: name of the column of before; empty = this row lists a column', 24],
  ['was_type', 'u8', 'migrations: its type', 8],
  ['factor', 'f64', 'migrations: column = was * factor + plus'],
  ['plus', 'f64', 'see factor; of a removed column: what a version that still has it finds'],
  ['one_way', 'i32', 'migrations: 1 = there is no way back'],
]);

export const lane = table('lane', 'instance', 192, 'One row per lane: who owns it and how far it is.', [
  ['owner', 'i32', 'worker row * 4 + OwnerState, 0 = nobody; changed by compare and swap only'],
  ['claimant', 'i32', 'worker row that asks the owner to freeze, 0 = none; compare and swap'],
  ['keeper', 'i32', 'worker row whose keeper holds the descriptors of the rows; writer: the owner as it claims'],
  ['epoch', 'i32', 'bumped at each change of owner; writer: the new one'],
  ['state', 'i32', 'LaneState'],
  ['generation', 'i32', 'number of the configuration that the lane\'s rows follow; writer: the owner'],
  ['schema_hash', 'i32', 'layout in which the owner keeps the lane\'s tables'],
  ['route_generation', 'i32', 'the routes this lane uses; writer: the owner, at a turn\'s end'],
  ['turns', 'i32', 'turns sealed, wraps; the master sees by it that the worker lives'],
  ['sleeping', 'i32', '1 while the owner waits in epoll'],
  ['restarts', 'i32', 'workers that died on this lane'],
  ['takeovers', 'i32', 'changes of owner without a death'],
  ['base', 'f64', 'offset of the lane\'s extent'],
  ['heartbeat_us', 'f64', 'monotonic time of the last turn'],
  ['frozen_us', 'f64', 'monotonic time of the last freeze'],
  ['pause_us', 'f64', 'how long the last takeover kept the lane without an owner'],
  ['claimed_us', 'f64', 'monotonic time of the last change of owner'],
  ['served_us', 'f64', 'monotonic time when the new owner had sealed a turn with what waited'],
  ['whole_us', 'f64', 'monotonic time when he had every descriptor, and his keeper answered for the lane'],
  ['cause', 'i32', 'worker row * 4 + DeathCause: why that worker dies; writer: itself as it dies, or a master before he kills one that hangs'],
  ['pool_bytes', 'f64', 'bytes of the batches that the lane holds, of each UnitClass; booked before they are claimed', 2],
]);

export const worker = table('worker', 'instance', 128, 'One row per worker process, of whichever master. Row 0 is never used.', [
  ['state', 'i32', 'WorkerState; Free to Starting: compare and swap by the master that starts it, then the worker\'s own; Ended: the master'],
  ['order', 'i32', 'WorkerOrder, written by the master before he sends USR2'],
  ['pid', 'i32', 'the process; written by itself'],
  ['keeper_pid', 'i32', 'its keeper, 0 = it has none'],
  ['master_pid', 'i32', 'who started it'],
  ['lane', 'i32', 'the lane it is for, -1 = any that loses its owner: a standby, until it has taken one'],
  ['generation', 'i32', 'the configuration it runs with'],
  ['error', 'i32', 'errno of a take that failed; tells why state is Ready again'],
  ['version', 'u8', 'of its program', 24],
  ['started_at', 'f64', 'wall clock, ms'],
  ['life', 'u8', 'a robust mutex that its thread holds for life (native/life.h): the kernel tells of its death; all 0: it has none', 40],
]);

export const pool = table('pool', 'instance', 256, 'What a listen address serves. Written by the master; row = half * pools / 2 + id.', [
  ['hash', 'i32', 'HashKind'],
  ['tag_open', 'i32', 'first character of hash_tag, -1 = none'],
  ['tag_close', 'i32', 'second character of hash_tag'],
  ['distribution', 'i32', 'Distribution'],
  ['timeout_ms', 'i32', '0 = none; counted from a request\'s arrival'],
  ['clients_max', 'i32', 'sessions over all lanes, 0 = as many as there are rows'],
  ['requests_max', 'i32', 'requests in flight per session'],
  ['bulk_max', 'i32', 'bytes of one argument'],
  ['inline_max', 'i32', 'bytes of an inline command, or of a line of a multibulk header'],
  ['initial_mode', 'i32', 'SessionMode bits of a new session (NeedsAuth when redis_auth is set)'],
  ['backends', 'i32', 'how many servers are configured'],
  ['route_base', 'i32', 'first word of this pool\'s two route generations in the route region'],
  ['route_words', 'i32', 'words of one generation'],
  ['keepalive', 'i32', '1: links are probed when idle (tcpkeepalive)'],
  ['retired', 'i32', '1: no longer configured; its sessions end as soon as they have nothing under way'],
  ['output_limit', 'f64', 'bytes queued to one client before it is closed'],
  ['link_queue_limit', 'f64', 'bytes queued to one link before its clients are no longer read'],
]);

export const backend = table('backend', 'instance', 64, 'One Redis server. Written by the master; row = half * backends / 2 + id.', [
  ['pool', 'i32', 'id of its pool'],
  ['index', 'i32', 'position in the pool, sorted by name; -1 = retired'],
  ['weight', 'i32', '1 and up'],
  ['live', 'i32', '0 while ejected'],
  ['ejections', 'i32', 'times ejected'],
  ['ejected_until_us', 'f64', 'monotonic; re-admitted then'],
  ['ejected_at', 'f64', 'wall clock of the last ejection, µs since 1970 (twemproxy\'s server_ejected_at)'],
]);

export const laneHead = table('lane_head', 'lane', 256, 'The turn: its commit word, and what the two languages tell each other.', [
  ['journal_used', 'i32', 'THE commit word: bytes of before-images of the open turn. 0 = the last turn is sealed'],
  ['turn', 'i32', 'number of the open turn; rows carry the turn that last imaged them'],
  ['closing', 'i32', 'the turn that a commit is about to close, 0 = no commit is under way'],
  ['accept_row', 'i32', 'session row for the connection that is being accepted, 0 = none'],
  ['undone', 'i32', 'the turn that a dead owner left open, until what it had received is kept, 0 = none'],
  ['descriptors', 'i32', 'descriptors of this turn; writer: C++'],
  ['decided', 'i32', 'descriptors TypeScript has written a plan for; C++ applies up to here'],
  ['applied', 'i32', 'descriptors C++ has applied'],
  ['operations', 'i32', 'words used in operation; writer: TypeScript'],
  ['arena_used', 'i32', 'bytes used in the arena'],
  ['receipts', 'i32', 'receipts of this turn'],
  ['leave', 'i32', '1: return to libuv; writer: C++'],
  ['session_top', 'i32', 'rows ever used (high-water mark)'],
  ['link_top', 'i32', 'rows ever used'],
  ['request_top', 'i32', 'rows ever used'],
  ['sessions_open', 'i32', 'sessions now'],
  ['requests_open', 'i32', 'request rows in use'],
  ['arguments', 'i32', 'words used in argument; writer: C++'],
  ['links_open', 'i32', 'links now'],
  ['nodes_used', 'i32', 'nodes the lane holds'],
  ['chunks_used', 'i32', 'chunks the lane holds'],
  ['next_client_id', 'f64', 'CLIENT ID of the next session, 0 = the lane has given none'],
  ['now_us', 'f64', 'lane time at the turn\'s start, µs: CLOCK_MONOTONIC less the time without an owner'],
  ['ownerless_us', 'f64', 'how long nobody owned the lane, all times together'],
  ['step', 'i32', 'Step: what the owner is at; no undo takes it back'],
  ['deciding', 'i32', 'step Deciding: the descriptor; writer: TypeScript'],
  ['sealed', 'i32', 'turns sealed that had received or decided something, wraps'],
  ['failed_repairs', 'i32', 'repairs in a row that ended their own worker'],
  ['suspect', 'i32', 'Suspect: what the dead owner was at, until it is blamed'],
  ['suspect_row', 'i32', 'session or link'],
  ['suspect_at', 'i32', 'where it begins, bytes from the first unframed one'],
  ['suspect_cause', 'i32', 'DeathCause'],
  ['faults', 'i32', 'deaths in a row by a fault of the worker\'s own that nothing could be blamed for, since the last sealed turn'],
  ['kills', 'i32', 'deaths in a row by a bare SIGKILL at one and the same suspect, since the last sealed turn'],
  ['deaths_sealed', 'i32', 'sealed, as it was at the last death'],
  ['killed_row', 'i32', 'the suspect of those kills: session, or 2^30 + link'],
  ['killed_at', 'u64', 'stream offset where it begins'],
  ['guard', 'i32', 'always LANE_GUARD: another value was written by mistake', 1, LANE_GUARD],
]);

export const session = table('session', 'lane', 192, 'One downstream connection. Row number = epoll id.', [
  ['imaged', 'i32', 'turn that keeps this row\'s before-image'],
  ['state', 'i32', 'SessionState'],
  ['generation', 'i32', 'bumped when the row is reused'],
  ['fd', 'i32', 'descriptor, lane range'],
  ['pool', 'i32', 'id of its pool'],
  ['listener', 'i32', 'row of the listener that accepted it'],
  ['mode', 'i32', 'SessionMode bits: what TypeScript must look at before a plain request may pass'],
  ['flags', 'i32', 'SessionFlag bits'],
  ['request_head', 'i32', 'oldest request that has no complete reply yet'],
  ['request_tail', 'i32', 'youngest request'],
  ['requests', 'i32', 'requests in the list'],
  ...chain('in'),
  ['scan_phase', 'i32', 'large requests: where the push scanner stands (native/push-scanner.h)'],
  ['scan_number', 'i32', 'large requests: number being read, or bytes still to skip'],
  ['scan_left', 'i32', 'large requests: arguments still to come'],
  ['whole_bytes', 'i32', 'length of the whole large request at the head of the in chain, 0 = none'],
  ...chain('out'),
  ['held_bytes', 'i32', 'bytes of replies held in request rows, not yet their turn'],
  ['peeked', 'i32', 'unix sockets: received bytes that are still to be taken out of the socket'],
  ['stalled_on', 'i32', 'link whose queue must shrink before this session is read again'],
  ['rx', 'u64', 'bytes received (kernel-journalled)'],
  ['tx', 'u64', 'bytes sent (kernel-journalled)'],
  ['cookie', 'u64', 'SO_COOKIE of the socket'],
  ['opened_us', 'f64', 'lane time'],
  ['active_us', 'f64', 'lane time of the last request'],
  ['client_id', 'f64', 'CLIENT ID, unique per instance'],
  ['last_command', 'i32', 'id in the command table, -1 = none'],
  ['blames', 'i32', 'deaths that the request at blamed_at is blamed for'],
  ['blamed_at', 'u64', 'stream offset where that request begins'],
]);

export const sessionInfo = table('session_info', 'lane', 256, 'What clients say of themselves; same row as session.', [
  ['imaged', 'i32', 'turn that keeps this row\'s before-image'],
  ['name_bytes', 'i32', 'length of name'],
  ['lib_name_bytes', 'i32', 'length of lib_name'],
  ['lib_ver_bytes', 'i32', 'length of lib_ver'],
  ['peer_port', 'i32', 'TCP port, 0 for a unix socket'],
  ['db', 'i32', 'selected database'],
  ['family', 'i32', '4, 6 or 1 (unix)'],
  ['peer', 'u8', 'address bytes, network order', 16],
  ['name', 'u8', 'CLIENT SETNAME', 96],
  ['lib_name', 'u8', 'CLIENT SETINFO LIB-NAME', 48],
  ['lib_ver', 'u8', 'CLIENT SETINFO LIB-VER', 32],
  ['relay_lane', 'i32', 'of a peer (SessionMode.Peer): the lane whose relay it stands for, + 1'],
  ['relay_link', 'i32', 'the relay\'s row there'],
  ['relay_generation', 'i32', '… and its generation'],
  ['relay_end', 'i32', 'where its requests go: backend * RELAY_PLACES + place'],
]);

export const link = table('link', 'lane', 320, 'One upstream connection. epoll id = row number + 2^30.', [
  ['imaged', 'i32', 'turn that keeps this row\'s before-image'],
  ['state', 'i32', 'LinkState'],
  ['generation', 'i32', 'bumped at each connect'],
  ['fd', 'i32', 'descriptor, lane range'],
  ['pool', 'i32', 'id of its pool'],
  ['backend', 'i32', 'id of its backend'],
  ['protocol', 'i32', '2 or 3'],
  ['place', 'i32', 'which of server_connections, from 0'],
  ['flags', 'i32', 'LinkFlag bits'],
  ['request_head', 'i32', 'oldest request whose reply is owed'],
  ['request_tail', 'i32', 'youngest request'],
  ['requests', 'i32', 'requests in the list'],
  ...chain('in'),
  ['scan_phase', 'i32', 'large replies: where the push scanner stands (native/push-scanner.h)'],
  ['scan_number', 'i32', 'large replies: number being read, or bytes still to skip'],
  ['scan_left', 'i32', 'large replies: elements still to come'],
  ['streaming', 'i32', '1 while a reply is passed on in pieces, 2 while a push message is swallowed'],
  ...chain('out'),
  ['stalled', 'i32', '1 while sessions wait for this link\'s queue to shrink'],
  ['replies', 'i32', 'replies to requests on this connection, wraps'],
  ['counted', 'i32', '1 while backend_counter.connections counts it'],
  ['peeked', 'i32', 'unix sockets: received bytes that are still to be taken out of the socket'],
  ['queued_total', 'u64', 'stream offset after the last queued byte'],
  ['rx', 'u64', 'bytes received on this connection (kernel-journalled)'],
  ['tx', 'u64', 'stream offset after the last sent byte (kernel-journalled)'],
  ['tx_base', 'u64', 'bytes of the handshake, which went before stream offset 0'],
  ['cookie', 'u64', 'SO_COOKIE of the socket'],
  ['connected_us', 'f64', 'lane time'],
  ['received_us', 'f64', 'lane time of the last byte'],
  ['deadline_us', 'f64', 'lane time by which it must be up, or (Leaving) gone; 0 = nothing is awaited'],
  ['retry_us', 'f64', 'lane time of the next connect, 0 = at once; until then requests fail'],
  ['failures', 'i32', 'connects in a row that failed'],
  ['replies_due', 'i32', 'replies to the handshake that are still to come'],
  ['reason', 'i32', 'why it was lost last: errno, -1 = see reason_text, 0 = not lost since it was up'],
  ['reason_bytes', 'i32', 'length of reason_text'],
  ['reason_text', 'u8', 'what the server or the resolver said', 64],
  ['blames', 'i32', 'deaths that the reply at blamed_at of this connection is blamed for'],
  ['blamed_at', 'u64', 'stream offset where that reply begins'],
  ['home', 'i32', 'of a relay: the lane that has the connection, + 1; 0 = it is this lane\'s own'],
]);

/** The first 64 bytes are all that a request touches whose reply comes in its turn. */
export const request = table('request', 'lane', 128, 'One request: who asked, where it went, what is owed.', [
  ['imaged', 'i32', 'turn that keeps this row\'s before-image'],
  ['state', 'i32', 'RequestState'],
  ['session', 'i32', 'row, 0 = the client is gone'],
  ['session_next', 'i32', 'next request of the session; nothing beyond its tail'],
  ['link', 'i32', 'row, 0 = answered locally'],
  ['link_next', 'i32', 'next request of the link; nothing beyond its tail'],
  ['command', 'i32', 'id in the command table'],
  ['flags', 'i32', 'RequestFlag bits'],
  ['bytes', 'i32', 'length as sent upstream'],
  ['near_bytes', 'i32', 'length of a reply held in the arena or inline, 0 = it is in the held chain'],
  ['parent', 'i32', 'split: the whole of which this is a part'],
  ['first_part', 'i32', 'split parent: newest part; parts are strung by session_next'],
  ['arrived_us', 'f64', 'lane time; the deadline counts from here'],
  ['link_end', 'u64', 'stream offset of the link after the request\'s last byte'],
  ...chain('held'),
  ['near_offset', 'i32', 'arena offset of a reply held within this turn, -1 = in inline'],
  ['parts', 'i32', 'split parent: parts without a reply'],
  ['merge', 'i32', 'split parent: MergeKind'],
  ['part', 'i32', 'split part: its number'],
  ['keys', 'i32', 'split parent: keys; inline or, when many, its held chain is then two bytes a key, the part that has it'],
  ['inline', 'u8', 'a short reply held over the turn\'s end', 24],
]);

export const wire = table('wire', 'lane', 16, 'What went out to a unix socket in the open turn, which no undo takes back. Rows: sessions, then links.', [
  ['turn', 'i32', 'the turn that the others speak of; another\'s are left over'],
  ['sending', 'i32', '1 while it is not known whether send has taken bytes'],
  ['sent', 'i32', 'bytes that the turn has sent'],
]);

export const listener = table('listener', 'lane', 64, 'One listening socket of the lane. epoll id = row number + 2^29; row = id of its address.', [
  ['imaged', 'i32', 'unused: listeners change between turns only'],
  ['state', 'i32', 'ListenerState'],
  ['fd', 'i32', 'descriptor, lane range behind the links'],
  ['pool', 'i32', 'id of the pool that it serves'],
  ['is_unix', 'i32', '1: a unix socket'],
  ['cookie', 'u64', 'SO_COOKIE of the socket that the lane\'s epoll watches'],
]);

export const descriptor = table('descriptor', 'lane', 48, 'What C++ tells TypeScript: one per framed request or event.', [
  ['kind', 'i32', 'DescriptorKind'],
  ['row', 'i32', 'session or link'],
  ['plan', 'i32', 'written by TypeScript: > 0 link to forward to, < 0 ~index of an operation program'],
  ['command', 'i32', 'id in the command table, -1 = unknown; events: a code'],
  ['hash', 'i32', 'hash of the first key'],
  ['argc', 'i32', 'arguments, name included'],
  ['offset', 'i32', 'arena offset of the request\'s bytes; chained requests: -1, they are in the session\'s in chain'],
  ['bytes', 'i32', 'length of the request'],
  ['arguments', 'i32', 'first word in argument when the command needs its arguments, else -1'],
  ['pool', 'i32', 'id of the session\'s pool'],
  ['receipt', 'i32', 'the receipt this came from'],
  ['start', 'i32', 'where the request begins within that receipt (inline requests are rewritten elsewhere)'],
]);

export const receipt = table('receipt', 'lane', 32, 'One receive of this turn, published before the syscall.', [
  ['row', 'i32', 'epoll id'],
  ['turn', 'i32', 'the turn in which it is true; another\'s is left over'],
  ['offset', 'i32', 'arena offset where kept and received bytes begin'],
  ['kept', 'i32', 'bytes copied from the in chain'],
  ['room', 'i32', 'bytes the kernel may write behind them'],
  ['got', 'i32', 'bytes received; -1 until known'],
  ['used', 'i32', 'bytes (kept + got) that whole requests have consumed'],
]);

export const node = table('node', 'instance', 128, 'Strings up to 24 chunks together. Row 0 is never used.', [
  ['next', 'i32', 'next node of the chain; nothing beyond its tail'],
  ['start', 'i32', 'first byte used, unless it is a head'],
  ['end', 'i32', 'bytes used up to here, unless it is a tail'],
  ['chunk', 'i32', 'rows of chunk', 24],
]);

export const batch = table('batch', 'instance', 16, '64 units of one class: the grain in which lanes take nodes and chunks.', [
  ['owner', 'i32', 'lane + 1, 0 = nobody; taken and given back by compare and swap'],
  ['class', 'i32', 'UnitClass'],
  ['free', 'u64', 'bit n set: unit n is free. Writer: the owner. Rebuilt from rows after a crash'],
]);

/** In this order; the position is the table's number in C++ and in the directory. */
export const tables: readonly Table[] = [
  superblock, directory, lane, worker, pool, backend, node, batch,
  laneHead, session, sessionInfo, link, request, wire, listener, descriptor, receipt,
  ring, port, bell, message,
  laneCounter, poolCounter, backendCounter, commandCounter, histogram,
];

export const CHUNK_BYTES = 4096;
/** Chunks a node strings together. */
export const NODE_CHUNKS = 24;
