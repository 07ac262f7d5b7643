// What the C++ tests of this folder share: dice that a seed repeats, checks that name their place, and
// sections that are called by name.
//
//   program SECTION SEED        exit code 0 and "<n> checks", or 1 and the check that failed
#pragma once
#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace test {

inline std::atomic<uint64_t> checks = 0;

[[noreturn]] __attribute__((format(printf, 4, 5))) inline void fail(
    const char* file, int line, const char* condition, const char* format, ...) {
  fprintf(stderr, "%s:%d: %s: ", file, line, condition);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, "\n");
  _Exit(1);  // at once: the leaks of an interrupted test would only hide what failed
}

#define CHECK(condition, ...)                                              \
  do {                                                                     \
    test::checks.fetch_add(1, std::memory_order_relaxed);                  \
    if (!(condition)) test::fail(__FILE__, __LINE__, #condition, __VA_ARGS__); \
  } while (false)

// splitmix64.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}

  uint64_t bits() {
    uint64_t mixed = (state_ += 0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  // An integer from 0 to `below` - 1.
  int32_t below(int32_t below) {
    return static_cast<int32_t>(bits() % static_cast<uint64_t>(below));
  }
  // An integer from `low` to `high`, both included.
  int32_t between(int32_t low, int32_t high) { return low + below(high - low + 1); }
  bool oneIn(int32_t n) { return below(n) == 0; }

  std::string bytes(int32_t length) {
    std::string text(static_cast<size_t>(length), '\0');
    for (char& each : text) each = static_cast<char>(bits());
    return text;
  }
  // `length` characters out of `alphabet`.
  std::string text(int32_t length, const std::string& alphabet) {
    std::string text(static_cast<size_t>(length), '\0');
    for (char& each : text) each = alphabet[bits() % alphabet.size()];
    return text;
  }

 private:
  uint64_t state_;
};

// A heap block of exactly the text's size, so that a sanitizer sees every byte read beyond it.
class Exact {
 public:
  explicit Exact(const std::string& text)
      : bytes_(new uint8_t[text.size()]), size_(static_cast<int32_t>(text.size())) {
    memcpy(bytes_.get(), text.data(), text.size());
  }
  const uint8_t* data() const { return bytes_.get(); }
  int32_t size() const { return size_; }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  int32_t size_;
};

// Text for a message: what cannot be printed becomes \xHH, and not more than a few lines of it.
inline std::string shown(const std::string& text) {
  std::string out;
  for (const char each : text.substr(0, 400)) {
    const auto byte = static_cast<uint8_t>(each);
    char hex[5];
    snprintf(hex, sizeof hex, "\\x%02x", byte);
    if (byte >= ' ' && byte < 127) out += each; else out += hex;
  }
  return text.size() > 400 ? out + "…" : out;
}

// A text's bytes and length, as native/ takes them.
inline const uint8_t* dataOf(const std::string& text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}
inline int32_t sizeOf(const std::string& text) { return static_cast<int32_t>(text.size()); }

struct Section {
  const char* name;
  void (*run)(Dice& dice);
};

template <size_t Count>
int play(int argc, char** argv, const Section (&sections)[Count]) {
  if (argc != 3) return 2;
  for (const Section& section : sections) {
    if (strcmp(section.name, argv[1]) != 0) continue;
    Dice dice(strtoull(argv[2], nullptr, 10));
    section.run(dice);
    printf("%llu checks\n", static_cast<unsigned long long>(checks.load()));
    return 0;
  }
  fprintf(stderr, "no section %s\n", argv[1]);
  return 2;
}

}  // namespace test
