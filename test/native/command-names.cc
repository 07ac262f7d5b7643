// native/command-names.h, loaded with the names on the standard input, one a line, all in lower case:
// each is found in any case, and nothing else is.
#include "command-names.h"

#include <cctype>
#include <iostream>
#include <map>

#include "check.h"

namespace {

using std::string;
using test::Dice;
using test::Exact;
using test::shown;

struct Table {
  std::vector<string> names;
  std::map<string, int32_t> numbers;
  std::vector<int32_t> shapes;
  baton::CommandNames native;
};

Table readTable() {
  Table table;
  for (string name; std::getline(std::cin, name);) {
    const auto number = static_cast<int32_t>(table.names.size());
    table.shapes.push_back((number & 1) | number % 251 << 8 | number % 241 << 16);
    table.numbers[name] = number;
    table.names.push_back(name);
  }
  CHECK(table.numbers.size() == table.names.size(), "names are different");
  table.native.load(table.names, table.shapes.data());
  return table;
}

int32_t find(const Table& table, const string& name) {
  const Exact exact(name);
  return table.native.find(exact.data(), exact.size());
}

// By the book: ASCII letters in any case, everything else as it is.
int32_t expected(const Table& table, string name) {
  for (char& each : name) {
    if (each >= 'A' && each <= 'Z') each = static_cast<char>(each - 'A' + 'a');
  }
  const auto found = table.numbers.find(name);
  return found == table.numbers.end() ? -1 : found->second;
}

void check(const Table& table, const string& name) {
  const int32_t number = find(table, name);
  CHECK(number == expected(table, name), "%s is %d", shown(name).c_str(), number);
}

string anyCase(Dice& dice, string name) {
  for (char& each : name) {
    if (dice.oneIn(2)) each = static_cast<char>(toupper(each));
  }
  return name;
}

void everyName(Dice& dice) {
  const Table table = readTable();
  CHECK(table.native.count() == static_cast<int32_t>(table.names.size()), "%d", table.native.count());
  for (int32_t i = 0; i < table.native.count(); ++i) {
    const string& name = table.names[static_cast<size_t>(i)];
    CHECK(name.size() <= baton::CommandNames::kNameMax, "%s fits", name.c_str());
    string upper = name;
    for (char& each : upper) each = static_cast<char>(toupper(each));
    CHECK(find(table, name) == i && find(table, upper) == i, "%s", name.c_str());
    for (int32_t round = 0; round < 50; ++round) {
      const string typed = anyCase(dice, name);
      CHECK(find(table, typed) == i, "%s is %d", typed.c_str(), find(table, typed));
    }
    const baton::CommandNames::Shape& shape = table.native.shape(i);
    CHECK(shape.list_arguments == (i % 2 != 0), "%s", name.c_str());
    CHECK(shape.first_key == i % 251 && shape.key_step == i % 241, "%s", name.c_str());
  }
}

// A name with any one byte changed to any other, cut, or with something behind it.
void nearMisses(Dice& dice) {
  const Table table = readTable();
  for (const string& name : table.names) {
    for (size_t at = 0; at < name.size(); ++at) {
      for (int32_t byte = 0; byte < 256; ++byte) {
        string other = anyCase(dice, name);
        other[at] = static_cast<char>(byte);
        check(table, other);
      }
      check(table, name.substr(0, at));
      check(table, name.substr(at));
    }
    for (int32_t byte = 0; byte < 256; ++byte) check(table, name + static_cast<char>(byte));
    check(table, name + string(24 - name.size() % 24, '\0'));
    check(table, name + string(24 - name.size() % 24, ' '));
  }
}

void strangers(Dice& dice) {
  const Table table = readTable();
  for (int32_t round = 0; round < 100'000; ++round) {
    const int32_t length = dice.below(30);
    check(table, dice.oneIn(2) ? dice.bytes(length) : dice.text(length, "aegilnorstEGILNORST_-|0123"));
  }
  CHECK(table.native.find(nullptr, 0) == -1, "no name");
}

}  // namespace

int main(int argc, char** argv) {
  return test::play(argc, argv, {
      {"every-name", everyName}, {"near-misses", nearMisses}, {"strangers", strangers},
  });
}
