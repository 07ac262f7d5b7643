// Prints what native/inline-request.h makes of the lines on the standard input.
//
//   in:   <room> <line in hex>     out:  <code> <the multibulk in hex>
//
// Line and room are heap blocks of exactly their size.
#include "inline-request.h"

#include <iostream>

#include "check.h"

namespace {

int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

std::string fromHex(const std::string& hex) {
  std::string text;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    text += static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1]));
  }
  return text;
}

}  // namespace

int main() {
  for (std::string row; std::getline(std::cin, row);) {
    const size_t blank = row.find(' ');
    const auto room = static_cast<int32_t>(strtol(row.c_str(), nullptr, 10));
    const test::Exact line(fromHex(row.substr(blank + 1)));
    const std::unique_ptr<uint8_t[]> to(new uint8_t[static_cast<size_t>(room)]);
    const int32_t code = baton::rewriteInline(line.data(), line.size(), to.get(), room);
    printf("%d ", code);
    for (int32_t i = 0; i < code; ++i) printf("%02x", to[static_cast<size_t>(i)]);
    printf("\n");
  }
  return 0;
}
