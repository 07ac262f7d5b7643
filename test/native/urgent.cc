// Sessions whose requests carry urgent bytes, which Node cannot send: bytes of the stream like any
// other, but TCP marks them and recv stops before them, in the middle of requests and numbers.
//
//   urgent PORT SESSIONS PREFIX SEED     until standard input ends; then all replies, "<n> checks"
//
// Each session counts with INCR and sets and gets values that only it knows; the first reply that
// differs ends the program with what came instead.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int kPatienceMs = 60'000;
constexpr int kPauseUs = 1000;
constexpr size_t kValueMax = 3000;

uint64_t state = 1;

uint32_t random32() {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>(state >> 33);
}

[[noreturn]] void fail(const char* what, const std::string& more = "") {
  fprintf(stderr, "%s %s (%s)\n", what, more.c_str(), strerror(errno));
  exit(1);
}

std::string bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

struct Session {
  int fd = -1;
  std::string name;
  std::string owed;
  long count = 0;

  // Pieces of which each may end in an urgent byte.
  void send(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const size_t piece = 1 + random32() % (bytes.size() - at);
      const int flags = random32() % 2 == 0 ? MSG_OOB : 0;
      const ssize_t sent = ::send(fd, bytes.data() + at, piece, flags | MSG_NOSIGNAL);
      if (sent <= 0) fail("send", name);
      at += static_cast<size_t>(sent);
    }
  }

  void ask() {
    std::string value(1 + random32() % kValueMax, '\0');
    for (char& byte : value) byte = static_cast<char>(random32());
    send("*2\r\n$4\r\nINCR\r\n" + bulk(name + ":count") + "*3\r\n$3\r\nSET\r\n" +
         bulk(name + ":value") + bulk(value) + "*2\r\n$3\r\nGET\r\n" + bulk(name + ":value"));
    owed = ":" + std::to_string(++count) + "\r\n+OK\r\n" + bulk(value);
  }

  // Returns whether a round is over.
  bool take() {
    char bytes[4096];
    const ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) fail("closed:", name);
    const auto count = static_cast<size_t>(got);
    if (count > owed.size() || memcmp(bytes, owed.data(), count) != 0)
      fail("not what is owed:", name + " got " + std::string(bytes, count) + " for " + owed);
    owed.erase(0, count);
    return owed.empty();
  }
};

int connectTo(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fail("connect");
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  state = strtoull(argv[4], nullptr, 10) * 2 + 1;
  std::vector<Session> sessions(static_cast<size_t>(atoi(argv[2])));
  std::vector<pollfd> polled;
  for (size_t i = 0; i < sessions.size(); ++i) {
    sessions[i].fd = connectTo(atoi(argv[1]));
    sessions[i].name = std::string(argv[3]) + "u" + std::to_string(i);
    sessions[i].ask();
    polled.push_back({sessions[i].fd, POLLIN, 0});
  }
  polled.push_back({STDIN_FILENO, POLLIN, 0});
  long checks = 0;
  size_t waiting = sessions.size();
  for (bool ends = false; !ends || waiting > 0;) {
    const int ready = poll(polled.data(), polled.size(), kPatienceMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) fail("no reply for a minute");
    ends = ends || polled.back().revents != 0;
    if (ends) polled.back().fd = -1;
    for (size_t i = 0; i < sessions.size(); ++i) {
      if (polled[i].revents == 0 || !sessions[i].take()) continue;
      checks += 3;
      if (ends) {
        --waiting;
        polled[i].fd = -1;
      } else {
        sessions[i].ask();
      }
    }
    usleep(kPauseUs);
  }
  printf("%ld checks\n", checks);
  return 0;
}
