// Where ps reads a process' title: the bytes in which the kernel placed argv, and behind them
// environ.
//
//   start                     arguments end             end
//   | node\0bin/baton\0-c\0… |  PATH=…\0HOME=…\0…      |
//
// A title longer than argv may run on into environ (the kernel follows it there when the last byte
// of argv is not zero), once the environment has been moved away. Node's own process.title stops
// at the end of argv.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstring>

namespace baton {

struct TitleArea {
  char* start = nullptr;  // null: unknown
  size_t argumentBytes = 0;
  size_t bytes = 0;
};

// Fields 48 to 51 of /proc/self/stat. The second may hold blanks, so counting begins at ')'.
inline TitleArea findTitleArea() {
  char text[2048];
  FILE* stat = fopen("/proc/self/stat", "re");
  if (stat == nullptr) return {};
  size_t got = fread(text, 1, sizeof text - 1, stat);
  fclose(stat);
  text[got] = 0;
  const char* at = strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 48; field++) at = strchr(at + 1, ' ');
  unsigned long argStart, argEnd, envStart, envEnd;
  if (at == nullptr) return {};
  if (sscanf(at, "%lu %lu %lu %lu", &argStart, &argEnd, &envStart, &envEnd) != 4) return {};
  if (argStart == 0 || argEnd <= argStart) return {};
  bool isContiguous = envStart == argEnd && envEnd > envStart;
  TitleArea area;
  area.start = reinterpret_cast<char*>(argStart);
  area.argumentBytes = argEnd - argStart;
  area.bytes = (isContiguous ? envEnd : argEnd) - argStart;
  return area;
}

}  // namespace baton
