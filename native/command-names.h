// From a command's name to its number, case-insensitively, in a few nanoseconds. The names and what
// the scanner must know of each come from TypeScript's command table once, at start.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace baton {

class CommandNames {
 public:
  static constexpr int32_t kNameMax = 24;

  // What framing does beside finding the end, packed by commandShapes() in src/proxy/dispatch.ts:
  // bit 0: list the arguments; bits 8-15: first key; bits 16-23: step between keys, 0 = do not
  // hash.
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
    if (length <= 8) {
      words[0] = lowerCase(loadShort(name, length));
    } else {
      memcpy(words, name, static_cast<size_t>(length));
      for (uint64_t& word : words) word = lowerCase(word);
    }
    for (uint32_t at = slotOf(words, length);; at = (at + 1) & kMask) {
      const Entry& entry = table_[at];
      if (entry.length == 0) return -1;
      if (entry.length == length && entry.words[0] == words[0] && entry.words[1] == words[1] &&
          entry.words[2] == words[2])
        return entry.number;
    }
  }

  const Shape& shape(int32_t number) const { return shapes_[static_cast<size_t>(number)]; }
  int32_t count() const { return static_cast<int32_t>(shapes_.size()); }

 private:
  static constexpr uint32_t kMask = 4095;

  struct Entry {
    uint64_t words[3];
    int32_t length;
    int32_t number;
  };

  // One to eight bytes as a word, without reading beyond them and without a call: two loads that
  // overlap.
  static uint64_t loadShort(const uint8_t* bytes, int32_t length) {
    if (length >= 4) {
      uint32_t low, high;
      memcpy(&low, bytes, 4);
      memcpy(&high, bytes + length - 4, 4);
      return low | static_cast<uint64_t>(high) << 8 * (length - 4);
    }
    uint64_t word = bytes[0];
    if (length > 1) word |= static_cast<uint64_t>(bytes[1]) << 8;
    if (length > 2) word |= static_cast<uint64_t>(bytes[2]) << 16;
    return word;
  }

  // Eight bytes at once: letters A-Z become small, everything else stays.
  static uint64_t lowerCase(uint64_t word) {
    constexpr uint64_t kEach = 0x0101010101010101;
    const uint64_t low = word & (0x7f * kEach);
    const uint64_t from_a = low + (0x80 - 'A') * kEach;
    const uint64_t beyond_z = low + (0x7f - 'Z') * kEach;
    const uint64_t capital = (from_a ^ beyond_z) & ~word & (0x80 * kEach);
    return word | capital >> 2;
  }

  static uint32_t slotOf(const uint64_t* words, int32_t length) {
    const uint64_t mixed =
        (words[0] ^ (words[1] * 31) ^ (words[2] * 961) ^ static_cast<uint64_t>(length)) *
        0x9e3779b97f4a7c15;
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
    uint32_t at = slotOf(entry.words, entry.length);
    while (table_[at].length != 0) at = (at + 1) & kMask;
    table_[at] = entry;
    shapes_.push_back({(shapes[i] & 1) != 0, shapes[i] >> 8 & 0xff, shapes[i] >> 16 & 0xff});
  }
}

}  // namespace baton
