// What src/proxy decides for a lane, in as few words as an exact load needs: where requests go, what
// is split, what is answered here, when links connect. Everything it knows is in rows.
#pragma once
#include <string>

#include "place.h"

namespace bare {

class Mind {
 public:
  static constexpr const char* kNames[] = {"get",  "set",    "incr",   "mget",  "mset",
                                           "del",  "exists", "client", "hello", "ping"};

  Mind(baton::Lane& lane, const Place& place) : lane_(lane), place_(place) {
    // Bits as native/command-names.h says: keys of those that are split are hashed while framing.
    const auto shape = [](int32_t list, int32_t step) { return list | 1 << 8 | step << 16; };
    const int32_t shapes[] = {shape(0, 1), shape(0, 1), shape(0, 1), shape(1, 1), shape(1, 2),
                              shape(1, 1), shape(1, 1), 1,           1,           1};
    lane_.names.load({std::begin(kNames), std::end(kNames)}, shapes);
  }

  // A lane that nobody has owned yet.
  void furnish() {
    lane_.head->next_client_id = 1;
    for (size_t i = 0; i < place_.servers.size(); ++i) {
      for (const bool resp3 : {false, true}) {
        const int32_t number = place_.linkOf(static_cast<int32_t>(i), resp3);
        lane_.head->link_top = std::max(lane_.head->link_top, number + 1);
        baton::Link& link = lane_.journal.touch(lane_.links[number]);
        link.pool = place_.servers[i].pool;
        link.backend = static_cast<int32_t>(i);
        link.protocol = resp3 ? 3 : 2;
        link.fd = -1;
        link.state = baton::kLinkStateDown;
      }
    }
  }

  // With what the owner before has left.
  void adopt() {
    for (int32_t number = 1; number < lane_.head->link_top; ++number) {
      const baton::Link& link = lane_.links[number];
      if (link.state == baton::kLinkStateDown) connect(number);
      if (link.state == baton::kLinkStateHandshake && link.replies_due == 0) greet(number);
    }
  }

  bool hasWork() const { return !resting_.empty(); }

  // Those whose pause is over.
  void goOn() {
    for (const int32_t number : resting_) connect(number);
    resting_.clear();
  }

  void decide() {
    word_ = scratch_ = 0;
    baton::mark(lane_.head->step, baton::kStepDeciding);
    for (index_ = 0; index_ < lane_.head->descriptors; ++index_) {
      baton::mark(lane_.head->deciding, index_);
      baton::Descriptor& descriptor = lane_.descriptors[index_];
      switch (descriptor.kind) {
        case baton::kDescriptorKindRequest:
          descriptor.plan = plan(descriptor);
          break;
        case baton::kDescriptorKindLinkUp:
          greet(descriptor.row);
          break;
        case baton::kDescriptorKindLinkReply:
          lane_.journal.touch(lane_.links[descriptor.row]).replies_due = 0;
          lane_.openGate(descriptor.row);
          break;
        case baton::kDescriptorKindLinkLost:
          lose(descriptor.row);
          break;
        case baton::kDescriptorKindProtocolError:
          fprintf(stderr, "session %d: protocol error %d\n", descriptor.row, descriptor.command);
          _exit(3);
        case baton::kDescriptorKindSessionClosed:
          // A client that resets is its own affair; any other reason is ours.
          if (descriptor.command == baton::kCloseReasonClientError) break;
          fprintf(stderr, "session %d closed, reason %d\n", descriptor.row, descriptor.command);
          break;
        default:
          break;
      }
    }
    lane_.head->decided = lane_.head->descriptors;
    baton::mark(lane_.head->step, baton::kStepOther);
  }

 private:
  enum Command { kGet, kSet, kIncr, kMget, kMset, kDel, kExists, kClient, kHello, kPing };

  // --- requests

  int32_t plan(const baton::Descriptor& descriptor) {
    switch (descriptor.command) {
      case kGet:
      case kSet:
      case kIncr:
        return forward(descriptor);
      case kMget:
        return split(descriptor, baton::kMergeKindInterleave, 1);
      case kMset:
        return split(descriptor, baton::kMergeKindAllOk, 2);
      case kDel:
      case kExists:
        return split(descriptor, baton::kMergeKindSum, 1);
      case kClient:
        return client(descriptor);
      case kHello:
        return hello();
      case kPing:
        return reply("+PONG\r\n");
      default:
        return reply("-ERR unknown command\r\n");
    }
  }

  int32_t linkFor(const baton::Descriptor& descriptor, int32_t hash) const {
    const int32_t pool = descriptor.pool;
    const auto servers = static_cast<uint32_t>(lane_.pools[pool].backends);
    int32_t first = 0;
    while (place_.servers[static_cast<size_t>(first)].pool != pool) ++first;
    const auto at = static_cast<int32_t>(static_cast<uint32_t>(hash) % servers);
    const bool resp3 = (lane_.sessions[descriptor.row].mode & baton::kSessionModeResp3) != 0;
    return place_.linkOf(first + at, resp3);
  }

  // As dispatch.ts has it.
  bool isFull(int32_t number) const {
    const baton::Link& link = lane_.links[number];
    return link.out_bytes > lane_.queueLimit(link) ||
           link.requests > lane_.sizes.requests - lane_.head->requests_open;
  }

  int32_t stall(int32_t link) {
    const int32_t begin = word_;
    put({baton::kOperationStall, link});
    return ~begin;
  }

  int32_t forward(const baton::Descriptor& descriptor) {
    const int32_t link = linkFor(descriptor, descriptor.hash);
    return isFull(link) ? stall(link) : link;
  }

  int32_t split(const baton::Descriptor& descriptor, int32_t merge, int32_t step) {
    const int32_t keys = (descriptor.argc - 1) / step;
    const int32_t* words = lane_.region.argument + descriptor.arguments;
    std::vector<int32_t> links, parts;
    for (int32_t key = 0; key < keys; ++key) {
      const int32_t link = linkFor(descriptor, words[3 * (1 + key * step) + 2]);
      if (isFull(link)) return stall(link);
      size_t part = 0;
      while (part < links.size() && links[part] != link) ++part;
      if (part == links.size()) links.push_back(link);
      parts.push_back(static_cast<int32_t>(part));
    }
    if (links.size() == 1) return links[0];
    const int32_t begin = word_;
    put({baton::kOperationSplit, merge, static_cast<int32_t>(links.size()), keys, step});
    for (const int32_t link : links) put({link});
    for (const int32_t part : parts) put({part});
    return ~begin;
  }

  int32_t reply(const std::string& text) {
    const int32_t begin = word_;
    put({baton::kOperationReply, scratch_, static_cast<int32_t>(text.size()),
         baton::kOperationEnd});
    memcpy(lane_.region.scratch + scratch_, text.data(), text.size());
    scratch_ += static_cast<int32_t>(text.size());
    return ~begin;
  }

  void put(std::initializer_list<int32_t> words) {
    for (const int32_t word : words) lane_.region.operation[word_++] = word;
  }

  std::string argument(const baton::Descriptor& descriptor, int32_t i) const {
    const int32_t* word = lane_.region.argument + descriptor.arguments + 3 * i;
    const uint8_t* from = lane_.region.arena + descriptor.offset + word[0];
    return {reinterpret_cast<const char*>(from), static_cast<size_t>(word[1])};
  }

  // What changes a session's state is carried out before the next is decided.
  void applySoFar() {
    lane_.head->decided = index_;
    lane_.applyPlans(index_);
  }

  int32_t client(const baton::Descriptor& descriptor) {
    const std::string what = argument(descriptor, 1);
    baton::SessionInfo& info = lane_.infos[descriptor.row];
    if (what == "ID") {
      const auto id = static_cast<long long>(lane_.sessions[descriptor.row].client_id);
      return reply(":" + std::to_string(id) + "\r\n");
    }
    if (what == "GETNAME") {
      const auto length = static_cast<size_t>(info.name_bytes);
      const std::string name(reinterpret_cast<const char*>(info.name), length);
      return reply("$" + std::to_string(length) + "\r\n" + name + "\r\n");
    }
    applySoFar();
    const std::string name = argument(descriptor, 2);
    lane_.journal.touch(info).name_bytes = static_cast<int32_t>(name.size());
    memcpy(info.name, name.data(), name.size());
    return reply("+OK\r\n");
  }

  int32_t hello() {
    const int32_t begin = word_;
    put({baton::kOperationSetMode, baton::kSessionModeResp3});
    reply("%1\r\n$5\r\nproto\r\n:3\r\n");
    const int32_t plan = ~begin;
    // The mode decides where what follows goes.
    lane_.descriptors[index_].plan = plan;
    lane_.head->decided = index_ + 1;
    lane_.applyPlans(index_ + 1);
    return plan;
  }

  // --- links

  void connect(int32_t number) {
    const Server& server = place_.servers[static_cast<size_t>(lane_.links[number].backend)];
    const int failed =
        lane_.connectLink(number, server.address.c_str(), server.port, server.port == 0);
    if (failed < 0) fprintf(stderr, "connect: %s\n", strerror(-failed));
  }

  void greet(int32_t number) {
    static constexpr char kHello3[] = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n";
    if (lane_.links[number].protocol == 2) return lane_.openGate(number);
    lane_.handshake(number, reinterpret_cast<const uint8_t*>(kHello3), sizeof kHello3 - 1);
    lane_.journal.touch(lane_.links[number]).replies_due = 1;
  }

  void lose(int32_t number) {
    static constexpr char kText[] = "-ERR the connection to the server was lost\r\n";
    lane_.loseLink(number, reinterpret_cast<const uint8_t*>(kText), sizeof kText - 1, true);
    lane_.journal.touch(lane_.links[number]).replies_due = 0;
    // At once, or in a later turn, as after a pause.
    if (lane_.links[number].generation % 2 == 0) return connect(number);
    resting_.push_back(number);
  }

  baton::Lane& lane_;
  const Place& place_;
  std::vector<int32_t> resting_;  // links that are down
  int32_t index_ = 0, word_ = 0, scratch_ = 0;
};

}  // namespace bare
