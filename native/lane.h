// A lane as its owner runs it: C++ moves bytes and keeps order, TypeScript decides.
//
//   one turn:  apply plans ─ keep rests ─ COMMIT ─ send ─ close ─ wait ─ receive ─ frame ─►
//   TypeScript
//              └───────── turn N ────────┘        └──────────── turn N+1 ─────────────────► … plans
//
// Everything that must outlive this process is in the tables (layout.gen.h). What is private here
// are caches and work lists of the open turn; they can be rebuilt from rows. One thread, no locks.
#pragma once
#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "command-names.h"
#include "lane-parts.h"
#include "layout.gen.h"
#include "post.h"
#include "push-scanner.h"
#include "relay.h"
#include "resp.h"

namespace baton {

class Reach;
// What belongs to the lane besides sockets, below fd_base; a keeper closes what lies below that. In
// this order for all versions: a master who adopts the lane asks for them by these numbers.
enum Gear { kMasterGear, kDockGear, kEpollGear, kKeeperGear, kClaimGear, kGears };

class Lane {
 public:
  // Tables; public because each concern of a lane has a file of its own.
  LaneHead* head = nullptr;
  Session* sessions = nullptr;
  SessionInfo* infos = nullptr;
  Link* links = nullptr;
  Request* requests = nullptr;
  Descriptor* descriptors = nullptr;
  Receipt* receipts = nullptr;
  Wire* wires = nullptr;
  Listener* listeners = nullptr;
  LaneCounter* counter = nullptr;
  PoolCounter* pool_counters = nullptr;
  BackendCounter* backend_counters = nullptr;
  CommandCounter* command_counters = nullptr;
  Histogram* histograms = nullptr;
  Pool* pools = nullptr;
  Backend* backends = nullptr;
  LaneRow* row = nullptr;
  Superblock* superblock = nullptr;
  Worker* workers = nullptr;
  LaneRegions region = {};
  LaneSizes sizes = {};
  std::vector<Peer> peers;  // all lanes, for client_connections
  std::vector<int32_t> listener_ids;  // that come from the lane's keeper: of a standby, all

  Journal journal;
  ChainStore chains;
  Post post;
  Relays relays{*this};
  CommandNames names;
  int32_t number = 0;    // which lane it is
  int32_t worker = 0;    // this process: row of the worker table
  int epoll_fd = -1;     // the lane's, inherited by every owner with all that is registered in it
  int doorbell_fd = -1;  // eventfd: wakes the lane from its epoll
  int claim_fd = -1;     // asks the lane's keeper for descriptors
  int keeper_bell = -1;  // eventfd: tells this process' keeper that it is named now
  int spare_fd = -1;     // given up for a moment to refuse a client when descriptors have run out
  int32_t fd_base = 0;

  // Descriptor numbers follow from rows, so that they are the same in every process:
  //
  //   epoll, keepers' and claimants' end, dock, master | fd_base | sessions | links | listeners |
  //   bell | bells of all lanes
  int sessionFd(int32_t number) const { return fd_base + number; }
  int linkFd(int32_t number) const { return fd_base + sizes.sessions + number; }
  int listenerFd(int32_t id) const { return fd_base + sizes.sessions + sizes.links + id; }
  int bellFd() const { return listenerFd(sizes.listeners); }
  int peerBellFd(int32_t peer) const { return bellFd() + 1 + peer; }
  int gearFd(Gear gear) const { return fd_base - kGears + gear; }

  // Time as the lane has lived it, µs: what passed without an owner does not count against anybody.
  double time() const { return monotonicUs() - head->ownerless_us; }

  // --- takeover.cc: how the lane changes hands
  int32_t fetch();
  int32_t claim(int timeout_ms);
  int32_t inherit();
  bool isDead(int32_t owner) const;
  static int32_t workerOf(int32_t owner) { return owner / 4; }
  bool isClaimed() const { return *const_cast<volatile int32_t*>(&row->claimant) != 0; }
  bool yield();
  void leave();
  void abandon(DeathCause_ cause);
  void noteCause(DeathCause_ cause);
  uint64_t cookieAt(int32_t number) const;

  // --- away.cc: descriptors that come after the lane is ours
  bool isWhole() const { return away_count_ == 0; }
  void bringReady(const void* events, int32_t count);
  void bringMore();
  void bringAll();

  // --- vet.cc, recover.cc: what a new owner does first
  void vet(bool ours);
  void begin();
  std::vector<Finding> takeFindings() { return std::exchange(findings_, {}); }

  // --- turn.cc: the order of things
  void seal();
  void flush();
  void redo();
  void receiveReady(const void* events, int32_t count);
  bool hasWork() const {
    return !again_.empty() || !dirty_sessions_.empty() || !dirty_links_.empty() ||
           !closing_.empty() || !closed_.empty() || post.isPending() || relays.hasWork();
  }

  // --- receive.cc: sessions, from socket to descriptor
  void sessionReadable(int32_t number);
  void readSession(int32_t number, Source source);
  void keepRests();
  void resume(int32_t number);

  // --- apply.cc: plans
  void applyPlans(int32_t decided);

  // --- deliver.cc: replies, from link to session
  void readLink(int32_t number, Source source);
  void settleNear();
  void answerError(int32_t request, const uint8_t* bytes, int32_t count);

  // --- merge.cc: split requests
  void partAnswered(int32_t part);

  // --- session.cc: life of a session
  void acceptAll(int32_t listener);
  void closeSession(int32_t number, CloseReason_ reason);
  void destroyClosing();
  void endOfInput(int32_t number);
  int32_t drainSessions(int32_t pool, int32_t listener);
  void cutSessions(int32_t pool, int32_t listener);

  // --- link.cc: life of a link
  void freeLink(int32_t number);
  int connectLink(int32_t number, const char* address, int port, bool unix_socket);
  void linkWritable(int32_t number);
  int handshake(int32_t number, const uint8_t* bytes, int32_t count);
  void openGate(int32_t number);
  int32_t loseLink(int32_t number, const uint8_t* error, int32_t count, bool resend);
  int32_t timeOut(int32_t number, double older_than_us, const uint8_t* error, int32_t count);

  // --- send.cc
  void flushSession(int32_t number);
  void flushLink(int32_t number);
  void interest(int fd, int32_t id, uint32_t events, bool add);
  void sessionInterest(int32_t number);

  // --- check.cc
  std::vector<std::string> check();

  // --- requests and lists
  int32_t newRequest();
  void freeRequest(int32_t number);
  int32_t requestsAvailable() const {
    return static_cast<int32_t>(free_requests_.size()) + sizes.requests - head->request_top;
  }
  void pushToSession(Session& session, int32_t request);
  void popFromSession(Session& session);
  void pushToLink(Link& link, int32_t request);
  void popFromLink(Link& link);
  void append(Session& session, const uint8_t* bytes, int32_t count);
  void dirtySession(int32_t number);
  void dirtyLink(int32_t number);
  void complete(Session& session, Request& request, bool in_link);
  void drainHeld(Session& session);
  void hold(Request& request, const uint8_t* bytes, int32_t count);
  void holdNear(int32_t request, int32_t offset, int32_t count);
  Descriptor& describe(DescriptorKind_ kind, int32_t row);
  int32_t numberOf(const Session& session) const {
    return static_cast<int32_t>(&session - sessions);
  }
  int32_t numberOf(const Link& link) const { return static_cast<int32_t>(&link - links); }
  int32_t numberOf(const Request& request) const {
    return static_cast<int32_t>(&request - requests);
  }
  double queueLimit(const Link& link) const { return pools[link.pool].link_queue_limit; }
  int32_t takeSessionRow();

  // What a lane has for another is counted there.
  PoolCounter& counterOf(const Session& session) {
    return isPeer(session) ? uncounted_session_ : pool_counters[session.pool];
  }
  BackendCounter& counterOf(const Link& link) {
    return link.home == 0 ? backend_counters[link.backend] : uncounted_link_;
  }
  bool isOwnId(double id) const;  // a CLIENT ID of this lane

 private:
  friend class Applier;
  friend class Relays;

  // receive.cc
  Receipt* openReceipt(int32_t id, int32_t kept, int32_t room);
  void closeReceipt(Receipt& receipt, int32_t got);
  ssize_t receive(int fd, bool is_unix, uint8_t* to);
  void notePeeked(int32_t id, int32_t& peeked, ssize_t got);
  void takePeeked();
  void frame(Session& session, Receipt& receipt);
  void collect(Session& session, Receipt& receipt);
  void describeWhole(Session& session, Receipt& receipt);
  int32_t frameInline(Session& session, Receipt& receipt, int32_t start);
  void describeRequest(Session& session, Receipt& receipt, int32_t start, const RequestView& view,
                       int32_t offset);
  bool listArguments(Descriptor& descriptor, const uint8_t* bytes, const CommandNames::Shape& shape,
                     const Pool& pool);
  void listChained(Session& session, Descriptor& descriptor);
  void waitForMemory(Session& session);
  bool mayFrame(const Session& session, const Pool& pool, int32_t framed) const;
  void backlog(Session& session);
  void protocolError(Session& session, int32_t code, int32_t offender);
  void beginCollecting(Session& session, const uint8_t* bytes, int32_t count);

  // deliver.cc
  void frameReplies(Link& link, Receipt& receipt);
  int32_t streamReply(Link& link, const uint8_t* bytes, int32_t count);
  bool overLimit(const Session& session) const;
  double outputLimit(const Session& session) const;
  bool roomy(const Link& link) const;
  bool isAwaited(const Link& link) const;
  void replyWhole(Link& link, const uint8_t* bytes, int32_t count, int32_t offset);
  void dropReply(Request& request);
  void replyPiece(Request& request, const uint8_t* bytes, int32_t count);
  void replyEnd(Request& request);
  void received(Link& link, Receipt& receipt, int32_t got);
  void countReply(Link& link, const Request& request, const uint8_t* bytes, int32_t count);
  void linkBroken(Link& link, int error);

  // session.cc
  void openSession(int fd, int32_t number, int32_t listener, const sockaddr_storage& address);
  Session& blankSession(int32_t number);
  void fillSession(int32_t number, int32_t listener, const sockaddr_storage& address);
  int32_t nextSessionRow() const;
  void refuseForDescriptors(const Listener& listener);
  bool clientsFull(int32_t pool) const;
  void disconnect(const Session& session);
  void abandonRequests(Session& session);
  void abandon(Request& request);

  // takeover.cc
  void forgetHeld();
  void learnHeld();
  void wanted(std::vector<int32_t>* numbers) const;
  void dropHeld();
  DeathCause_ causeOf(int32_t dead) const;
  void own();
  void nameKeeper();
  int32_t fetchNumbers(const std::vector<int32_t>& numbers);
  void resumeTime();

  // away.cc
  void chooseAway();
  bool isAway(int32_t number) const;
  void bring(const std::vector<int32_t>& rows);
  void beWhole();

  // blame.cc
  void nameSuspect();
  void suspectReceipt();
  void suspectDescriptor(int32_t index);
  void blame();
  template <class Row>
  bool isGuilty(Row& row, uint64_t at, int32_t id);
  bool blameSession(int32_t number, Suspect_ suspect);
  bool blameLink(int32_t number);
  bool isHopeless() const;
  int64_t poisonAt(Session& session, int32_t begin);
  bool isUnframable(Session& session, int32_t begin);
  void poison(Session& session, Receipt& receipt, int32_t used);

  // cold.cc
  void wipe();
  void startCold();

  // vet.cc
  bool isHeadSound() const;
  bool isSound(const Receipt& receipt) const;
  bool mend();
  void mendSession(int32_t number, const char* what);
  void mendLink(int32_t number, const char* what);
  void mendRing(int32_t other, const char* what);
  void strip(Request& row);
  void answerOrphans();

  // recover.cc
  bool repair();
  void undoTurn(std::vector<int32_t>* accepted);
  void fetchAccepted(const std::vector<int32_t>& numbers);
  void adoptAccepted(const std::vector<int32_t>& rows);
  int32_t listenerOf(int fd) const;
  void settlePeeked(int fd, int32_t& peeked);
  Wire* wireOf(Session& session);
  Wire* wireOf(Link& link);
  int64_t sentSince(int fd, const Wire* wire, uint64_t known) const;
  void repairPeeked(int fd, int32_t& peeked);
  void keepReceived(const Receipt& receipt);
  void keepReceived(Session& session, const uint8_t* bytes, int32_t count);
  void repairSession(int32_t number);
  void repairLink(int32_t number);
  void noteLost(Link& link);
  void dropConnect(int32_t number, bool is_here);
  void recount(const Reach& reach);
  void closeStale(int32_t number, bool is_open, uint64_t cookie);
  void fetchListeners();
  void listSessions();
  void listLinks();

  // link.cc
  void uncount(Link& link);
  void rebuildQueue(Link& link, bool keep_begun, bool drop_all, std::vector<int32_t>* dropped);
  void giveUp(int32_t request, const uint8_t* error, int32_t count);

  // send.cc, turn.cc
  void wakeStalled(int32_t link);
  void retryStarved();
  void relieveMemory();
  bool outputPending() const;
  void frameWaiting();
  void receiveMessages();
  void sessionEvent(int32_t number, uint32_t what);

  std::vector<int32_t> free_sessions_, free_requests_;
  std::vector<int32_t> freed_requests_;  // free at the next commit
  std::vector<int32_t> dirty_sessions_, dirty_links_;
  std::vector<uint8_t> session_dirty_, link_dirty_;
  std::vector<int32_t> flushing_, closing_;
  std::vector<int32_t> closed_;  // rows to be reused after the next commit
  std::vector<int32_t> again_;   // sessions to be framed from their in chain, whatever comes
  std::vector<uint8_t> session_again_;
  std::vector<int32_t> session_read_;  // by session: the turn of its last receipt
  std::vector<int32_t> starved_;       // sessions that found no request row or no memory
  std::vector<std::vector<int32_t>> stalled_;  // by link: sessions that wait for its queue
  std::vector<int32_t> peeked_;  // ids of unix sockets whose bytes were looked at in this turn
  std::vector<int32_t> near_;    // requests whose reply is held in this turn's arena
  std::vector<uint8_t> rest_;    // scratch for bytes behind a whole large request
  double trimmed_us_ = 0;        // when memory was last given back
  double starved_since_us_ = 0;  // when they last began to wait for memory, 0 = they do not
  PoolCounter uncounted_session_ = {};
  BackendCounter uncounted_link_ = {};
  int32_t reserved_rows_ = 0;  // request rows that this turn's descriptors may need

  // takeover.cc, recover.cc
  std::vector<uint64_t> held_;  // by descriptor number less fd_base: SO_COOKIE of what is there
  bool has_held_ = false;       // this process has had descriptors of the lane
  std::vector<uint8_t> away_;   // by session: 1 while its descriptor is still to be brought
  int32_t away_count_ = 0, away_next_ = 0;
  bool inherited_ = false;      // the owner before died: his last turn must be undone
  int32_t dead_owner_ = 0;      // that owner: row of the worker table
  std::vector<int32_t> unread_links_;  // their in chains are to be framed in the first turn
  std::vector<int32_t> lost_links_;    // with the owner before
  std::vector<int32_t> poisoned_links_;  // workers died of what their servers said
  std::vector<int32_t> orphans_;         // requests whose link was given up
  std::string cold_;                     // why the lane must begin anew; empty: it need not
  std::vector<Finding> findings_;
};

}  // namespace baton
