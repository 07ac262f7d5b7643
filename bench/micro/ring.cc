// Messages of 32 bytes from one process to another, by a lane's ring and by what the system has.
//
//   program PARTY flood BATCH MESSAGES   one process sends as fast as it can, the other only takes
//   program PARTY busy BATCH MESSAGES    the other has some work with each: it is the slower one
//   program PARTY idle 1 MESSAGES        one every 200 µs, to a process that sleeps
//   program PARTY flood BATCH MESSAGES BYTES   each with a payload, which the other copies
//
// Parties: ring, chain (a ring whose payloads are in units of their own, handed over), pipe, socket (a pair of Unix stream sockets), mqueue (a POSIX message queue, one
// message a call, for it knows no batches). A ring's time is that of whole turns: images, commit,
// publish, doorbell. Prints one line of JSON; times are wall-clock nanoseconds.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>

#include "ring-stage.h"

namespace {

using baton::Message;

constexpr int32_t kMostLatencies = 20'000;
constexpr int64_t kGapNs = 200'000;
constexpr int32_t kReadBytes = 64 * 1024;
constexpr int32_t kWork = 200;  // steps of a loop: some 50 ns

int64_t nowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Result {
  int64_t began, ended;
  uint64_t wakes;  // of a ring: times that either side woke the other
  int32_t latencies;
  int64_t latency[kMostLatencies];
};

Result* result = nullptr;
bool is_busy = false;

Message stamped(bool is_stamped) {
  Message message = baton::messageOf(1, 2, 3);
  const int64_t now = is_stamped ? nowNs() : 0;
  memcpy(&message.row, &now, sizeof now);  // in row and value
  return message;
}

// What the receiver does with a message: notes how long ago it was sent, works on it.
void note(const Message& message) {
  if (is_busy) {
    for (int32_t i = 0; i < kWork; ++i) asm volatile("" : : "r"(&message) : "memory");
    return;
  }
  int64_t sent;
  memcpy(&sent, &message.row, sizeof sent);
  if (sent != 0 && result->latencies < kMostLatencies)
    result->latency[result->latencies++] = nowNs() - sent;
}

// One party: a sender and a receiver, each called in a process of its own.
class Party {
 public:
  virtual ~Party() = default;
  virtual void beginSending() {}
  virtual void beginReceiving() {}
  virtual void send(const Message* messages, int32_t count) = 0;
  // Waits for some; returns how many came.
  virtual int64_t receive() = 0;
  virtual void end() {}  // on either side
};

class RingParty : public Party {
 public:
  RingParty(int32_t bytes, bool is_chain)
      : stage_(0, 256 << 20, 1024), payload_(static_cast<size_t>(bytes)), is_chain_(is_chain) {}
  void beginSending() override { begin(0); }
  void beginReceiving() override { begin(1); }

  void send(const Message* messages, int32_t count) override {
    for (int32_t i = 0; i < count; ++i) sendOne(messages[i]);
    owner_->seal();
    // A lane that feeds a full ring is held back: so is this one.
    while (owner_->post.ringOf(1).overflow_bytes > 0 || owner_->post.isCongested(1)) turn();
  }

  int64_t receive() override {
    int32_t count = 0;
    while (count == 0) {
      count = owner_->post.receive(4 * baton::Post::kBudget,
                                   [this](int32_t from, const Message& message) {
                                     if (message.bytes > 0) copy(from, message);
                                     note(message);
                                     return true;
                                   });
      owner_->seal();
      if (count == 0) owner_->sleep(-1);
    }
    return count;
  }

  void end() override {
    __atomic_fetch_add(&result->wakes, owner_->post.bellsRung(), __ATOMIC_RELAXED);
  }

 private:
  void begin(int32_t lane) {
    owner_ = std::make_unique<test::RingOwner>(stage_, lane);
    owner_->begin();
  }
  void sendOne(const Message& message) {
    const auto bytes = static_cast<int32_t>(payload_.size());
    if (!is_chain_) {
      CHECK(owner_->post.send(1, message, payload_.data(), bytes), "no memory");
      return;
    }
    baton::Chain chain = {};
    CHECK(owner_->chains.append(chain, payload_.data(), bytes), "no memory");
    CHECK(owner_->post.sendChain(1, message, chain), "no memory");
  }
  void copy(int32_t from, const Message& message) {
    uint8_t* to = payload_.data();
    owner_->post.read(from, message, [&](const uint8_t* bytes, int32_t count) {
      memcpy(to, bytes, static_cast<size_t>(count));
      to += count;
    });
  }
  void turn() {
    owner_->sleep(-1);
    owner_->post.receive(1, [](int32_t, const Message&) { return true; });
    owner_->seal();
  }

  test::RingStage stage_;
  std::unique_ptr<test::RingOwner> owner_;
  std::vector<uint8_t> payload_;
  bool is_chain_;
};

// A batch is one write; what there is comes with one read.
class StreamParty : public Party {
 public:
  explicit StreamParty(bool is_socket) {
    const int failed = is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends_) : pipe(ends_);
    CHECK(failed == 0, "no pair");
  }
  void send(const Message* messages, int32_t count) override {
    const auto* from = reinterpret_cast<const uint8_t*>(messages);
    for (size_t left = sizeof(Message) * static_cast<size_t>(count); left > 0;) {
      const ssize_t sent = write(ends_[1], from, left);
      CHECK(sent > 0, "write");
      from += sent;
      left -= static_cast<size_t>(sent);
    }
  }
  int64_t receive() override {
    const ssize_t got = read(ends_[0], bytes_ + kept_, kReadBytes - kept_);
    CHECK(got > 0, "read");
    kept_ += static_cast<size_t>(got);
    const size_t whole = kept_ / sizeof(Message);
    const auto* messages = reinterpret_cast<const Message*>(bytes_);
    for (size_t i = 0; i < whole; ++i) note(messages[i]);
    kept_ -= whole * sizeof(Message);
    memmove(bytes_, bytes_ + whole * sizeof(Message), kept_);
    return static_cast<int64_t>(whole);
  }

 private:
  int ends_[2] = {};
  size_t kept_ = 0;
  alignas(64) uint8_t bytes_[kReadBytes];
};

class QueueParty : public Party {
 public:
  QueueParty() {
    char name[64];
    snprintf(name, sizeof name, "/baton-bench-%d", getpid());
    mq_attr attributes = {};
    attributes.mq_maxmsg = 10;  // what the system allows everybody
    attributes.mq_msgsize = sizeof(Message);
    queue_ = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    CHECK(queue_ >= 0, "mq_open");
    mq_unlink(name);
  }
  void send(const Message* messages, int32_t count) override {
    for (int32_t i = 0; i < count; ++i) {
      const auto* bytes = reinterpret_cast<const char*>(messages + i);
      CHECK(mq_send(queue_, bytes, sizeof(Message), 0) == 0, "mq_send");
    }
  }
  int64_t receive() override {
    Message message;
    auto* bytes = reinterpret_cast<char*>(&message);
    CHECK(mq_receive(queue_, bytes, sizeof message, nullptr) == sizeof message, "mq_receive");
    note(message);
    return 1;
  }

 private:
  mqd_t queue_;
};

std::unique_ptr<Party> partyOf(const char* name, int32_t bytes) {
  if (strcmp(name, "ring") == 0) return std::make_unique<RingParty>(bytes, false);
  if (strcmp(name, "chain") == 0) return std::make_unique<RingParty>(bytes, true);
  if (strcmp(name, "pipe") == 0) return std::make_unique<StreamParty>(false);
  if (strcmp(name, "socket") == 0) return std::make_unique<StreamParty>(true);
  if (strcmp(name, "mqueue") == 0) return std::make_unique<QueueParty>();
  return nullptr;
}

void sendAll(Party& party, bool is_idle, int32_t batch, int64_t messages) {
  party.beginSending();
  std::vector<Message> some(static_cast<size_t>(batch), stamped(false));
  usleep(20'000);  // the other one is up, and sleeps
  result->began = nowNs();
  int64_t next = result->began;
  for (int64_t left = messages; left > 0;) {
    const auto count = static_cast<int32_t>(std::min<int64_t>(batch, left));
    if (is_idle) {
      next += kGapNs;
      const timespec until = {next / 1'000'000'000, next % 1'000'000'000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
      some[0] = stamped(true);
    }
    party.send(some.data(), count);
    left -= count;
  }
  party.end();
}

[[noreturn]] void receiveAll(Party& party, int64_t messages) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  party.beginReceiving();
  while (messages > 0) messages -= party.receive();
  result->ended = nowNs();
  party.end();
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) return 2;
  const bool is_idle = strcmp(argv[2], "idle") == 0;
  is_busy = strcmp(argv[2], "busy") == 0;
  const int32_t batch = atoi(argv[3]);
  const int64_t messages = atoll(argv[4]);
  const std::unique_ptr<Party> party = partyOf(argv[1], argc == 6 ? atoi(argv[5]) : 0);
  if (party == nullptr || batch < 1) return 2;
  result = static_cast<Result*>(mmap(nullptr, sizeof(Result), PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t pid = fork();
  if (pid == 0) receiveAll(*party, messages);
  sendAll(*party, is_idle, batch, messages);
  int status = 0;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0, "the receiver ended with %x", status);
  int64_t* const latency = result->latency;
  const int32_t count = result->latencies;
  std::sort(latency, latency + count);
  const auto at = [&](double share) {
    return count == 0 ? 0L : static_cast<long>(latency[static_cast<int32_t>(share * (count - 1))]);
  };
  printf("{\"ns\": %.2f, \"wakes\": %.6f, \"p50\": %ld, \"p99\": %ld}\n",
         static_cast<double>(result->ended - result->began) / static_cast<double>(messages),
         static_cast<double>(result->wakes) / static_cast<double>(messages), at(0.5), at(0.99));
  return 0;
}
