// Which death is next: its kind, and the places of native/fault.h where it is to strike.
//
//   random     from outside, at any moment
//   labelled   at a place, the nth time that an owner comes there
//   stepped    the same, but so many single instructions behind it
//   chained    and then the one who comes to help, at a place of heirs; and the next
#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../check.h"
#include "fault.h"
#include "place.h"

namespace bare {

constexpr int kStepsMax = 3000;
constexpr int kAfterMax = 30;
constexpr int kImagesMax = 6;
constexpr int kAcceptsMax = 3;
constexpr int kChainMax = 3;

enum Kind { kRandom, kLabelled, kStepped, kChained, kKinds };
inline const char* const kKindNames[] = {"random", "labelled", "stepped", "chained"};

inline const char* const kFaultNames[] = {
#define BARE_NAME(name) #name,
    BATON_FAULT_NAMES(BARE_NAME)
#undef BARE_NAME
};

inline bool ofHeirs(int name) {
  return name >= baton::kFaultClaimed && name <= baton::kFaultKeeperNamed;
}
inline bool ofConnects(int name) {
  return name >= baton::kFaultSocketMade && name <= baton::kFaultGreeted;
}
inline bool ofAccepts(int name) {
  return name >= baton::kFaultAcceptSaid && name <= baton::kFaultAcceptRowed;
}
inline bool ofGiving(int name) { return name == baton::kFaultFrozen; }

struct Plan {
  Kind kind;
  std::vector<baton::FaultCharge> charges;  // none: random
};

class Planner {
 public:
  Planner(const Options& options, test::Dice& dice) : dice_(dice) {
    for (int kind = 0; kind < kKinds; ++kind) {
      if (options.kinds.find(kKindNames[kind]) != std::string::npos)
        kinds_.push_back(static_cast<Kind>(kind));
    }
    list(options.places);
    if (names_.empty() || kinds_.empty()) give_up("kinds or places");
    if (heirs_.empty()) heirs_ = all(ofHeirs);
    if (first_.empty()) first_ = all(isFirst);
    next_ = static_cast<size_t>(dice.below(static_cast<int32_t>(names_.size())));
  }

  Plan next() {
    const Kind kind = pick(kinds_);
    if (kind == kRandom) return {kind, {}};
    if (kind == kChained) return {kind, chain()};
    next_ = (next_ + 1) % names_.size();  // in turn, so that none is left out
    return {kind, {charge(names_[next_], kind == kStepped)}};
  }

 private:
  static bool isUsual(int name) { return isFirst(name) && !ofConnects(name); }
  // Of a chain.
  static bool isFirst(int name) { return !ofHeirs(name) && !ofGiving(name); }

  template <class Holds>
  static std::vector<int> all(Holds holds) {
    std::vector<int> found;
    for (int name = 0; name < baton::kFaults; ++name) {
      if (holds(name)) found.push_back(name);
    }
    return found;
  }

  // The places that are wanted; all if none is named.
  void list(const std::vector<std::string>& wanted) {
    names_ = all([&](int name) {
      return wanted.empty() ||
             std::find(wanted.begin(), wanted.end(), kFaultNames[name]) != wanted.end();
    });
    for (const int name : names_) {
      if (ofHeirs(name)) heirs_.push_back(name);
      if (isFirst(name)) first_.push_back(name);
    }
  }

  template <class T>
  T pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(dice_.below(static_cast<int32_t>(from.size())))];
  }

  std::vector<baton::FaultCharge> chain() {
    std::vector<baton::FaultCharge> charges = {charge(pick(first_), dice_.oneIn(2))};
    for (int32_t more = dice_.between(1, kChainMax - 1); more > 0; --more)
      charges.push_back(charge(pick(heirs_), dice_.oneIn(2)));
    return charges;
  }

  baton::FaultCharge charge(int name, bool is_stepped) {
    const int32_t most = name == baton::kFaultImageRestored ? kImagesMax
                         : ofAccepts(name)                  ? kAcceptsMax
                         : isUsual(name)                    ? kAfterMax
                                                            : 1;
    // As many short ways as long ones: the next store is near.
    const double way = std::exp(dice_.below(1 << 20) / double{1 << 20} * std::log(kStepsMax));
    return {name, dice_.between(1, most), is_stepped ? baton::kFaultTrap : baton::kFaultKill,
            static_cast<int32_t>(way), 0};
  }

  test::Dice& dice_;
  std::vector<Kind> kinds_;
  std::vector<int> names_, first_, heirs_;
  size_t next_ = 0;
};

}  // namespace bare
