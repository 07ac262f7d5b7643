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

#include <unordered_map>

#include "planner.h"
#include "worker.h"

namespace bare {

constexpr int kPatienceMs = 20'000;
constexpr int kHitMs = 300;
constexpr int kRandomUs = 20'000;
constexpr int kLookUs = 200;
constexpr int kAwayOneIn = 4;  // deaths at which a server ends its connections, too

double nowMs() { return baton::monotonicUs() / 1000; }

class Killer {
 public:
  Killer(const Options& options, const Place& place)
      : options_(options),
        place_(place),
        dice_(options.seed),
        planner_(options, dice_),
        page_(baton::faultPage()) {
    if (page_ == nullptr) give_up("BATON_FAULTS");
    start();
    awaitService();
  }

  void run() {
    say("serving");
    char go;
    if (read(STDIN_FILENO, &go, 1) != 1) give_up("standard input");
    while (killed_ < options_.kills) killOnce();
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
      if (client_ >= 0) close(client_);
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
    const Plan plan = planner_.next();
    if (plan.kind == kRandom)
      killSomebody();
    else
      fire(plan);
    awaitService();
    awaitTurn();
  }

  // Deaths with no turn between them that had anything in it belong to one plan: more of them in a row
  // are a crash loop, which is treated as one.
  void awaitTurn() {
    const int32_t sealed = place_.head()->sealed;
    await([&] { return place_.head()->sealed != sealed; }, "a turn to be sealed");
  }

  void killSomebody() {
    usleep(static_cast<unsigned>(dice_.below(kRandomUs)));
    look();
    note(kRandom, "random");
    const int victim = owner_;
    const bool is_away = dice_.oneIn(kAwayOneIn), is_first = dice_.oneIn(2);
    if (is_away && is_first) loseConnections();
    kill(victim, SIGKILL);
    if (is_away && !is_first) loseConnections();
    await([&] { return owner_ != victim; }, "a death");
  }

  void note(Kind kind, const std::string& place) {
    ++killed_;
    last_ = std::string(kKindNames[kind]) + " " + place;
    say("killed " + last_);
  }

  void fire(const Plan& plan) {
    const size_t count = plan.charges.size();
    const int first = plan.charges[0].name;
    std::copy(plan.charges.begin(), plan.charges.end(), page_->charges);
    page_->count = static_cast<int32_t>(count);
    __atomic_store_n(&page_->armed, 1, __ATOMIC_RELEASE);
    if (ofAccepts(first) && dice_.oneIn(2)) come();
    if (ofHeirs(first)) killSomebody();
    if (ofConnects(first) || dice_.oneIn(kAwayOneIn)) loseConnections();
    if (ofGiving(first) && heir_ == 0) start();
    awaitHits(count);
    __atomic_store_n(&page_->armed, 0, __ATOMIC_RELEASE);
    for (size_t i = 0; i < count; ++i) {
      const baton::FaultCharge& charge = page_->charges[i];
      if (charge.fired == 0) return say(std::string("missed ") + kFaultNames[charge.name]);
      const bool is_stepped = charge.action == baton::kFaultTrap;
      note(plan.kind, kFaultNames[charge.name] +
                          (is_stepped ? " +" + std::to_string(charge.steps) : std::string()));
      await([&] { return rows_.find(charge.fired) == rows_.end(); }, "who was hit to be dead");
    }
  }

  // Who has come leaves at the first death or after all, without a word.
  void awaitHits(size_t count) {
    const bool leaves_first = dice_.oneIn(2);
    const double until = nowMs() + kHitMs * static_cast<double>(count);
    while (page_->charges[count - 1].fired == 0 && nowMs() < until) {
      usleep(kLookUs);
      if (leaves_first && page_->charges[0].fired != 0) leave();
      look();
    }
    leave();
  }

  void come() {
    client_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in to = localPort(options_.port);
    if (connect(client_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) give_up("come");
  }

  void leave() {
    if (client_ < 0) return;
    const linger at_once = {1, 0};
    setsockopt(client_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client_);
    client_ = -1;
  }

  // The shaky server ends all connections that it has.
  void loseConnections() {
    static constexpr char kOrder[] = "CLIENT KILL TYPE normal\r\n";
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in to = localPort(options_.shaky_server);
    char answer[64];
    if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
        write(fd, kOrder, sizeof kOrder - 1) < 0 || read(fd, answer, sizeof answer) < 0)
      give_up("the shaky server");
    close(fd);
  }

  const Options options_;
  const Place& place_;
  test::Dice dice_;
  Planner planner_;
  baton::FaultPage* const page_;
  std::unordered_map<int, int32_t> rows_;  // pid → row of the worker table
  int owner_ = 0, heir_ = 0;               // heir: told to take the lane from an owner that lives
  int client_ = -1;                        // who comes in while an accept is torn
  int32_t row_ = 0;
  int killed_ = 0;
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
    if (key == "places") options.places = listOf(value);
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
