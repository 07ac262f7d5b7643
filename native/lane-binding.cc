// What TypeScript may ask of the lane this process runs (src/native/binding.ts has the contracts).
#include "lane-binding.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"
#include "segment.h"
#include "throw.h"

namespace baton {

namespace {

Lane lane;
Loop loop;

int32_t intOf(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

struct Bytes {
  const uint8_t* data;
  int32_t size;
};

Bytes bytesOf(const Napi::Value& value) {
  auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), static_cast<int32_t>(array.ByteLength())};
}

template <class Row>
Row* tableAt(const Napi::Float64Array& bases, TableNumber number) {
  return segment.at<Row>(static_cast<uint64_t>(bases[static_cast<size_t>(number)]));
}

void attachTables(const Napi::Float64Array& bases, int32_t number) {
  lane.superblock = tableAt<Superblock>(bases, TableNumber::Superblock);
  lane.row = tableAt<LaneRow>(bases, TableNumber::Lane) + number;
  lane.pools = tableAt<Pool>(bases, TableNumber::Pool);
  lane.backends = tableAt<Backend>(bases, TableNumber::Backend);
  lane.head = tableAt<LaneHead>(bases, TableNumber::LaneHead);
  lane.sessions = tableAt<Session>(bases, TableNumber::Session);
  lane.infos = tableAt<SessionInfo>(bases, TableNumber::SessionInfo);
  lane.links = tableAt<Link>(bases, TableNumber::Link);
  lane.requests = tableAt<Request>(bases, TableNumber::Request);
  lane.descriptors = tableAt<Descriptor>(bases, TableNumber::Descriptor);
  lane.receipts = tableAt<Receipt>(bases, TableNumber::Receipt);
  lane.counter = tableAt<LaneCounter>(bases, TableNumber::LaneCounter);
  lane.pool_counters = tableAt<PoolCounter>(bases, TableNumber::PoolCounter);
  lane.backend_counters = tableAt<BackendCounter>(bases, TableNumber::BackendCounter);
  lane.command_counters = tableAt<CommandCounter>(bases, TableNumber::CommandCounter);
  lane.histograms = tableAt<Histogram>(bases, TableNumber::Histogram);
}

void attachRegions(const Napi::Float64Array& regions) {
  const auto at = [&](size_t i) { return static_cast<uint64_t>(regions[i]); };
  lane.region = {segment.at<int32_t>(at(0)), segment.at<int32_t>(at(1)), segment.at<uint8_t>(at(2)),
                 segment.at<uint8_t>(at(3)), segment.at<uint8_t>(at(4))};
}

void attachPool(const Napi::Float64Array& bases, int32_t number) {
  auto* batches = tableAt<Batch>(bases, TableNumber::Batch);
  const int32_t node_batches = lane.superblock->nodes / UnitPool::kBatchUnits;
  const int32_t chunk_batches = lane.superblock->chunks / UnitPool::kBatchUnits;
  const auto node_base = static_cast<uint64_t>(lane.superblock->node_base);
  const auto chunk_base = static_cast<uint64_t>(lane.superblock->chunk_base);
  lane.chains.nodes.attach(kUnitClassNode, batches, node_batches, node_base, sizeof(Node), number,
                           lane.superblock);
  lane.chains.chunks.attach(kUnitClassChunk, batches + node_batches, chunk_batches, chunk_base,
                            kChunkBytes, number, lane.superblock);
  lane.chains.attach(segment.at<Node>(node_base), segment.at<uint8_t>(chunk_base));
}

Napi::Value laneAttach(const Napi::CallbackInfo& info) {
  const auto plan = info[0].As<Napi::Object>();
  const auto bases = plan.Get("tableBases").As<Napi::Float64Array>();
  const auto sizes = plan.Get("sizes").As<Napi::Int32Array>();
  const int32_t number = intOf(plan.Get("lane"));
  lane.sizes = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5],
                sizes[6], sizes[7], sizes[8], sizes[9], sizes[10]};
  lane.fd_base = intOf(plan.Get("fdBase"));
  attachTables(bases, number);
  attachRegions(plan.Get("regions").As<Napi::Float64Array>());
  attachPool(bases, number);
  const auto peers = plan.Get("peerCounters").As<Napi::Float64Array>();
  const int32_t first_peer = intOf(plan.Get("firstPeer"));
  auto* rows = tableAt<LaneRow>(bases, TableNumber::Lane) + first_peer;
  for (size_t i = 0; i < peers.ElementLength(); ++i)
    lane.peers.push_back({rows + i, segment.at<PoolCounter>(static_cast<uint64_t>(peers[i]))});
  auto* lane_base = segment.at<uint8_t>(
      static_cast<uint64_t>(plan.Get("laneBase").As<Napi::Number>().DoubleValue()));
  lane.journal.attach(lane.head, lane.region.journal, lane_base, lane.sizes.journal_bytes);
  if (lane.head->turn == 0) {
    // A new extent: what an owner that died has left in the pool belongs to nobody any more.
    lane.chains.nodes.releaseAll();
    lane.chains.chunks.releaseAll();
    lane.head->turn = 1;
  }
  lane.head->now_us = monotonicUs();
  lane.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (lane.epoll_fd < 0) return throwErrno(info.Env(), "epoll_create1", errno);
  lane.doorbell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (lane.doorbell_fd < 0) return throwErrno(info.Env(), "eventfd", errno);
  lane.interest(lane.doorbell_fd, kDoorbellId, EPOLLIN, true);
  // The kernel grows a descriptor table by doubling and waits for a grace period each time: do it
  // now.
  const int top =
      fcntl(0, F_DUPFD_CLOEXEC, lane.fd_base + lane.sizes.sessions + lane.sizes.links - 1);
  if (top < 0) return throwErrno(info.Env(), "fcntl(F_DUPFD) for the lane's descriptors", errno);
  close(top);
  lane.spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  lane.begin();
  return info.Env().Undefined();
}

Napi::Value laneCommands(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::vector<std::string> names;
  for (uint32_t i = 0; i < list.Length(); ++i) names.push_back(list.Get(i).As<Napi::String>());
  lane.names.load(names, info[1].As<Napi::Int32Array>().Data());
  return info.Env().Undefined();
}

Napi::Value laneStart(const Napi::CallbackInfo& info) {
  loop.begin(info.Env(), &lane, info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Value laneStop(const Napi::CallbackInfo& info) {
  loop.end();
  return info.Env().Undefined();
}

Napi::Value laneTurn(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), loop.turn());
}

Napi::Value laneFinish(const Napi::CallbackInfo& info) {
  loop.finish();
  return info.Env().Undefined();
}

Napi::Value laneApply(const Napi::CallbackInfo& info) {
  lane.head->decided = intOf(info[0]);
  lane.applyPlans(lane.head->decided);
  return info.Env().Undefined();
}

Napi::Value laneListen(const Napi::CallbackInfo& info) {
  const Listener listener = {intOf(info[0]), intOf(info[1]), info[2].As<Napi::Boolean>()};
  lane.listeners.push_back(listener);
  const auto number = static_cast<int32_t>(lane.listeners.size()) - 1;
  // A listener that several workers share wakes one of them; of one per lane there is only one
  // anyway.
  lane.interest(listener.fd, kListenerId + number, static_cast<uint32_t>(EPOLLIN) | EPOLLEXCLUSIVE,
                true);
  return Napi::Number::New(info.Env(), number);
}

Napi::Value laneCloseListeners(const Napi::CallbackInfo& info) {
  for (size_t i = 0; i < lane.listeners.size(); ++i) {
    lane.interest(lane.listeners[i].fd, kListenerId + static_cast<int32_t>(i), 0, false);
    close(lane.listeners[i]
              .fd);  // only close: others share it, and a successor may go on with its queue
    lane.listeners[i].fd = -1;
  }
  return info.Env().Undefined();
}

Napi::Value laneDrain(const Napi::CallbackInfo& info) {
  lane.drainSessions();
  return Napi::Number::New(info.Env(), lane.head->sessions_open);
}

Napi::Value linkDefine(const Napi::CallbackInfo& info) {
  const int32_t number = intOf(info[0]);
  lane.head->link_top = std::max(lane.head->link_top, number + 1);
  Link& link = lane.journal.touch(lane.links[number]);
  link.pool = intOf(info[1]);
  link.backend = intOf(info[2]);
  link.protocol = intOf(info[3]);
  link.fd = -1;
  link.state = kLinkStateDown;
  return info.Env().Undefined();
}

Napi::Value linkConnect(const Napi::CallbackInfo& info) {
  const std::string address = info[1].As<Napi::String>();
  return Napi::Number::New(info.Env(),
                           lane.connectLink(intOf(info[0]), address.c_str(), intOf(info[2]),
                                            info[3].As<Napi::Boolean>()));
}

Napi::Value linkHandshake(const Napi::CallbackInfo& info) {
  const Bytes bytes = bytesOf(info[1]);
  return Napi::Number::New(info.Env(), lane.handshake(intOf(info[0]), bytes.data, bytes.size));
}

Napi::Value linkOpenGate(const Napi::CallbackInfo& info) {
  lane.openGate(intOf(info[0]));
  return info.Env().Undefined();
}

Napi::Value linkLose(const Napi::CallbackInfo& info) {
  const Bytes error = bytesOf(info[1]);
  return Napi::Number::New(info.Env(), lane.loseLink(intOf(info[0]), error.data, error.size,
                                                     info[2].As<Napi::Boolean>()));
}

Napi::Value linkTimeouts(const Napi::CallbackInfo& info) {
  const Bytes error = bytesOf(info[2]);
  return Napi::Number::New(
      info.Env(), lane.timeOut(intOf(info[0]), info[1].As<Napi::Number>().DoubleValue(), error.data,
                               error.size));
}

// A journalled write to a session's description; see SessionInfo in layout.ts.
Napi::Value sessionNote(const Napi::CallbackInfo& info) {
  SessionInfo& row = lane.journal.touch(lane.infos[intOf(info[0])]);
  const Bytes bytes = bytesOf(info[2]);
  const auto note = [&](uint8_t* to, size_t room, int32_t* length) {
    *length = std::min(bytes.size, static_cast<int32_t>(room));
    if (*length > 0) memcpy(to, bytes.data, static_cast<size_t>(*length));
  };
  switch (intOf(info[1])) {
    case 0:
      note(row.name, sizeof row.name, &row.name_bytes);
      break;
    case 1:
      note(row.lib_name, sizeof row.lib_name, &row.lib_name_bytes);
      break;
    case 2:
      note(row.lib_ver, sizeof row.lib_ver, &row.lib_ver_bytes);
      break;
    default:
      row.db = bytes.size > 0 ? bytes.data[0] : 0;
      break;
  }
  return info.Env().Undefined();
}

// Copies bytes of a large request out of its session's in chain.
Napi::Value sessionRead(const Napi::CallbackInfo& info) {
  const int32_t count = intOf(info[2]);
  auto buffer = Napi::Buffer<uint8_t>::New(info.Env(), static_cast<size_t>(count));
  lane.chains.read(inOf(lane.sessions[intOf(info[0])]), intOf(info[1]), count, buffer.Data());
  return buffer;
}

Napi::Value laneCheck(const Napi::CallbackInfo& info) {
  lane.seal();  // check() speaks of sealed turns
  const std::vector<std::string> found = lane.check();
  auto list = Napi::Array::New(info.Env(), found.size());
  for (size_t i = 0; i < found.size(); ++i)
    list.Set(static_cast<uint32_t>(i), Napi::String::New(info.Env(), found[i]));
  return list;
}

Napi::Value laneRelease(const Napi::CallbackInfo& info) {
  lane.chains.nodes.releaseAll();
  lane.chains.chunks.releaseAll();
  return info.Env().Undefined();
}

}  // namespace

void initLane(Napi::Env env, Napi::Object exports) {
  const struct {
    const char* name;
    Napi::Value (*call)(const Napi::CallbackInfo&);
  } calls[] = {
      {"laneAttach", laneAttach},
      {"laneCommands", laneCommands},
      {"laneStart", laneStart},
      {"laneStop", laneStop},
      {"laneTurn", laneTurn},
      {"laneFinish", laneFinish},
      {"laneApply", laneApply},
      {"laneListen", laneListen},
      {"laneCloseListeners", laneCloseListeners},
      {"laneDrain", laneDrain},
      {"laneCheck", laneCheck},
      {"laneRelease", laneRelease},
      {"linkDefine", linkDefine},
      {"linkConnect", linkConnect},
      {"linkHandshake", linkHandshake},
      {"linkOpenGate", linkOpenGate},
      {"linkLose", linkLose},
      {"linkTimeouts", linkTimeouts},
      
      {"sessionNote", sessionNote},
      {"sessionRead", sessionRead},
  };
  for (const auto& each : calls)
    exports.Set(each.name, Napi::Function::New(env, each.call, each.name));
}

}  // namespace baton
