// A lane without JavaScript, whose owners are killed: by the thousand, for an owner is there within a
// millisecond or two. All of native/ that runs a lane is the product's; what decides is mind.h.
//
//   bare-lane key=value…     serves; from the first byte of standard input on `kills` owners die;
//                            ends when standard input does: the last owner leaves an idle lane
//
//   out:  killed KIND PLACE   each death        missed PLACE   nobody came there in time
//         serving, done                         fine           nothing is left at the end
//
// Whatever does not belong there ends the program with the reason on standard error.
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmath>
#include <ctime>
#include <unordered_map>

#include "../check.h"
#include "worker.h"

namespace bare {

constexpr int kPatienceMs = 20'000;
constexpr int kHitMs = 300;
constexpr int kRandomUs = 20'000;
constexpr int kStepsMax = 3000;
constexpr int kAfterMax = 30;
constexpr int kLookUs = 200;
constexpr int kChainMax = 3;

const char* const kFaultNames[] = {
#define BARE_NAME(name) #name,
    BATON_FAULT_NAMES(BARE_NAME)
#undef BARE_NAME
};
constexpr int kFaultCount = static_cast<int>(baton::kFaults);

double nowMs() { return baton::monotonicUs() / 1000; }

bool isOneOf(int name, std::initializer_list<int> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool ofHeirs(int name) {
  return name >= baton::kFaultClaimed && name <= baton::kFaultKeeperNamed;
}

bool ofConnects(int name) {
  return isOneOf(name, {baton::kFaultSocketMade, baton::kFaultConnectStarted,
                        baton::kFaultConnectNoted, baton::kFaultGreeted});
}

enum Kind { kRandom, kLabelled, kStepped, kChained, kKinds };
const char* const kKindNames[] = {"random", "labelled", "stepped", "chained"};

class Killer {
 public:
  Killer(const Options& options, const Place& place)
      : options_(options), place_(place), dice_(options.seed), page_(baton::faultPage()) {
    if (page_ == nullptr) give_up("BATON_FAULTS");
    for (int kind = 0; kind < kKinds; ++kind) {
      if (options.kinds.find(kKindNames[kind]) != std::string::npos) kinds_.push_back(kind);
    }
    start();
    awaitService();
  }

  void run() {
    say("serving");
    char go;
    if (read(STDIN_FILENO, &go, 1) != 1) give_up("standard input");
    for (next_ = dice_.below(kFaultCount); killed_ < options_.kills; killOnce()) {
    }
    page_->armed = 0;
    awaitService();
    say("done");
    pollfd in = {STDIN_FILENO, POLLIN, 0};
    while (poll(&in, 1, 1) == 0) look();
    kill(owner_, SIGTERM);
    is_ending_ = true;
    await([&] { return owner_ == 0; }, "the last owner to leave");
    await([&] { return waitpid(-1, nullptr, WNOHANG) < 0; }, "all keepers to end");
    say("fine");
  }

 private:
  static void say(const std::string& line) {
    printf("%s\n", line.c_str());
    fflush(stdout);
  }

  [[noreturn]] void fail(const std::string& what) {
    fprintf(stderr, "after %d kills, the last %s: %s\n", killed_, last_.c_str(), what.c_str());
    for (const int pid : {owner_, heir_}) {
      if (pid > 0) kill(pid, SIGKILL);
    }
    exit(1);
  }

  template <class Condition>
  void await(Condition condition, const char* what) {
    const double until = nowMs() + kPatienceMs;
    while (!condition()) {
      if (nowMs() > until) fail(std::string("waited for ") + what);
      usleep(kLookUs);
      look();
    }
  }

  // --- owners

  int start() {
    row_ = row_ + 1 == kWorkers ? 1 : row_ + 1;
    baton::Worker& row = place_.workers()[row_];
    row = {};
    row.state = baton::kWorkerStateStarting;
    const int pid = fork();
    if (pid < 0) give_up("fork");
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      row.pid = getpid();
      // On the heap: it is large, and never ends.
      (new Worker(place_, row_))->run();
    }
    row.pid = pid;
    rows_[pid] = row_;
    (owner_ == 0 ? owner_ : heir_) = pid;
    return pid;
  }

  // Notes who has died; whoever owned the lane is followed by the next.
  void look() {
    int status = 0;
    for (int pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto found = rows_.find(pid);
      if (found == rows_.end()) continue;  // a keeper
      place_.workers()[found->second].state = baton::kWorkerStateEnded;
      rows_.erase(found);
      const bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
      const bool is_over = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      if (pid == owner_) owner_ = heir_;
      heir_ = 0;
      if (!is_killed && !is_over) {
        fail("an owner " + (WIFSIGNALED(status) ? "died of signal " + std::to_string(WTERMSIG(status))
                                                : "ended with " +
                                                      std::to_string(WEXITSTATUS(status))));
      }
    }
    if (!is_ending_ && heir_ == 0 && (owner_ == 0 || isFrozen(owner_))) start();
  }

  // It has given the lane away, and waits until somebody has it for good.
  bool isFrozen(int pid) const {
    return place_.workers()[rows_.at(pid)].state == baton::kWorkerStateFrozen;
  }

  bool isServed() const {
    const int32_t owner = __atomic_load_n(&place_.row()->owner, __ATOMIC_ACQUIRE);
    const auto found = rows_.find(owner_);
    return heir_ == 0 && found != rows_.end() && owner == found->second * 4 + 1 &&
           place_.workers()[found->second].state == baton::kWorkerStateServing;
  }

  void awaitService() {
    await([&] { return isServed(); }, "the lane to be served");
  }

  // --- kills

  void killOnce() {
    const int kind = kinds_[static_cast<size_t>(dice_.below(static_cast<int32_t>(kinds_.size())))];
    if (kind == kRandom) {
      killSomebody();
    } else {
      plan(kind);
      fire(kind);
    }
    awaitService();
  }

  void killSomebody() {
    usleep(static_cast<unsigned>(dice_.below(kRandomUs)));
    look();
    note(kRandom, "random");
    kill(owner_, SIGKILL);
    const int victim = owner_;
    await([&] { return owner_ != victim; }, "a death");
  }

  void note(int kind, const std::string& place) {
    ++killed_;
    last_ = std::string(kKindNames[kind]) + " " + place;
    say("killed " + last_);
  }

  void plan(int kind) {
    std::vector<int> names = {next_};
    if (kind == kChained) {
      do names[0] = dice_.below(kFaultCount);
      while (ofHeirs(names[0]) || ofConnects(names[0]) || names[0] == baton::kFaultFrozen);
      const int32_t more = dice_.between(1, kChainMax - 1);
      for (int32_t i = 0; i < more; ++i)
        names.push_back(dice_.between(baton::kFaultClaimed, baton::kFaultKeeperNamed));
    } else {
      next_ = (next_ + 1) % kFaultCount;
    }
    page_->count = static_cast<int32_t>(names.size());
    for (size_t i = 0; i < names.size(); ++i) {
      const bool is_stepped = kind == kStepped || (kind == kChained && dice_.oneIn(2));
      const bool is_rare = ofHeirs(names[i]) || ofConnects(names[i]) ||
                           names[i] == baton::kFaultFrozen;
      const int32_t most = names[i] == baton::kFaultImageRestored ? 6 : is_rare ? 1 : kAfterMax;
      // As many short ways as long ones: the next store is near.
      const double way = std::exp(dice_.below(1 << 20) / double{1 << 20} * std::log(kStepsMax));
      page_->charges[i] = {names[i], dice_.between(1, most), is_stepped ? 2 : 1,
                           static_cast<int32_t>(way), 0};
    }
    charged_ = names;
  }

  void fire(int kind) {
    __atomic_store_n(&page_->armed, 1, __ATOMIC_RELEASE);
    if (ofHeirs(charged_[0])) killSomebody();
    if (ofConnects(charged_[0])) loseConnections();
    if (charged_[0] == baton::kFaultFrozen && heir_ == 0) start();
    const double until = nowMs() + kHitMs * static_cast<double>(charged_.size());
    const auto isOver = [&] { return page_->charges[charged_.size() - 1].fired != 0; };
    while (!isOver() && nowMs() < until) {
      usleep(kLookUs);
      look();
    }
    __atomic_store_n(&page_->armed, 0, __ATOMIC_RELEASE);
    bool is_reached = true;
    for (size_t i = 0; i < charged_.size() && is_reached; ++i) {
      const auto& charge = page_->charges[i];
      is_reached = charge.fired != 0;
      const std::string name = kFaultNames[charge.name];
      const std::string way = charge.action == 2 ? " +" + std::to_string(charge.steps) : "";
      if (is_reached)
        note(kind, name + way);
      else
        say("missed " + name);
      await([&] { return rows_.find(charge.fired) == rows_.end(); }, "who was hit to be dead");
    }
  }

  // The shaky server ends all connections that it has.
  void loseConnections() {
    static constexpr char kOrder[] = "CLIENT KILL TYPE normal\r\n";
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(options_.shaky_server));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char answer[64];
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 ||
        write(fd, kOrder, sizeof kOrder - 1) < 0 || read(fd, answer, sizeof answer) < 0)
      give_up("the shaky server");
    close(fd);
  }

  const Options options_;
  const Place& place_;
  test::Dice dice_;
  baton::FaultPage* const page_;
  std::vector<int> kinds_, charged_;
  std::unordered_map<int, int32_t> rows_;  // pid → row of the worker table
  int owner_ = 0, heir_ = 0;               // heir: told to take the lane from an owner that lives
  int32_t row_ = 0;
  int next_ = 0, killed_ = 0;
  bool is_ending_ = false;
  std::string last_ = "none";
};

std::vector<std::string> listOf(const std::string& text) {
  std::vector<std::string> list;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    list.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return list;
}

Options read(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    const std::string key = text.substr(0, text.find('=')), value = text.substr(key.size() + 1);
    if (key == "path") options.path = value;
    if (key == "kinds") options.kinds = value;
    if (key == "paths") options.server_paths = listOf(value);
    if (key == "servers") {
      for (const std::string& port : listOf(value)) options.servers.push_back(std::stoi(port));
    }
    if (key == "seed") options.seed = std::stoull(value);
    const std::pair<const char*, int32_t*> numbers[] = {
        {"port", &options.port},
        {"shaky_port", &options.shaky_port},
        {"shaky_server", &options.shaky_server},
        {"kills", &options.kills},
        {"sessions", &options.sessions},
        {"requests", &options.requests},
        {"descriptors", &options.descriptors},
        {"receipts", &options.receipts},
        {"arena", &options.arena},
        {"arguments", &options.arguments},
        {"pool_bytes", &options.pool_bytes},
        {"requests_max", &options.requests_max},
        {"output_limit", &options.output_limit},
        {"queue_limit", &options.queue_limit},
    };
    for (const auto& [name, number] : numbers) {
      if (key == name) *number = std::stoi(value);
    }
  }
  return options;
}

}  // namespace bare

int main(int argc, char** argv) {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  const bare::Options options = bare::read(argc, argv);
  const bare::Place place(options);
  bare::Killer(options, place).run();
  return 0;
}
