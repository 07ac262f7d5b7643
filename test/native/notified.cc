/**
 * A service manager's ear: binds a datagram socket, says that it does, prints what comes, a line
 * for each datagram with its newlines as "|". Ends after as many datagrams as it is told.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const char* path = arguments[1];
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  if (path[0] == '@') address.sun_path[0] = 0;
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + strlen(path));
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) return 1;
  printf("listening\n");
  fflush(stdout);
  for (int rest = atoi(arguments[2]); rest > 0; rest--) {
    char text[4096];
    ssize_t bytes = recv(fd, text, sizeof text, 0);
    if (bytes < 0) return 1;
    for (ssize_t i = 0; i < bytes; i++) putchar(text[i] == '\n' ? '|' : text[i]);
    printf("\n");
    fflush(stdout);
  }
  return 0;
}
