// The lanes that this process may run, and how it comes to run one: a worker that its master starts
// for a lane attaches to that one, a standby to all of its crew.
#include "lane-attach.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "death-watch.h"
#include "keeper.h"
#include "life.h"
#include "reach.h"
#include "segment.h"
#include "throw.h"

namespace baton {

Lane* lane = nullptr;

namespace {

// A lane with what its master gave this process for it.
struct Berth {
  Lane lane;
  int number = -1;
  int bell_fd = -1;    // the lane's doorbell, as inherited
  int keeper_fd = -1;  // the keepers' end of the lane's socket pair
  int dock_fd = -1;    // where masters who adopt the lane ask; -1: nobody could find it
};

std::vector<std::unique_ptr<Berth>> berths;  // by lane; null: none
Berth* berth = nullptr;                      // of `lane`
DeathWatch death_watch;
int keeper_bell = -1;
int keeper_pid = -1;  // of this process
int master_fd = -1;   // pidfd of this process' master
KeeperOrder* keeper_order = nullptr;  // what a keeper that was started without a lane will read

int32_t intOf(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

template <class Row>
Row* tableAt(const Napi::Float64Array& bases, TableNumber number) {
  return segment.at<Row>(static_cast<uint64_t>(bases[static_cast<size_t>(number)]));
}

void attachTables(const Napi::Float64Array& bases, int32_t number, int32_t half) {
  lane->superblock = tableAt<Superblock>(bases, TableNumber::Superblock);
  lane->row = tableAt<LaneRow>(bases, TableNumber::Lane) + number;
  lane->workers = tableAt<Worker>(bases, TableNumber::Worker);
  lane->pools = tableAt<Pool>(bases, TableNumber::Pool) + half * lane->sizes.pools;
  lane->backends = tableAt<Backend>(bases, TableNumber::Backend) + half * lane->sizes.backends;
  lane->head = tableAt<LaneHead>(bases, TableNumber::LaneHead);
  lane->sessions = tableAt<Session>(bases, TableNumber::Session);
  lane->infos = tableAt<SessionInfo>(bases, TableNumber::SessionInfo);
  lane->links = tableAt<Link>(bases, TableNumber::Link);
  lane->requests = tableAt<Request>(bases, TableNumber::Request);
  lane->descriptors = tableAt<Descriptor>(bases, TableNumber::Descriptor);
  lane->receipts = tableAt<Receipt>(bases, TableNumber::Receipt);
  lane->wires = tableAt<Wire>(bases, TableNumber::Wire);
  lane->listeners = tableAt<Listener>(bases, TableNumber::Listener);
  lane->counter = tableAt<LaneCounter>(bases, TableNumber::LaneCounter);
  lane->pool_counters = tableAt<PoolCounter>(bases, TableNumber::PoolCounter);
  lane->backend_counters = tableAt<BackendCounter>(bases, TableNumber::BackendCounter);
  lane->command_counters = tableAt<CommandCounter>(bases, TableNumber::CommandCounter);
  lane->histograms = tableAt<Histogram>(bases, TableNumber::Histogram);
}

void attachRegions(const Napi::Float64Array& regions) {
  const auto at = [&](size_t i) { return static_cast<uint64_t>(regions[i]); };
  lane->region = {segment.at<int32_t>(at(0)), segment.at<int32_t>(at(1)), segment.at<uint8_t>(at(2)),
                 segment.at<uint8_t>(at(3)), segment.at<uint8_t>(at(4))};
}

// Pages that are here before the lane is ours need not be brought while its clients wait.
void populate(void* begin, size_t bytes, int how) {
  constexpr uintptr_t kPage = 4096;
  const auto from = reinterpret_cast<uintptr_t>(begin) & ~(kPage - 1);
  const auto to = reinterpret_cast<uintptr_t>(begin) + bytes;
  madvise(reinterpret_cast<void*>(from), to - from, how);
}

void attachPool(const Napi::Float64Array& bases, int32_t number) {
  auto* batches = tableAt<Batch>(bases, TableNumber::Batch);
  auto* rows = tableAt<LaneRow>(bases, TableNumber::Lane);
  const int32_t node_batches = lane->superblock->nodes / UnitPool::kBatchUnits;
  const int32_t chunk_batches = lane->superblock->chunks / UnitPool::kBatchUnits;
  const auto node_base = static_cast<uint64_t>(lane->superblock->node_base);
  const auto chunk_base = static_cast<uint64_t>(lane->superblock->chunk_base);
  lane->chains.nodes.attach(kUnitClassNode, batches, node_batches, node_base, sizeof(Node), number,
                           rows, lane->superblock);
  lane->chains.chunks.attach(kUnitClassChunk, batches + node_batches, chunk_batches, chunk_base,
                            kChunkBytes, number, rows, lane->superblock);
  lane->chains.attach(segment.at<Node>(node_base), segment.at<uint8_t>(chunk_base));
  // An owner looks at all of them when it begins.
  populate(batches, sizeof *batches * static_cast<size_t>(node_batches + chunk_batches),
           MADV_POPULATE_READ);
  Reach::prepare(lane->chains);
}

void attachPeers(const Napi::Float64Array& bases, const Napi::Float64Array& counters) {
  auto* rows = tableAt<LaneRow>(bases, TableNumber::Lane);
  for (size_t i = 0; i < counters.ElementLength(); ++i)
    lane->peers.push_back({rows + i, segment.at<PoolCounter>(static_cast<uint64_t>(counters[i]))});
}

// Rings lie in the extents of those who write them, each at the same place of its extent.
void attachPost(const Napi::Float64Array& bases, const Napi::Float64Array& extents) {
  const auto mine = static_cast<uint64_t>(extents[static_cast<size_t>(lane->number)]);
  auto* rows = tableAt<LaneRow>(bases, TableNumber::Lane);
  std::vector<Post::Peer> peers;
  for (size_t i = 0; i < extents.ElementLength(); ++i) {
    const auto at = [&](TableNumber number) {
      const auto within = static_cast<uint64_t>(bases[static_cast<size_t>(number)]) - mine;
      return static_cast<uint64_t>(extents[i]) + within;
    };
    peers.push_back({rows + i, segment.at<Port>(at(TableNumber::Port)),
                     segment.at<Message>(at(TableNumber::Message)),
                     segment.at<Bell>(at(TableNumber::Bell)), -1});
  }
  lane->post.attach(lane->number, tableAt<Ring>(bases, TableNumber::Ring), &lane->journal,
                    &lane->chains, peers);
}

// A pidfd at its number, for the keeper; -1: the kernel has none.
int watchMaster(int pid) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return -1;
  const int number = dup3(fd, lane->gearFd(kMasterGear), O_CLOEXEC);
  close(fd);
  return number;
}

// The kernel grows a descriptor table by doubling and waits for a grace period each time, some
// milliseconds: it is made as large as it will ever be before anybody waits.
void growDescriptorTable() {
  const int last = lane->peerBellFd(kLanesMax - 1);
  if (dup3(berth->bell_fd, last, O_CLOEXEC) == last) close(last);
}

// Where the lane's rows and rings are.
void attachRows(const Napi::Object& plan) {
  const auto bases = plan.Get("tableBases").As<Napi::Float64Array>();
  const auto sizes = plan.Get("sizes").As<Napi::Int32Array>();
  const auto number = [&](const char* name) { return intOf(plan.Get(name)); };
  berth->number = lane->number = number("lane");
  lane->sizes = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4],  sizes[5],
                 sizes[6], sizes[7], sizes[8], sizes[9], sizes[10], sizes[11]};
  lane->fd_base = number("fdBase");
  lane->worker = number("worker");
  attachTables(bases, berth->number, number("half"));
  attachRegions(plan.Get("regions").As<Napi::Float64Array>());
  attachPool(bases, berth->number);
  attachPeers(bases, plan.Get("peerCounters").As<Napi::Float64Array>());
  attachPost(bases, plan.Get("laneBases").As<Napi::Float64Array>());
  const auto base = static_cast<uint64_t>(plan.Get("laneBase").As<Napi::Number>().DoubleValue());
  lane->journal.attach(lane->head, lane->region.journal, segment.at<uint8_t>(base),
                       lane->sizes.journal_bytes);
}

Napi::Value laneAttach(const Napi::CallbackInfo& info) {
  const auto plan = info[0].As<Napi::Object>();
  const auto number = [&](const char* name) { return intOf(plan.Get(name)); };
  auto made = std::make_unique<Berth>();
  berth = made.get();
  lane = &berth->lane;
  attachRows(plan);
  const auto base = static_cast<uint64_t>(plan.Get("laneBase").As<Napi::Number>().DoubleValue());
  const auto ids = plan.Get("fetchedListeners").As<Napi::Int32Array>();
  lane->listener_ids.assign(ids.Data(), ids.Data() + ids.ElementLength());
  populate(segment.at<uint8_t>(base),
           static_cast<size_t>(plan.Get("laneBytes").As<Napi::Number>().Int64Value()),
           MADV_POPULATE_WRITE);
  lane->epoll_fd = number("epollFd");
  lane->claim_fd = number("claimFd");
  berth->bell_fd = number("bellFd");
  berth->keeper_fd = number("keeperFd");
  berth->dock_fd = number("dockFd");
  if (berths.empty()) growDescriptorTable();
  if (master_fd < 0) master_fd = watchMaster(number("masterPid"));
  const auto at = static_cast<size_t>(berth->number);
  if (berths.size() <= at) berths.resize(at + 1);
  berths[at] = std::move(made);
  return info.Env().Undefined();
}

// A lane of somebody else's, in a copy of this process's own: it gets no descriptor.
Napi::Value laneInspect(const Napi::CallbackInfo& info) {
  static std::unique_ptr<Berth> inspected;
  inspected = std::make_unique<Berth>();
  berth = inspected.get();
  lane = &berth->lane;
  attachRows(info[0].As<Napi::Object>());
  return info.Env().Undefined();
}

// The lane's gear, at the numbers that it has in all its owners, for the keeper: it closes the
// others when this process has died. The claimants' end goes with those where there is no dock: then
// the keeper learns by it that nobody is left who could ask. 0 or an errno.
int placeGear() {
  const struct {
    Gear gear;
    int fd;
  } kept[] = {
      {kEpollGear, lane->epoll_fd},
      {kKeeperGear, berth->keeper_fd},
      {kDockGear, berth->dock_fd},
      {kClaimGear, berth->dock_fd < 0 ? -1 : lane->claim_fd},
  };
  for (const auto& each : kept) {
    if (each.fd >= 0 && dup3(each.fd, lane->gearFd(each.gear), O_CLOEXEC) < 0) return errno;
  }
  return 0;
}

// The lane's own descriptors come to numbers that are the same in all its owners. 0 or an errno.
int select(int32_t number) {
  berth = berths[static_cast<size_t>(number)].get();
  lane = &berth->lane;
  const int failed = placeGear();
  if (failed != 0) return failed;
  // The doorbell lies behind the numbers of rows.
  lane->doorbell_fd = dup3(berth->bell_fd, lane->bellFd(), O_CLOEXEC);
  if (lane->doorbell_fd < 0) return errno;
  lane->keeper_bell = keeper_bell;
  // Whoever owned the lane before has registered it already, by the same number.
  lane->interest(lane->doorbell_fd, kDoorbellId, EPOLLIN, true);
  return 0;
}

// What this process has of other lanes goes.
void dismissOthers() {
  for (const auto& other : berths) {
    if (other == nullptr || other.get() == berth) continue;
    for (const int fd : {other->lane.epoll_fd, other->lane.claim_fd, other->bell_fd,
                         other->keeper_fd, other->dock_fd})
      if (fd >= 0) close(fd);
  }
}

Napi::Value laneSelect(const Napi::CallbackInfo& info) {
  const int failed = select(intOf(info[0]));
  if (failed != 0) return throwErrno(info.Env(), "dup3 for the lane's doorbell", failed);
  lane->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return info.Env().Undefined();
}

// For every lane that this process may run: their numbers are the same.
Napi::Value lanePlaceBell(const Napi::CallbackInfo& info) {
  const int32_t peer = intOf(info[0]);
  const int fd = intOf(info[1]);
  const int number = lane->peerBellFd(peer);
  if (dup3(fd, number, O_CLOEXEC) < 0) return throwErrno(info.Env(), "dup3 for a doorbell", errno);
  close(fd);
  for (const auto& each : berths) {
    if (each != nullptr) each->lane.post.giveBell(peer, number);
  }
  return info.Env().Undefined();
}

Napi::Value laneCommands(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<std::string> names;
  for (uint32_t i = 0; i < list.Length(); ++i) names.push_back(list.Get(i).As<Napi::String>());
  for (const auto& each : berths) {
    if (each != nullptr) each->lane.names.load(names, info[1].As<Napi::Int32Array>().Data());
  }
  return info.Env().Undefined();
}

Napi::Value laneLife(const Napi::CallbackInfo& info) {
  const auto row = static_cast<size_t>(intOf(info[0]));
  const int failed = beginLife(lane->workers[row]);
  if (failed != 0) return throwErrno(info.Env(), "pthread_mutex_lock", failed);
  return info.Env().Undefined();
}

// --- the keeper

KeeperOrder keeperOrder(int orphan_ms) {
  return {.keeper_fd = lane->gearFd(kKeeperGear),
          .worker_pid = getpid(),
          .worker_row = lane->worker,
          .named = &lane->row->keeper,
          .first_fd = lane->fd_base,
          .accepting = &lane->head->accept_row,
          .bell_fd = keeper_bell,
          .lane = berth->number,
          .orphan_ms = orphan_ms,
          .kept_fd = lane->gearFd(kMasterGear),
          .dock_fd = berth->dock_fd < 0 ? -1 : lane->gearFd(kDockGear),
          .master_fd = master_fd};
}

// An order that says where the rest of it will be.
KeeperOrder openOrder(int orphan_ms) {
  void* page = mmap(nullptr, sizeof(KeeperOrder), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  keeper_order = page == MAP_FAILED ? nullptr : static_cast<KeeperOrder*>(page);
  return {.keeper_fd = -1,
          .worker_pid = getpid(),
          .worker_row = lane->worker,
          .named = nullptr,
          .first_fd = lane->fd_base,
          .accepting = nullptr,
          .bell_fd = keeper_bell,
          .lane = -1,
          .orphan_ms = orphan_ms,
          .later = keeper_order,
          .mapping = segment.base,
          .mapping_bytes = segment.bytes,
          .kept_fd = lane->gearFd(kMasterGear),
          .dock_fd = -1,
          .master_fd = master_fd};
}

Napi::Value laneKeeper(const Napi::CallbackInfo& info) {
  const bool has_lane = intOf(info[0]) >= 0;
  const int orphan_ms = intOf(info[1]);
  if (keeper_bell < 0) keeper_bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  lane->keeper_bell = keeper_bell;
  keeper_order = nullptr;
  const KeeperOrder order = has_lane ? keeperOrder(orphan_ms) : openOrder(orphan_ms);
  keeper_pid = kCrashSafe ? startKeeper(order) : -ENOSYS;
  return Napi::Number::New(info.Env(), keeper_pid);
}

// Whether the keeper that was started has died. It is still to be reaped, by laneKeeperStop.
Napi::Value laneKeeperDied(const Napi::CallbackInfo& info) {
  siginfo_t what = {};
  const bool is_gone =
      keeper_pid > 0 &&
      waitid(P_PID, static_cast<id_t>(keeper_pid), &what, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      what.si_pid == keeper_pid;
  return Napi::Boolean::New(info.Env(), is_gone);
}

Napi::Value laneKeeperStop(const Napi::CallbackInfo& info) {
  if (keeper_pid > 0) stopKeeper(keeper_pid);
  keeper_pid = -1;
  return info.Env().Undefined();
}

// The keeper learns its lane; from nameKeeper on it looks.
void completeOrder() {
  if (keeper_order == nullptr) return;
  const KeeperOrder whole = keeperOrder(0);
  keeper_order->keeper_fd = whole.keeper_fd;
  keeper_order->dock_fd = whole.dock_fd;
  keeper_order->accepting = whole.accepting;
  keeper_order->lane = whole.lane;
  __atomic_store_n(&keeper_order->named, whole.named, __ATOMIC_RELEASE);
}

// --- a standby

Napi::Value laneWatch(const Napi::CallbackInfo& info) {
  std::vector<Lane*> lanes;
  for (const auto& each : berths) lanes.push_back(each == nullptr ? nullptr : &each->lane);
  const int failed = death_watch.begin(lanes, lane->worker, intOf(info[0]));
  if (failed != 0) return throwErrno(info.Env(), "pthread_create", failed);
  return info.Env().Undefined();
}

Napi::Value laneFound(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), death_watch.found());
}

Napi::Value laneInherit(const Napi::CallbackInfo& info) {
  const int failed = select(intOf(info[0]));
  const int32_t claim = failed != 0 ? -failed : lane->inherit();
  if (claim < 0) {
    death_watch.lookAgain();
  } else {
    completeOrder();
    dismissOthers();
    lane->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  return Napi::Number::New(info.Env(), claim);
}

}  // namespace

void initLaneAttach(Napi::Env env, Napi::Object exports) {
  const struct {
    const char* name;
    Napi::Value (*call)(const Napi::CallbackInfo&);
  } calls[] = {
      {"laneAttach", laneAttach},
      {"laneInspect", laneInspect},
      {"laneSelect", laneSelect},
      {"lanePlaceBell", lanePlaceBell},
      {"laneCommands", laneCommands},
      {"laneLife", laneLife},
      {"laneKeeper", laneKeeper},
      {"laneKeeperDied", laneKeeperDied},
      {"laneKeeperStop", laneKeeperStop},
      {"laneWatch", laneWatch},
      {"laneFound", laneFound},
      {"laneInherit", laneInherit},
  };
  for (const auto& each : calls)
    exports.Set(each.name, Napi::Function::New(env, each.call, each.name));
}

}  // namespace baton
