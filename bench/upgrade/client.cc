// The clients of npm run bench:upgrade: many sessions in one thread, cheap enough not to be what is
// measured. Every session pipelines the same requests over and over, and checks every reply.
//
//   client PORT SESSIONS DEPTH PERIOD_US FIRST FILE
//
//   batch     DEPTH requests in one write: INCR c:ID, GET v:ID, INCR c:ID, …
//   PERIOD_US > 0   each session writes a batch every PERIOD_US, whether the last one is answered
//                   or not; the sessions take turns evenly within a period
//   PERIOD_US = 0   each session writes the next batch when the last one is answered
//   PERIOD_US < 0   each session writes one batch at the start and one at the end: idle between
//   FIRST     the id of the first session; ids name the keys
//   FILE      gets a sample for each batch: f64 CLOCK_MONOTONIC µs at its write, u32 µs until its
//             last reply was there, u32 session; "-" for none
//
// Prints "ready" when all sessions are open and their keys set, runs until TERM, waits for what is
// under way, prints one line of JSON and ends. Exit code 1: something went wrong before that. A
// session that is closed or gets a wrong reply is counted and left alone.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

namespace {

constexpr int kValueBytes = 64;
constexpr int kOpening = 100;     // connects under way at a time
constexpr int64_t kGridUs = 100;  // batches that are due within this are written together
constexpr int64_t kStartPatienceUs = 20'000'000;
constexpr int64_t kEndPatienceUs = 3'000'000;  // for the last replies
constexpr int kEvents = 512;

struct Options {
  int port, sessions, depth;
  int64_t period_us;
  int first;
  const char* file;
};

struct Sample {
  double sent_us;
  uint32_t latency_us;
  uint32_t session;
};
static_assert(sizeof(Sample) == 16);

struct Session {
  int fd = -1;
  bool is_broken = false;
  bool wants_write = false;
  std::string batch;  // what is written each time
  std::string value;  // the reply to GET
  std::string unsent;
  std::string expected;         // the reply that is arriving
  size_t matched = 0;           // bytes of it that have arrived
  int64_t position = 0;         // of that reply since the start; -2, -1: to SET and DEL
  std::deque<int64_t> sent_us;  // of the batches under way
};

struct Totals {
  uint64_t batches = 0, replies = 0, closed = 0, wrong = 0, unanswered = 0;
  int64_t late_max_us = 0;  // this program's own: a batch was due and it did not write
  std::string first_error;
};

Options options;
Totals totals;
std::vector<Session> sessions;
std::vector<Sample> samples;
int epoll_fd;
bool is_closed_loop = false;
volatile sig_atomic_t is_told_to_end = 0;  // TERM is let in while we wait only

int64_t nowUs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
  exit(1);
}

std::string command(std::initializer_list<std::string> words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return text;
}

// --- replies ---

std::string replyAt(const Session& s, int64_t position) {
  if (position == -2) return "+OK\r\n";
  if (position == -1) return std::string(1, ':');  // how many keys DEL found is not known
  const int64_t in_batch = position % options.depth;
  if (in_batch % 2 == 1) return s.value;
  const int64_t increments = (options.depth + 1) / 2;
  const int64_t count = position / options.depth * increments + in_batch / 2 + 1;
  return ":" + std::to_string(count) + "\r\n";
}

void fail(Session& s, uint64_t& counter, const std::string& why) {
  if (s.is_broken) return;
  s.is_broken = true;
  ++counter;
  totals.unanswered += s.sent_us.size();
  s.sent_us.clear();
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s.fd, nullptr);
  close(s.fd);
  if (totals.first_error.empty()) {
    totals.first_error = "session " + std::to_string(&s - sessions.data()) + ": " + why;
  }
}

std::string printable(const char* bytes, size_t n) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(n, 60); ++i) {
    const char c = bytes[i];
    text += c < ' ' || c > '~' || c == '"' || c == '\\' ? '.' : c;
  }
  return text;
}

void write(Session& s, int64_t now);

void finishBatch(Session& s, int64_t now) {
  const int64_t sent = s.sent_us.front();
  s.sent_us.pop_front();
  ++totals.batches;
  const auto id = static_cast<uint32_t>(&s - sessions.data());
  samples.push_back({static_cast<double>(sent), static_cast<uint32_t>(now - sent), id});
  if (is_closed_loop) write(s, now);
}

// A whole reply is there. DEL's is a digit more than what was expected: ":0" or ":1".
void finishReply(Session& s, int64_t now) {
  s.matched = 0;
  ++s.position;
  if (s.position > 0) {
    ++totals.replies;
    if (s.position % options.depth == 0) finishBatch(s, now);
  }
  s.expected = replyAt(s, s.position);
}

void check(Session& s, const char* bytes, size_t n, int64_t now) {
  for (size_t i = 0; i < n;) {
    if (s.position == -1 && s.matched == 1) {
      s.expected = std::string(":") + (bytes[i] == '1' ? '1' : '0') + "\r\n";
    }
    const size_t most = std::min(n - i, s.expected.size() - s.matched);
    if (memcmp(bytes + i, s.expected.data() + s.matched, most) != 0) {
      fail(s, totals.wrong,
           "expected " + printable(s.expected.data(), s.expected.size()) + " got " +
               printable(bytes + i, n - i));
      return;
    }
    i += most;
    s.matched += most;
    const bool is_digit_missing = s.position == -1 && s.matched == 1;
    if (s.matched == s.expected.size() && !is_digit_missing) finishReply(s, now);
    if (s.is_broken) return;
  }
}

void receive(Session& s) {
  static char bytes[1 << 16];
  for (;;) {
    const ssize_t n = recv(s.fd, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return fail(s, totals.closed, strerror(errno));
    if (n == 0) return fail(s, totals.closed, "closed by the other side");
    check(s, bytes, static_cast<size_t>(n), nowUs());
    if (s.is_broken || n < static_cast<ssize_t>(sizeof bytes)) return;
  }
}

// --- requests ---

void interest(Session& s, bool wants_write) {
  if (s.wants_write == wants_write) return;
  s.wants_write = wants_write;
  const uint32_t events = EPOLLIN | (wants_write ? uint32_t{EPOLLOUT} : 0);
  epoll_event event{events, {.u64 = static_cast<uint64_t>(&s - sessions.data())}};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s.fd, &event);
}

void flush(Session& s) {
  const ssize_t n = send(s.fd, s.unsent.data(), s.unsent.size(), MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) return fail(s, totals.closed, strerror(errno));
  if (n > 0) s.unsent.erase(0, static_cast<size_t>(n));
  interest(s, !s.unsent.empty());
}

void sendText(Session& s, const std::string& text) {
  const ssize_t n = s.unsent.empty() ? send(s.fd, text.data(), text.size(), MSG_NOSIGNAL) : 0;
  if (n == static_cast<ssize_t>(text.size())) return;
  if (n < 0 && errno != EAGAIN) return fail(s, totals.closed, strerror(errno));
  s.unsent.append(text, static_cast<size_t>(std::max<ssize_t>(n, 0)));
  interest(s, true);
}

void write(Session& s, int64_t now) {
  if (s.is_broken) return;
  s.sent_us.push_back(now);
  sendText(s, s.batch);
}

// --- start ---

int openSocket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(options.port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int result = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (result < 0 && errno != EINPROGRESS) die("connect");
  return fd;
}

void begin(Session& s, int index) {
  const std::string id = std::to_string(options.first + index);
  const std::string counter = "c:" + id;
  std::string value = "value of session " + id + " ";
  value.resize(kValueBytes, '.');
  s.value = "$" + std::to_string(kValueBytes) + "\r\n" + value + "\r\n";
  for (int i = 0; i < options.depth; ++i) {
    s.batch += i % 2 == 0 ? command({"INCR", counter}) : command({"GET", "v:" + id});
  }
  s.position = -2;
  s.expected = replyAt(s, s.position);
  s.fd = openSocket();
  epoll_event event{EPOLLIN, {.u64 = static_cast<uint64_t>(index)}};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s.fd, &event) < 0) die("epoll_ctl");
  s.unsent = command({"SET", "v:" + id, value}) + command({"DEL", counter});
  interest(s, true);
}

// Waits up to `wait_us` and handles what comes. False: it is time to end.
bool turn(int64_t wait_us) {
  epoll_event events[kEvents];
  const timespec wait{wait_us / 1'000'000, wait_us % 1'000'000 * 1000};
  sigset_t none;
  sigemptyset(&none);
  const int n = epoll_pwait2(epoll_fd, events, kEvents, &wait, &none);
  if (n < 0 && errno != EINTR) die("epoll_pwait2");
  for (int i = 0; i < n; ++i) {
    Session& s = sessions[events[i].data.u64];
    if (!s.is_broken && (events[i].events & EPOLLOUT)) flush(s);
    if (!s.is_broken && (events[i].events & ~uint32_t{EPOLLOUT})) receive(s);
  }
  return is_told_to_end == 0;
}

void failAtStart(const char* why) {
  fprintf(stderr, "client: %s: %s\n", why, totals.first_error.c_str());
  exit(1);
}

void openAll() {
  const int64_t deadline = nowUs() + kStartPatienceUs;
  size_t opened = 0, ready = 0;
  while (ready < sessions.size()) {
    while (opened < sessions.size() && opened < ready + kOpening) {
      begin(sessions[opened], static_cast<int>(opened));
      ++opened;
    }
    if (!turn(10'000)) failAtStart("told to end");
    while (ready < opened && sessions[ready].position >= 0) ++ready;
    if (!totals.first_error.empty()) failAtStart("could not start");
    if (nowUs() > deadline) failAtStart("not all sessions could be opened in time");
  }
}

// --- run ---

void runPaced() {
  const auto count = static_cast<int64_t>(sessions.size());
  const int64_t start = nowUs() + 1000;
  for (int64_t turns = 0, now = nowUs();; now = nowUs()) {
    for (; start + turns * options.period_us / count <= now; ++turns) {
      totals.late_max_us =
          std::max(totals.late_max_us, now - (start + turns * options.period_us / count));
      write(sessions[static_cast<size_t>(turns % count)], nowUs());
    }
    const int64_t due = start + turns * options.period_us / count;
    const int64_t wake = (due + kGridUs - 1) / kGridUs * kGridUs;
    if (!turn(std::max<int64_t>(wake - nowUs(), 0))) return;
  }
}

void runClosed() {
  is_closed_loop = true;
  for (Session& s : sessions) write(s, nowUs());
  while (turn(1'000'000)) {
  }
  is_closed_loop = false;
}

void runIdle() {
  for (Session& s : sessions) write(s, nowUs());
  while (turn(1'000'000)) {
  }
  for (Session& s : sessions) write(s, nowUs());
}

void finish() {
  const int64_t deadline = nowUs() + kEndPatienceUs;
  const auto isDone = [](const Session& s) { return s.sent_us.empty(); };
  while (!std::all_of(sessions.begin(), sessions.end(), isDone) && nowUs() < deadline) turn(10'000);
  for (Session& s : sessions) {
    if (!s.sent_us.empty()) fail(s, totals.wrong, "no reply");
  }
}

void report() {
  if (strcmp(options.file, "-") != 0) {
    FILE* file = fopen(options.file, "wb");
    if (file == nullptr) die(options.file);
    if (fwrite(samples.data(), sizeof(Sample), samples.size(), file) != samples.size())
      die("write");
    if (fclose(file) != 0) die("close");
  }
  printf(
      "{\"batches\":%llu,\"replies\":%llu,\"closed\":%llu,\"wrong\":%llu,\"unanswered\":%llu,"
      "\"lateMaxUs\":%lld,\"firstError\":\"%s\"}\n",
      static_cast<unsigned long long>(totals.batches),
      static_cast<unsigned long long>(totals.replies),
      static_cast<unsigned long long>(totals.closed), static_cast<unsigned long long>(totals.wrong),
      static_cast<unsigned long long>(totals.unanswered),
      static_cast<long long>(totals.late_max_us), totals.first_error.c_str());
  fflush(stdout);
}

// TERM ends us, and so does the death of who started us.
void listenToTerm() {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, nullptr);
  struct sigaction action {};
  action.sa_handler = [](int) { is_told_to_end = 1; };
  sigaction(SIGTERM, &action, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
}

void raiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    fprintf(stderr, "usage: client PORT SESSIONS DEPTH PERIOD_US FIRST FILE\n");
    return 1;
  }
  options = {atoi(argv[1]), atoi(argv[2]), atoi(argv[3]), atoll(argv[4]), atoi(argv[5]), argv[6]};
  listenToTerm();
  raiseDescriptorLimit();
  prctl(PR_SET_TIMERSLACK, 1);  // ns: else the kernel lets us sleep 50 µs longer
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  sessions.resize(static_cast<size_t>(options.sessions));
  openAll();
  if (options.period_us >= 0) samples.reserve(size_t{1} << 25);  // address space until it is used
  printf("ready\n");
  fflush(stdout);
  if (options.period_us > 0)
    runPaced();
  else if (options.period_us == 0)
    runClosed();
  else
    runIdle();
  finish();
  report();
  return 0;
}
