// What a lane is made of besides its rows: ids, limits, and small structs that its concerns share.
#pragma once
#include <cstdint>
#include <string>

#include "layout.gen.h"

namespace baton {

// Ids in epoll_event.data: the row's kind in the high bits, its number in the low ones.
constexpr int32_t kLinkId = 1 << 30;
constexpr int32_t kListenerId = 1 << 29;
constexpr int32_t kDoorbellId = (1 << 29) - 1;

constexpr int32_t kReceiveRoom = 64 * 1024;  // bytes one recv may bring
constexpr int32_t kKeepMax = 16 * 1024;  // a longer incomplete request or reply is scanned at once
constexpr int32_t kRequestMax = 1 << 30;   // bytes of one request, all arguments together
constexpr int32_t kEvents = 256;           // epoll events per turn
constexpr int32_t kOutputPause = 1 << 20;  // a client with more than this unread is not read itself
constexpr int64_t kFrameReserve = 1 << 20;    // memory that must be left before a request is framed
constexpr int64_t kCollectReserve = 4 << 20;  // … before more of a large one is collected
constexpr double kDeadlockUs = 1e6;
constexpr double kTrimEveryUs = 1e5;                  // unneeded for that long: memory goes back
constexpr int64_t kQueueMax = INT32_MAX - (1 << 20);  // bytes a chain can count
constexpr int32_t kFlushMax = 4 << 20;  // bytes one connection is sent per turn: others wait

// Where bytes come from: the socket, or only what is kept of it in the in chain.
enum class Source { Socket, Chain };

double monotonicUs();
// A unix socket remembers how far it has been looked at: see Lane::receive.
void rememberPeeks(int fd);

struct LaneRegions {
  int32_t *operation, *argument;
  uint8_t *scratch, *journal, *arena;
};

struct LaneSizes {
  int32_t sessions, links, requests, descriptors, receipts, arena_bytes, pools, backends, commands;
  int32_t argument_words, journal_bytes, listeners;
};

// Stands for the relay of another lane: no client's (relay.h).
inline bool isPeer(const Session& session) { return (session.mode & kSessionModePeer) != 0; }

// What a new owner has found, for the log.
struct Finding {
  // Poisoned: a link, by its reply. Ring: what went between this lane and that one.
  enum Kind : int32_t { Lane, Session, Link, Poisoned, Ring } kind;
  int32_t row;
  std::string what;
};

// Another lane; its extent may be looked at while it is not Free.
struct Peer {
  const LaneRow* row;
  const PoolCounter* counters;
};

}  // namespace baton
