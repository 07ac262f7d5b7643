// native/resp.h and native/push-scanner.h against messages whose ends are known, and against each other.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "push-scanner.h"
#include "resp-maker.h"
#include "resp.h"

namespace {

using test::Dice;
using test::Exact;
using test::shown;
using baton::PushMode;
using std::string;

constexpr int64_t kBulkMax = 4096;  // bytes; below which all generated values stay
constexpr int64_t kNoMax = INT32_MAX - 64;
constexpr int32_t kWhole = 0, kIncomplete = 1, kRefused = 2;

int32_t replyEnd(const string& text) {
  const Exact exact(text);
  return baton::scanReply(exact.data(), exact.size());
}

int32_t requestEnd(const string& text, int64_t bulk_max = kBulkMax) {
  const Exact exact(text);
  baton::RequestView view;
  return baton::scanMultibulk(exact.data(), exact.size(), bulk_max, &view);
}

// A push scanner and what it has taken so far.
struct Push {
  PushMode mode;
  baton::PushState state;
  int32_t taken = 0;
  bool refused = false;

  explicit Push(PushMode as) : mode(as) { baton::pushBegin(&state, mode); }

  void feed(const string& text, int64_t bulk_max) {
    if (refused) return;
    const Exact exact(text);
    const int32_t step = baton::pushBytes(&state, exact.data(), exact.size(), mode, bulk_max);
    CHECK(step <= exact.size(), "takes %d of %s", step, shown(text).c_str());
    const bool is_all = step == exact.size() || state.left == 0;
    CHECK(step < 0 || is_all, "stops at %d of %s", step, shown(text).c_str());
    refused = step < 0;
    if (!refused) taken += step;
  }

  int32_t verdict() const { return refused ? kRefused : state.left == 0 ? kWhole : kIncomplete; }
};

Push pushed(PushMode mode, const string& text, int64_t bulk_max = kNoMax) {
  Push push(mode);
  push.feed(text, bulk_max);
  return push;
}

int32_t length(const string& text) { return test::sizeOf(text); }

// Every proper prefix, or, of a long text, some of them.
template <class Visit>
void eachPrefix(Dice& dice, const string& text, Visit visit) {
  const bool all = length(text) <= 200;
  for (int32_t i = 0; i < (all ? length(text) : 60); ++i) {
    visit(text.substr(0, static_cast<size_t>(all ? i : dice.below(length(text)))));
  }
}

string stringOf(const uint8_t* bytes, int32_t count) {
  return string(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
}

void requests(Dice& dice) {
  for (int32_t round = 0; round < 700; ++round) {
    const test::MadeRequest made = test::request(dice);
    const string& text = made.text;
    const Exact exact(dice.oneIn(2) ? text : text + test::garbage(dice));
    baton::RequestView view;
    const int32_t end = baton::scanMultibulk(exact.data(), exact.size(), kBulkMax, &view);
    CHECK(end == length(text), "%d of %d: %s", end, length(text), shown(text).c_str());
    CHECK(view.bytes == end, "%d bytes", view.bytes);
    CHECK(view.argc == static_cast<int32_t>(made.arguments.size()), "argc %d", view.argc);
    const string name = stringOf(view.name, view.name_bytes);
    CHECK(name == made.arguments[0], "name %s", shown(name).c_str());
    CHECK((view.key == nullptr) == (view.argc == 1), "a key of argc %d", view.argc);
    if (view.key != nullptr) {
      const string key = stringOf(view.key, view.key_bytes);
      CHECK(key == made.arguments[1], "key %s", shown(key).c_str());
    }
    eachPrefix(dice, text, [](const string& prefix) {
      if (prefix.empty()) return;  // the caller has seen a '*'
      CHECK(requestEnd(prefix) == 0, "a prefix: %s", shown(prefix).c_str());
    });
  }
}

void replies(Dice& dice) {
  for (int32_t round = 0; round < 700; ++round) {
    const string text = test::reply(dice);
    CHECK(replyEnd(text) == length(text), "%s", shown(text).c_str());
    const string more = text + test::garbage(dice);
    CHECK(replyEnd(more) == length(text), "%s", shown(more).c_str());
    eachPrefix(dice, text, [](const string& prefix) {
      CHECK(replyEnd(prefix) == 0, "a prefix: %s", shown(prefix).c_str());
    });
  }
}

// Fed in two pieces at every place, byte by byte, and in random pieces: always the same end.
void checkPieces(Dice& dice, PushMode mode, const string& text) {
  const string more = text + test::garbage(dice);
  const int32_t places = std::min(length(text), 150);
  for (int32_t i = 0; i <= places; ++i) {
    const auto at = static_cast<size_t>(places < length(text) ? dice.below(length(text) + 1) : i);
    Push push(mode);
    push.feed(text.substr(0, at), kBulkMax);
    const int32_t expected = at == text.size() ? kWhole : kIncomplete;
    CHECK(push.verdict() == expected, "%d after %zu of %s", push.verdict(), at, shown(text).c_str());
    push.feed(more.substr(at), kBulkMax);
    CHECK(push.verdict() == kWhole, "%d, split at %zu: %s", push.verdict(), at, shown(more).c_str());
    CHECK(push.taken == length(text), "%d, split at %zu: %s", push.taken, at, shown(more).c_str());
  }
  for (const int32_t most : {1, 2, 7, 40}) {
    Push push(mode);
    for (size_t at = 0; at < text.size();) {
      const auto step = static_cast<size_t>(dice.between(1, most));
      CHECK(push.verdict() == kIncomplete, "after %zu of %s", at, shown(text).c_str());
      push.feed(text.substr(at, step), kBulkMax);
      at += step;
    }
    CHECK(push.verdict() == kWhole, "in pieces up to %d: %s", most, shown(text).c_str());
    push.feed("+more\r\n", kBulkMax);
    CHECK(push.taken == length(text), "%d in pieces up to %d: %s", push.taken, most, shown(text).c_str());
  }
}

void pieces(Dice& dice) {
  for (int32_t round = 0; round < 120; ++round) {
    checkPieces(dice, PushMode::Reply, test::reply(dice));
    const string request = test::request(dice).text;
    checkPieces(dice, PushMode::Request, request);
    checkPieces(dice, PushMode::Reply, request);  // a request is an array of strings
  }
}

// A number of nine digits or more: what becomes of it is a matter of limits, and not the same.
bool isAbsurd(const string& text) {
  int32_t run = 0;
  for (const char byte : text) {
    run = byte >= '0' && byte <= '9' ? run + 1 : 0;
    if (run >= 9) return true;
  }
  return false;
}

int32_t endOf(PushMode mode, const string& text) {
  return mode == PushMode::Reply ? replyEnd(text) : requestEnd(text, kNoMax);
}

// Both scanners say the same of anything: where it ends, that it goes on, or that it is no message.
// Byte by byte a bad number may be noticed before its line ends.
void checkAgreement(PushMode mode, const string& text, const Push& push) {
  const int32_t end = endOf(mode, text);
  CHECK(end <= length(text), "%d of %d: %s", end, length(text), shown(text).c_str());
  CHECK(end >= -16, "no error is %d: %s", end, shown(text).c_str());
  if (isAbsurd(text)) return;
  const bool is_empty = mode == PushMode::Request && (text[1] == '-' || text[1] == '0');
  if (is_empty) return;  // passed over, never pushed
  if (end == 0 && push.verdict() == kRefused) {
    CHECK(endOf(mode, text + "\r\n") < 0, "refused too early: %s", shown(text).c_str());
    return;
  }
  const int32_t expected = end < 0 ? kRefused : end == 0 ? kIncomplete : kWhole;
  CHECK(push.verdict() == expected, "push %d, scan %d: %s", push.verdict(), end, shown(text).c_str());
  if (end > 0) CHECK(push.taken == end, "push %d, scan %d: %s", push.taken, end, shown(text).c_str());
}

Push byteByByte(PushMode mode, const string& text) {
  Push push(mode);
  for (size_t at = 0; at < text.size() && push.verdict() == kIncomplete; ++at) {
    push.feed(text.substr(at, 1), kNoMax);
  }
  return push;
}

void checkBoth(PushMode mode, const string& text) {
  checkAgreement(mode, text, pushed(mode, text));
  checkAgreement(mode, text, byteByByte(mode, text));
}

void mutatedReplies(Dice& dice) {
  for (int32_t round = 0; round < 7000; ++round) {
    checkBoth(PushMode::Reply, test::mutated(dice, test::reply(dice, 3)));
  }
}

void mutatedRequests(Dice& dice) {
  for (int32_t round = 0; round < 7000; ++round) {
    string text = test::mutated(dice, test::request(dice, 4).text);
    text[0] = '*';
    checkBoth(PushMode::Request, text);
  }
}

void randomGarbage(Dice& dice) {
  for (int32_t round = 0; round < 20000; ++round) {
    string text = test::garbage(dice);
    checkBoth(PushMode::Reply, text);
    if (text.empty()) continue;
    text[0] = '*';
    checkBoth(PushMode::Request, text);
  }
}

// Headers at the edge of what is one. The same for both scanners.
void headers(Dice& dice) {
  struct Known { const char* text; int32_t end; };
  static constexpr Known kReplies[] = {
      {"*0\r\n", 4}, {"*-1\r\n", 5}, {"~0\r\n", 4}, {"%0\r\n", 4}, {">0\r\n", 4}, {"$-1\r\n", 5},
      {"$0\r\n\r\n", 6}, {"*1\r\n*0\r\n", 8}, {"*2\r\n*-1\r\n$-1\r\n", 14}, {"%1\r\n+a\r\n*0\r\n", 12},
      {"|1\r\n+k\r\n+v\r\n:1\r\n", 16}, {"|0\r\n:1\r\n", 8}, {"*1\r\n|1\r\n+k\r\n+v\r\n:1\r\n", 20},
      {"|1\r\n+k\r\n+v\r\n", 0}, {"_\r\n", 3}, {"#t\r\n", 4}, {"=7\r\ntxt:abc\r\n", 13},
      {"!5\r\nERR x\r\n", 11}, {"(123456789012345678901234567890\r\n", 33}, {"+\r\n", 3},
      {"$\r\n\r\n", -1}, {"*\r\n", -1}, {"*-\r\n", -1}, {"$--1\r\n", -1}, {"*1-2\r\n+a\r\n", -1},
      {"$1 \r\na\r\n", -1},
      {"$+1\r\na\r\n", -1}, {"$1\ra\r\n", -1}, {"$1\na\r\n", -1}, {"$a\r\n", -1}, {"?1\r\n", -1},
      {"\r\n", -1},
      {"*1\r\nx", -1}, {"$-\r\n", -1},
  };
  for (const Known& known : kReplies) {
    const int32_t end = replyEnd(known.text);
    CHECK((end < 0 ? -1 : end) == known.end, "%d: %s", end, shown(known.text).c_str());
    checkBoth(PushMode::Reply, known.text);
  }
  static constexpr Known kRequests[] = {
      {"*0\r\n", 4}, {"*-1\r\n", 5}, {"*-12\r\n", 6}, {"*1\r\n$0\r\n\r\n", 10}, {"*1048576\r\n", 0},
      {"*1048577\r\n", -1}, {"*99999999999\r\n", -1}, {"*1\r\n$-1\r\n", -1}, {"*1\r\n:1\r\n", -1},
      {"*1\r\n*1\r\n", -1}, {"*1\r\n+a\r\n", -1}, {"*\r\n", -1}, {"*a\r\n", -1}, {"*1\r\n$\r\n", -1},
      {"*1\r\n$4 \r\nPING\r\n", -1}, {"*1\r\n$4\nPING\r\n", -1},
  };
  for (const Known& known : kRequests) {
    const int32_t end = requestEnd(known.text);
    CHECK((end < 0 ? -1 : end) == known.end, "%d: %s", end, shown(known.text).c_str());
    checkBoth(PushMode::Request, known.text);
  }
}

// Redis reads numbers strictly and, over one that it refuses, closes the link that others share.
void canonicalNumbers(Dice& dice) {
  for (const char* text : {"*1\r\n$04\r\nPING\r\n", "*01\r\n$4\r\nPING\r\n", "*1\r\n$-0\r\n\r\n",
                           "*1\r\n$00\r\n\r\n",
                           "*-0\r\n", "*00\r\n", "*1\r\n$+4\r\nPING\r\n",
                           "*+1\r\n$4\r\nPING\r\n", "*-01\r\n"}) {
    CHECK(requestEnd(text) < 0, "%s", shown(text).c_str());
    CHECK(pushed(PushMode::Request, text).verdict() == kRefused, "%s", shown(text).c_str());
  }
}

// A number of any length is refused or waited for, and never becomes a length.
void hugeNumbers(Dice& dice) {
  for (int32_t round = 0; round < 1000; ++round) {
    const string digits = dice.text(dice.between(9, 40), round % 2 == 0 ? "9" : "0123456789");
    const string sign = dice.oneIn(3) ? "-" : "";
    for (const char type : string("$*%|~>=!")) {
      const string text = type + sign + digits + "\r\n" + dice.text(dice.below(30), "a:1\r\n");
      CHECK(replyEnd(text) <= length(text), "%s", shown(text).c_str());
      checkBoth(PushMode::Reply, text);
      const string inner = "*2\r\n$1\r\na\r\n" + text;
      checkBoth(PushMode::Request, inner);
      CHECK(requestEnd("*" + sign + digits + "\r\n") <= length(sign + digits) + 3, "%s", digits.c_str());
    }
  }
  string nested;
  for (int32_t i = 0; i < 40; ++i) nested += "*2147483647\r\n%2147483647\r\n|2147483647\r\n";
  CHECK(replyEnd(nested) <= 0, "elements without end");
  CHECK(pushed(PushMode::Reply, nested).verdict() == kRefused, "elements without end");
}

void bulkMax(Dice& dice) {
  for (int32_t round = 0; round < 500; ++round) {
    const int32_t most = dice.between(3, 3000);
    const string fits = test::requestText({"SET", "k", dice.bytes(most)});
    CHECK(requestEnd(fits, most) == length(fits), "a value of %d", most);
    CHECK(pushed(PushMode::Request, fits, most).verdict() == kWhole, "a value of %d", most);
    const int32_t more = most + dice.between(1, 1 << 20);
    const string exceeds = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n" + test::header('$', more);
    CHECK(requestEnd(exceeds, most) == baton::kScanBadBulk, "%d, at most %d", more, most);
    const Push push = pushed(PushMode::Request, exceeds, most);
    CHECK(push.verdict() == kRefused, "%d, at most %d", more, most);
    for (size_t i = 1; i < exceeds.size(); ++i) {
      Push push(PushMode::Request);
      push.feed(exceeds.substr(0, i), most);
      CHECK(push.verdict() == kIncomplete, "refused before its header is whole: %zu", i);
      push.feed(exceeds.substr(i), most);
      CHECK(push.verdict() == kRefused, "split at %zu", i);
    }
  }
}

// What is too large to be scanned at once is never looked at twice, and its bytes not at all.
void large(Dice& dice) {
  for (int32_t round = 0; round < 20; ++round) {
    const string value = dice.bytes(dice.between(100'000, 400'000));
    const PushMode mode = dice.oneIn(2) ? PushMode::Request : PushMode::Reply;
    string text = test::requestText({"SET", "k", value});
    if (mode == PushMode::Reply) {
      text = "*3\r\n" + test::reply(dice) + test::bulk('$', value) + test::reply(dice);
    }
    Push push(mode);
    for (size_t at = 0; at < text.size();) {
      const auto step = static_cast<size_t>(dice.between(1, 70'000));
      push.feed(text.substr(at, step), 1 << 20);
      at += step;
    }
    CHECK(push.verdict() == kWhole && push.taken == length(text), "%d of %d", push.taken, length(text));
    CHECK(endOf(mode, text) == length(text), "%d", length(text));
  }
}

}  // namespace

int main(int argc, char** argv) {
  return test::play(argc, argv, {
      {"requests", requests}, {"replies", replies}, {"pieces", pieces}, {"headers", headers},
      {"canonical-numbers", canonicalNumbers}, {"huge-numbers", hugeNumbers}, {"bulk-max", bulkMax},
      {"mutated-replies", mutatedReplies}, {"mutated-requests", mutatedRequests},
      {"garbage", randomGarbage}, {"large", large},
  });
}
