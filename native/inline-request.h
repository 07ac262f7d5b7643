// Inline commands ("SET key value" and a newline), as typed into telnet: split like Redis' own
// sdssplitargs (quotes, \x escapes) and rewritten as a multibulk.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace baton {

constexpr int32_t kInlineUnbalanced = -1;
constexpr int32_t kInlineNoRoom = -2;

// Splits a line into arguments. False when quotes do not balance or are followed by no space.
inline bool splitInline(const uint8_t* line, int32_t count, std::vector<std::string>* arguments);

// Writes the multibulk form to `to`. Returns its length, 0 for an empty line, or a negative code.
inline int32_t rewriteInline(const uint8_t* line, int32_t count, uint8_t* to, int32_t room) {
  std::vector<std::string> arguments;
  if (!splitInline(line, count, &arguments)) return kInlineUnbalanced;
  if (arguments.empty()) return 0;
  std::string text;
  text.append("*").append(std::to_string(arguments.size())).append("\r\n");
  for (const std::string& argument : arguments) {
    text.append("$")
        .append(std::to_string(argument.size()))
        .append("\r\n")
        .append(argument)
        .append("\r\n");
  }
  if (static_cast<int64_t>(text.size()) + 64 > room) return kInlineNoRoom;
  memcpy(to, text.data(), text.size());
  return static_cast<int32_t>(text.size());
}

namespace inline_detail {

// What may stand between arguments, and the narrower set that ends an unquoted one.
inline bool isSpace(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == 0; }
inline bool endsWord(uint8_t c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == 0;
}

inline int hexDigit(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
  return -1;
}

inline char unescape(uint8_t c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return static_cast<char>(c);
  }
}

}  // namespace inline_detail

inline bool splitInline(const uint8_t* line, int32_t count, std::vector<std::string>* arguments) {
  using namespace inline_detail;
  const uint8_t* p = line;
  const uint8_t* end = line + count;
  for (;;) {
    while (p < end && isSpace(*p)) ++p;
    if (p >= end) return true;
    std::string word;
    uint8_t quote = 0;
    for (;; ++p) {
      if (p >= end) {
        if (quote != 0) return false;
        break;
      }
      if (quote == 0) {
        if (endsWord(*p)) break;
        if (*p == '"' || *p == '\'')
          quote = *p;
        else
          word += static_cast<char>(*p);
        continue;
      }
      if (*p == quote) {
        if (p + 1 < end && !isSpace(p[1])) return false;  // a closing quote must end its argument
        ++p;
        break;
      }
      if (quote == '"' && *p == '\\' && end - p > 3 && p[1] == 'x' && hexDigit(p[2]) >= 0 &&
          hexDigit(p[3]) >= 0) {
        word += static_cast<char>(hexDigit(p[2]) * 16 + hexDigit(p[3]));
        p += 3;
      } else if (quote == '"' && *p == '\\' && end - p > 1) {
        word += unescape(*++p);
      } else if (quote == '\'' && *p == '\\' && end - p > 1 && p[1] == '\'') {
        word += '\'';
        ++p;
      } else {
        word += static_cast<char>(*p);
      }
    }
    arguments->push_back(word);
  }
}

}  // namespace baton
