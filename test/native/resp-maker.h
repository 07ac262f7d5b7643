// Random messages, well-formed by construction: requests, and replies of every RESP2 and RESP3 type.
// Values may hold anything, line ends and zeros included; what they hold never counts.
#pragma once
#include <string>
#include <vector>

#include "check.h"

namespace test {

inline std::string header(char type, int64_t number) {
  return std::string(1, type) + std::to_string(number) + "\r\n";
}

inline std::string bulk(char type, const std::string& value) {
  return header(type, static_cast<int64_t>(value.size())) + value + "\r\n";
}

// Mostly short, sometimes around the lengths at which a count gets another digit.
inline int32_t anyLength(Dice& dice) {
  static constexpr int32_t kEdges[] = {0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 1001};
  return dice.oneIn(4) ? kEdges[dice.below(11)] : dice.below(24);
}

inline std::string lineReply(Dice& dice) {
  static const std::string kPrintable = "abcXYZ0123456789 -+.:$*%'\"\\\t";
  switch (dice.below(9)) {
    case 0: return "+" + dice.text(dice.below(30), kPrintable) + "\r\n";
    case 1: return "-ERR " + dice.text(dice.below(30), kPrintable) + "\r\n";
    case 2: return header(':', static_cast<int64_t>(dice.bits()));
    case 3: return "," + dice.text(1, "-123") + ".5e7\r\n";
    case 4: return dice.oneIn(2) ? ",-inf\r\n" : ",nan\r\n";
    case 5: return dice.oneIn(2) ? "#t\r\n" : "#f\r\n";
    case 6: return "(" + dice.text(dice.between(1, 60), "0123456789") + "\r\n";
    case 7: return "(-" + dice.text(dice.between(1, 60), "0123456789") + "\r\n";
    default: return "_\r\n";
  }
}

// One whole reply; aggregates nest at most `depth` deep.
inline std::string reply(Dice& dice, int32_t depth = 5) {
  const int32_t kind = dice.below(depth > 0 ? 10 : 5);
  if (kind <= 1) return lineReply(dice);
  if (kind == 2) return dice.oneIn(2) ? "$-1\r\n" : "*-1\r\n";
  if (kind <= 4) return bulk("$$=!"[dice.below(4)], dice.bytes(anyLength(dice)));
  std::string text;
  int32_t elements = dice.below(dice.oneIn(8) ? 12 : 4);
  if (kind <= 7) {
    text = header("*~>"[kind - 5], elements);
  } else {
    text = header(kind == 8 ? '%' : '|', elements);
    elements *= 2;
    if (kind == 9) ++elements;  // the element that the attributes belong to
  }
  for (int32_t i = 0; i < elements; ++i) text += reply(dice, depth - 1);
  return text;
}

struct MadeRequest {
  std::vector<std::string> arguments;
  std::string text;
};

inline std::string requestText(const std::vector<std::string>& arguments) {
  std::string text = header('*', static_cast<int64_t>(arguments.size()));
  for (const std::string& argument : arguments) text += bulk('$', argument);
  return text;
}

inline MadeRequest request(Dice& dice, int32_t most = 8) {
  MadeRequest made;
  const int32_t argc = dice.between(1, most);
  for (int32_t i = 0; i < argc; ++i) made.arguments.push_back(dice.bytes(anyLength(dice)));
  made.text = requestText(made.arguments);
  return made;
}

// Changes, inserts or drops a few bytes, preferably into something that has a meaning.
inline std::string mutated(Dice& dice, std::string text) {
  static const std::string kMeaning = "*$%~>|=!+-:,#(_0123456789\r\n";
  for (int32_t left = dice.between(1, 3); left > 0; --left) {
    const char byte = dice.oneIn(4) ? static_cast<char>(dice.bits()) : dice.text(1, kMeaning)[0];
    const size_t at = dice.bits() % (text.size() + 1);
    switch (dice.below(4)) {
      case 0: text.insert(at, 1, byte); break;
      case 1: if (at < text.size()) text.erase(at, 1); break;
      default: if (at < text.size()) text[at] = byte;
    }
  }
  return text;
}

// Garbage that gets somewhere: it begins like a message and is made of what messages are made of.
inline std::string garbage(Dice& dice) {
  static const std::string kMeaning = "*$%~>|=!+-:,#(_0123456789\r\n\r\n\r\n";
  const int32_t length = dice.below(60);
  std::string text = dice.oneIn(3) ? dice.bytes(length) : dice.text(length, kMeaning);
  if (!text.empty() && !dice.oneIn(4)) text[0] = "*$%~>|=!"[dice.below(8)];
  return text;
}

}  // namespace test
