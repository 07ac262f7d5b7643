// From a command's name to its number, case-insensitively, in a few nanoseconds. The names and what the
// scanner must know of each come from TypeScript's command table once, at start.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace baton {

class CommandNames {
 public:
  static constexpr int32_t kNameMax = 24;

  // What framing does beside finding the end, packed by src/protocol (see laneCommands in binding.ts):
  // bit 0: list the arguments; bits 8-15: first key; bits 16-23: step between keys, 0 = do not hash.
  struct Shape {
    bool list_arguments;
    int32_t first_key;
    int32_t key_step;
  };

  void load(const std::vector<std::string>& names, const int32_t* shapes);

  // The command's number, -1 when there is none of that name.
  int32_t find(const uint8_t* name, int32_t length) const {
    if (length < 1 || length > kNameMax) return -1;
    uint64_t words[3] = {0, 0, 0};
    memcpy(words, name, static_cast<size_t>(length));
    for (uint64_t& word : words) word |= kLowerCase;
    for (uint32_t at = slotOf(words, length);; at = (at + 1) & kMask) {
      const Entry& entry = table_[at];
      if (entry.length == 0) return -1;
      if (entry.length == length && entry.words[0] == words[0] && entry.words[1] == words[1] && entry.words[2] == words[2]) return entry.number;
    }
  }

  const Shape& shape(int32_t number) const { return shapes_[static_cast<size_t>(number)]; }
  int32_t count() const { return static_cast<int32_t>(shapes_.size()); }

 private:
  static constexpr uint64_t kLowerCase = 0x2020202020202020;
  static constexpr uint32_t kMask = 4095;

  struct Entry {
    uint64_t words[3];
    int32_t length;
    int32_t number;
  };

  static uint32_t slotOf(const uint64_t* words, int32_t length) {
    const uint64_t mixed = (words[0] ^ (words[1] * 31) ^ (words[2] * 961) ^ static_cast<uint64_t>(length)) * 0x9e3779b97f4a7c15;
    return static_cast<uint32_t>(mixed >> 52) & kMask;
  }

  std::vector<Entry> table_ = std::vector<Entry>(kMask + 1, Entry{});
  std::vector<Shape> shapes_;
};

inline void CommandNames::load(const std::vector<std::string>& names, const int32_t* shapes) {
  table_.assign(kMask + 1, Entry{});
  shapes_.clear();
  for (size_t i = 0; i < names.size(); ++i) {
    Entry entry = {};
    entry.length = static_cast<int32_t>(names[i].size());
    entry.number = static_cast<int32_t>(i);
    memcpy(entry.words, names[i].data(), names[i].size());
    for (uint64_t& word : entry.words) word |= kLowerCase;
    uint32_t at = slotOf(entry.words, entry.length);
    while (table_[at].length != 0) at = (at + 1) & kMask;
    table_[at] = entry;
    shapes_.push_back({(shapes[i] & 1) != 0, shapes[i] >> 8 & 0xff, shapes[i] >> 16 & 0xff});
  }
}

}  // namespace baton
