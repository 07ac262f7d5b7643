// An instance for one lane, made without a master: shared memory, sockets and what else a lane's
// owners inherit. Its sizes are the caller's, so that every table and pool can be tiny.
//
//   [superblock | lane | workers | pools | backends | batches] [the lane's extent] [nodes] [chunks]
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "hash.h"
#include "lane.h"
#include "segment.h"

namespace bare {

constexpr int32_t kWorkers = 64;
constexpr int32_t kPools = 3;
constexpr int32_t kFdBase = 1024;
constexpr int32_t kCommands = 16;

// Pool 0 serves a TCP port, pool 1 a path; both have the same servers, by TCP and by paths. Pool 2
// has two, and the connections of one come and go.
enum PoolId { kTcp, kUnix, kShaky };

struct Options {
  int port = 0, shaky_port = 0;  // where clients come
  std::string path;
  std::vector<int> servers;
  std::vector<std::string> server_paths;
  int shaky_server = 0;
  int kills = 100;
  uint64_t seed = 1;
  int32_t sessions = 400, requests = 8192, descriptors = 4096, receipts = 1024;
  int32_t arena = 4 << 20, arguments = 3 << 16;
  int32_t pool_bytes = 256 << 20;
  int32_t requests_max = 1024, output_limit = 256 << 20, queue_limit = 8 << 20;
  std::string kinds = "random,labelled,stepped,chained";
  std::vector<std::string> places;  // where to kill; none: everywhere
};

struct Server {
  int pool;
  std::string address;
  int port;  // 0: a path
};

inline sockaddr_in localPort(int port) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<uint16_t>(port));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

[[noreturn]] inline void give_up(const char* what) {
  perror(what);
  exit(2);
}

class Place {
 public:
  explicit Place(const Options& options) : options_(options) {
    for (size_t i = 0; i < options.servers.size(); ++i)
      servers.push_back({kTcp, "127.0.0.1", options.servers[i]});
    for (const std::string& path : options.server_paths) servers.push_back({kUnix, path, 0});
    servers.push_back({kShaky, "127.0.0.1", options.shaky_server});
    servers.push_back({kShaky, "127.0.0.1", options.servers[0]});
    measure();
    makeMemory();
    makeGear();
  }

  std::vector<Server> servers;  // index = id of the backend
  int32_t links() const { return 1 + 2 * static_cast<int32_t>(servers.size()); }
  // RESP2 and RESP3 have connections of their own.
  int32_t linkOf(int32_t server, bool resp3) const { return 1 + 2 * server + (resp3 ? 1 : 0); }

  baton::Worker* workers() const { return at<baton::Worker>(workers_at_); }
  baton::LaneRow* row() const { return at<baton::LaneRow>(row_at_); }
  baton::LaneHead* head() const { return at<baton::LaneHead>(head_at_); }

  // As lane-binding.cc does it for a worker that starts.
  void attach(baton::Lane* lane, int32_t worker) const {
    lane->sizes = sizes_;
    lane->fd_base = kFdBase;
    lane->worker = worker;
    lane->superblock = superblock();
    lane->row = row();
    lane->workers = workers();
    lane->pools = at<baton::Pool>(pools_at_);
    lane->backends = at<baton::Backend>(backends_at_);
    lane->head = head();
    lane->sessions = at<baton::Session>(sessions_at_);
    lane->infos = at<baton::SessionInfo>(infos_at_);
    lane->links = at<baton::Link>(links_at_);
    lane->requests = at<baton::Request>(requests_at_);
    lane->descriptors = at<baton::Descriptor>(descriptors_at_);
    lane->receipts = at<baton::Receipt>(receipts_at_);
    lane->wires = at<baton::Wire>(wires_at_);
    lane->listeners = at<baton::Listener>(listeners_at_);
    lane->counter = at<baton::LaneCounter>(counter_at_);
    lane->pool_counters = at<baton::PoolCounter>(pool_counters_at_);
    lane->backend_counters = at<baton::BackendCounter>(backend_counters_at_);
    lane->command_counters = at<baton::CommandCounter>(command_counters_at_);
    lane->histograms = at<baton::Histogram>(histograms_at_);
    lane->region = {at<int32_t>(operation_at_), at<int32_t>(argument_at_), at<uint8_t>(scratch_at_),
                    at<uint8_t>(journal_at_), at<uint8_t>(arena_at_)};
    lane->journal.attach(lane->head, lane->region.journal, at<uint8_t>(extent_at_),
                         sizes_.journal_bytes);
    auto* batches = at<baton::Batch>(batches_at_);
    lane->chains.nodes.attach(baton::kUnitClassNode, batches, batches_, node_base_,
                              sizeof(baton::Node), 0, row(), superblock());
    lane->chains.chunks.attach(baton::kUnitClassChunk, batches + batches_, batches_, chunk_base_,
                               baton::kChunkBytes, 0, row(), superblock());
    lane->chains.attach(at<baton::Node>(node_base_), at<uint8_t>(chunk_base_));
    lane->peers.push_back({lane->row, lane->pool_counters});
    lane->post.attach(0, at<baton::Ring>(rings_at_), &lane->journal, &lane->chains,
                      {{lane->row, at<baton::Port>(ports_at_), at<baton::Message>(messages_at_),
                        at<baton::Bell>(bell_at_), -1}});
  }

  int epoll_fd = -1, bell_fd = -1, keeper_fd = -1, claim_fd = -1;
  int listeners[kPools] = {};

 private:
  template <class T>
  T* at(uint64_t offset) const {
    return baton::segment.at<T>(offset);
  }
  baton::Superblock* superblock() const { return at<baton::Superblock>(0); }

  template <class T>
  uint64_t take(int64_t count) {
    const uint64_t from = end_;
    end_ = (end_ + static_cast<uint64_t>(count) * sizeof(T) + 63) / 64 * 64;
    return from;
  }

  void measure() {
    const auto backends = static_cast<int32_t>(servers.size());
    const int64_t images =
        int64_t{options_.sessions} * (sizeof(baton::Session) + sizeof(baton::SessionInfo) + 16) +
        int64_t{links()} * (sizeof(baton::Link) + 8) +
        int64_t{options_.requests} * (sizeof(baton::Request) + 8) +
        2 * (sizeof(baton::Ring) + 8);
    sizes_ = {options_.sessions,    links(),        options_.requests,  options_.descriptors,
              options_.receipts,    options_.arena, kPools,             backends,
              kCommands,            options_.arguments, static_cast<int32_t>(images), kPools};
    batches_ = options_.pool_bytes / (64 * baton::kChunkBytes) + 1;
    take<baton::Superblock>(1);
    row_at_ = take<baton::LaneRow>(1);
    workers_at_ = take<baton::Worker>(kWorkers);
    pools_at_ = take<baton::Pool>(kPools);
    backends_at_ = take<baton::Backend>(backends);
    batches_at_ = take<baton::Batch>(2 * batches_);
    end_ = pages(end_);
    extent_at_ = head_at_ = take<baton::LaneHead>(1);
    sessions_at_ = take<baton::Session>(sizes_.sessions);
    infos_at_ = take<baton::SessionInfo>(sizes_.sessions);
    links_at_ = take<baton::Link>(sizes_.links);
    requests_at_ = take<baton::Request>(sizes_.requests);
    descriptors_at_ = take<baton::Descriptor>(sizes_.descriptors);
    receipts_at_ = take<baton::Receipt>(sizes_.receipts);
    wires_at_ = take<baton::Wire>(sizes_.sessions + sizes_.links);
    listeners_at_ = take<baton::Listener>(kPools);
    rings_at_ = take<baton::Ring>(2);
    ports_at_ = take<baton::Port>(3);
    bell_at_ = take<baton::Bell>(1);
    messages_at_ = take<baton::Message>(3 * baton::kRingSlots);
    counter_at_ = take<baton::LaneCounter>(1);
    pool_counters_at_ = take<baton::PoolCounter>(kPools);
    backend_counters_at_ = take<baton::BackendCounter>(backends);
    command_counters_at_ = take<baton::CommandCounter>(kCommands);
    histograms_at_ = take<baton::Histogram>(kPools + backends);
    operation_at_ = take<int32_t>(1 << 18);
    argument_at_ = take<int32_t>(sizes_.argument_words);
    scratch_at_ = take<uint8_t>(1 << 20);
    journal_at_ = take<uint8_t>(images);
    arena_at_ = take<uint8_t>(sizes_.arena_bytes);
    node_base_ = end_ = pages(end_);
    take<baton::Node>(int64_t{batches_} * 64);
    chunk_base_ = end_ = pages(end_);
    end_ += static_cast<uint64_t>(batches_) * 64 * baton::kChunkBytes;
  }

  static uint64_t pages(uint64_t bytes) { return (bytes + 4095) / 4096 * 4096; }

  // What is before the nodes is there at once, nodes and chunks when they are backed.
  void makeMemory() {
    const int fd = memfd_create("bare-lane", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(end_)) != 0) give_up("memory");
    void* base = mmap(nullptr, end_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED) give_up("mmap");
    baton::segment = {static_cast<uint8_t*>(base), end_, fd};
    superblock()->pool_bytes_max = options_.pool_bytes;
    superblock()->lanes = 1;
    auto* pools = at<baton::Pool>(pools_at_);
    for (int32_t i = 0; i < kPools; ++i) {
      pools[i].hash = static_cast<int32_t>(baton::HashKind::fnv1a_64);
      pools[i].tag_open = -1;
      pools[i].requests_max = options_.requests_max;
      pools[i].bulk_max = 512 << 20;
      pools[i].inline_max = 64 << 10;
      pools[i].output_limit = options_.output_limit;
      pools[i].link_queue_limit = options_.queue_limit;
    }
    for (const Server& server : servers) ++pools[server.pool].backends;
  }

  void makeGear() {
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
      give_up("socketpair");
    keeper_fd = ends[0];
    claim_fd = ends[1];
    listeners[kTcp] = listenOn(options_.port);
    listeners[kShaky] = listenOn(options_.shaky_port);
    listeners[kUnix] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    strncpy(name.sun_path, options_.path.c_str(), sizeof name.sun_path - 1);
    bindTo(listeners[kUnix], reinterpret_cast<sockaddr*>(&name), sizeof name);
  }

  static int listenOn(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &one, sizeof one);
    sockaddr_in name = localPort(port);
    bindTo(fd, reinterpret_cast<sockaddr*>(&name), sizeof name);
    return fd;
  }

  static void bindTo(int fd, const sockaddr* name, socklen_t length) {
    if (bind(fd, name, length) != 0 || listen(fd, 1024) != 0) give_up("listen");
  }

  Options options_;
  baton::LaneSizes sizes_ = {};
  int32_t batches_ = 0;  // of each class
  uint64_t end_ = 0;
  uint64_t row_at_, workers_at_, pools_at_, backends_at_, batches_at_, extent_at_, head_at_,
      sessions_at_, infos_at_, links_at_, requests_at_, descriptors_at_, receipts_at_, wires_at_,
      listeners_at_, rings_at_, ports_at_, bell_at_, messages_at_, counter_at_, pool_counters_at_,
      backend_counters_at_, command_counters_at_, histograms_at_, operation_at_, argument_at_, scratch_at_, journal_at_, arena_at_, node_base_,
      chunk_base_;
};

}  // namespace bare
