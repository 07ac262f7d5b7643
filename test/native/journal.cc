// native/journal.h: rows are what they were at the last commit, wherever a turn or its undoing ends.
#include <algorithm>
#include <set>
#include <vector>

#include "check.h"

#include "dying.h"

namespace {

using test::Dice;

constexpr int32_t kSessions = 8, kLinks = 4, kRequests = 24;
constexpr int32_t kJournalBytes = 64 * 1024;

struct Rows {
  baton::Session session[kSessions];
  baton::Link link[kLinks];
  baton::Request request[kRequests];
};

// A lane's extent, as far as the journal knows it.
struct Extent {
  baton::LaneHead head;
  Rows rows;
  uint8_t journal[kJournalBytes];
};

class Owner {
 public:
  explicit Owner(Extent& extent) : extent_(extent) {
    journal_.attach(&extent.head, extent.journal, reinterpret_cast<uint8_t*>(&extent), kJournalBytes);
  }
  baton::Journal& journal() { return journal_; }

  // Changes some rows, makes some, frees some. Deterministic; rows that `committed` does not have are
  // free, and those freed here are not yet.
  void change(uint64_t seed, const Rows& committed) {
    Dice dice(seed);
    ++journal_.touch(extent_.rows.session[0]).tx;  // what is new is led to by something that was there
    for (int32_t left = dice.between(1, 10); left > 0; --left) {
      baton::Request& request = extent_.rows.request[dice.below(kRequests)];
      const int32_t number = static_cast<int32_t>(&request - extent_.rows.request);
      switch (dice.below(4)) {
        case 0: scribble(dice, journal_.touch(extent_.rows.session[dice.between(1, kSessions - 1)])); break;
        case 1: scribble(dice, journal_.touch(extent_.rows.link[dice.below(kLinks)])); break;
        default:
          if (committed.request[number].state == baton::kRequestStateFree) {
            if (request.state == baton::kRequestStateFree) request = {};
            journal_.adopt(request);
            scribble(dice, request);
            request.state = baton::kRequestStateSent;
          } else {
            scribble(dice, journal_.touch(request));
            request.state = dice.oneIn(3) ? baton::kRequestStateFree : baton::kRequestStateSent;
          }
      }
    }
  }

  void rollBack() {
    journal_.rollBack();
    CHECK(journal_.used() == 0, "%d bytes left", journal_.used());
  }

 private:
  // Any bytes but `imaged`, which is the journal's own.
  template <class Row>
  static void scribble(Dice& dice, Row& row) {
    auto* bytes = reinterpret_cast<uint8_t*>(&row);
    for (int32_t left = dice.between(1, 30); left > 0; --left) {
      bytes[dice.between(sizeof row.imaged, sizeof row - 1)] = static_cast<uint8_t>(dice.bits());
    }
  }

  Extent& extent_;
  baton::Journal journal_;
};

std::unique_ptr<Extent> newExtent(Dice& dice, int32_t turn) {
  auto extent = std::make_unique<Extent>();
  extent->head.turn = turn;
  for (baton::Request& request : extent->rows.request) request.state = dice.below(2);
  return extent;
}

template <class Row, size_t Count>
int32_t differing(const Row (&left)[Count], const Row (&right)[Count]) {
  int32_t count = 0;
  for (size_t i = 0; i < Count; ++i) count += memcmp(&left[i], &right[i], sizeof(Row)) != 0 ? 1 : 0;
  return count;
}

// Rows that differ, but for those that no committed word leads to.
int32_t differing(const Rows& expected, const Rows& found) {
  Rows rows = found;
  for (int32_t i = 0; i < kRequests; ++i) {
    const baton::Request& request = expected.request[i];
    if (request.state == baton::kRequestStateFree) rows.request[i] = request;
  }
  return differing(expected.session, rows.session) + differing(expected.link, rows.link) +
         differing(expected.request, rows.request);
}

// What a new owner makes of the lists: rows that nothing leads to are free.
void forgetFree(Rows& rows, const Rows& committed) {
  for (int32_t i = 0; i < kRequests; ++i) {
    const bool is_free = committed.request[i].state == baton::kRequestStateFree;
    if (is_free) rows.request[i].state = baton::kRequestStateFree;
  }
}

void playTurns(Dice& dice, int32_t turn, int32_t turns) {
  const std::unique_ptr<Extent> extent = newExtent(dice, turn);
  auto owner = std::make_unique<Owner>(*extent);
  Rows committed = extent->rows;
  for (int32_t i = 0; i < turns; ++i) {
    for (int32_t left = dice.between(1, 3); left > 0; --left) owner->change(dice.bits(), committed);
    if (dice.oneIn(2)) {
      owner->journal().commit();
      CHECK(owner->journal().used() == 0, "a sealed turn has %d bytes", owner->journal().used());
      committed = extent->rows;
      continue;
    }
    if (dice.oneIn(2)) owner = std::make_unique<Owner>(*extent);
    owner->rollBack();
    const int32_t wrong = differing(committed, extent->rows);
    CHECK(wrong == 0, "turn %d: %d rows", i, wrong);
    forgetFree(extent->rows, committed);
  }
}

void turns(Dice& dice) {
  for (int32_t game = 0; game < 60; ++game) playTurns(dice, 1, 200);
}

// The turn's number begins again one day; rows that were never imaged must not look as if they were.
void turnWraps(Dice& dice) {
  for (int32_t game = 0; game < 300; ++game) playTurns(dice, INT32_MAX - dice.below(4), 12);
}

// Each row is imaged once a turn, however often it is touched: all rows fit if the region has room
// for one image of each, as src/shm/plan.ts cuts it.
void capacity(Dice& dice) {
  constexpr int32_t kRows = kSessions + kLinks + kRequests;
  constexpr auto kBytes = static_cast<int32_t>(sizeof(Rows) + kRows * 2 * sizeof(uint32_t));
  const std::unique_ptr<Extent> extent = newExtent(dice, 1);
  const Rows committed = extent->rows;
  baton::Journal journal;
  journal.attach(&extent->head, extent->journal, reinterpret_cast<uint8_t*>(extent.get()), kBytes);
  for (int32_t turn = 0; turn < 20; ++turn) {
    for (int32_t i = 0; i < 1000; ++i) {
      ++journal.touch(extent->rows.session[dice.below(kSessions)]).flags;
      ++journal.touch(extent->rows.link[dice.below(kLinks)]).flags;
      ++journal.touch(extent->rows.request[dice.below(kRequests)]).flags;
    }
    CHECK(journal.used() == kBytes, "%d of %d bytes", journal.used(), kBytes);
    if (turn == 19) break;
    journal.commit();
    for (baton::Session& each : extent->rows.session) each.flags = 0;
    for (baton::Link& each : extent->rows.link) each.flags = 0;
    for (baton::Request& each : extent->rows.request) each.flags = 0;
  }
  journal.rollBack();
  Rows found = extent->rows;
  for (int32_t i = 0; i < kSessions; ++i) found.session[i].imaged = committed.session[i].imaged;
  for (int32_t i = 0; i < kLinks; ++i) found.link[i].imaged = committed.link[i].imaged;
  for (int32_t i = 0; i < kRequests; ++i) found.request[i].imaged = committed.request[i].imaged;
  CHECK(differing(committed, found) == 0, "%d rows", differing(committed, found));
}

// Undoes the open turn in several attempts, of which all but the last die.
void rollBackDying(Dice& dice, Extent& extent) {
  for (int32_t attempts = dice.below(4); attempts > 0; --attempts) {
    Owner owner(extent);
    dying::runUntil(dice.below(3000), [&] { owner.journal().rollBack(); });
  }
  Owner(extent).rollBack();
}

// One turn, once to see its steps and its result, then again and again with a death at one of them.
void dieInTurn(Dice& dice, Extent& extent) {
  const Extent before = extent;
  const uint64_t seed = dice.bits();
  const auto turn = [&](Owner& owner, bool* committing) {
    owner.change(seed, before.rows);
    *committing = true;
    owner.journal().commit();
  };
  bool committing = false;
  Owner rehearsal(extent);
  CHECK(dying::runUntil(dying::kNever, [&] { turn(rehearsal, &committing); }), "a turn without a death");
  const int64_t steps = dying::steps;
  const Extent after = extent;

  std::set<int64_t> deaths = {0, steps - 1, steps - 2, steps - 3};
  for (int32_t i = 0; i < 12; ++i) deaths.insert(dice.below(static_cast<int32_t>(steps)));
  for (const int64_t death : deaths) {
    extent = before;
    committing = false;
    Owner owner(extent);
    const bool lived = dying::runUntil(death, [&] { turn(owner, &committing); });
    CHECK(!lived, "step %ld of %ld", death, steps);
    rollBackDying(dice, extent);
    const bool is_before = differing(before.rows, extent.rows) == 0;
    const bool is_after = committing && differing(after.rows, extent.rows) == 0;
    CHECK(is_before != is_after, "a turn half done: step %ld of %ld", death, steps);

    // The next owner's first turn must be undone as well, all of it.
    const Rows committed = is_after ? after.rows : before.rows;
    forgetFree(extent.rows, committed);
    Owner next(extent);
    next.change(dice.bits(), committed);
    next.change(dice.oneIn(2) ? seed : dice.bits(), committed);
    rollBackDying(dice, extent);
    const int32_t wrong = differing(committed, extent.rows);
    CHECK(wrong == 0, "the turn after a death at step %ld of %ld: %d rows", death, steps, wrong);
  }
  extent = after;
}

void deaths(Dice& dice) {
  for (int32_t game = 0; game < 20; ++game) {
    const std::unique_ptr<Extent> extent = newExtent(dice, 1);
    for (int32_t i = 0; i < 12; ++i) dieInTurn(dice, *extent);
  }
}

// Undoing, interrupted at each of its steps.
void undoingDies(Dice& dice) {
  for (int32_t game = 0; game < 6; ++game) {
    const std::unique_ptr<Extent> extent = newExtent(dice, 1);
    const Rows committed = extent->rows;
    Owner owner(*extent);
    owner.change(dice.bits(), committed);
    const Extent open = *extent;
    CHECK(dying::runUntil(dying::kNever, [&] { owner.journal().rollBack(); }), "without a death");
    const int64_t steps = dying::steps;
    for (int64_t death = 0; death < steps; ++death) {
      *extent = open;
      const bool lived = dying::runUntil(death, [&] { owner.journal().rollBack(); });
      CHECK(!lived, "step %ld of %ld", death, steps);
      owner.rollBack();
      const int32_t wrong = differing(committed, extent->rows);
      CHECK(wrong == 0, "step %ld of %ld: %d rows", death, steps, wrong);
    }
  }
}

// What a wild write has made of it is noticed before anything is put back: never a step beyond it.
void damaged(Dice& dice) {
  int32_t noticed = 0;
  for (int32_t game = 0; game < 3000; ++game) {
    const std::unique_ptr<Extent> extent = newExtent(dice, 1);
    const Rows committed = extent->rows;
    Owner owner(*extent);
    CHECK(owner.journal().isSound(), "an empty one");
    owner.change(dice.bits(), committed);
    CHECK(owner.journal().isSound(), "%d bytes of images", owner.journal().used());
    const int32_t used = owner.journal().used();
    switch (dice.below(3)) {
      case 0: extent->head.journal_used = static_cast<int32_t>(dice.bits()); break;
      case 1: extent->head.journal_used = dice.below(used); break;
      default: {
        const auto word = static_cast<uint32_t>(dice.bits());
        memcpy(extent->journal + dice.below(used / 4) * 4, &word, sizeof word);
      }
    }
    if (!owner.journal().isSound()) {
      ++noticed;
      continue;
    }
    owner.journal().visit([&](const uint8_t* row) {
      const auto* rows = reinterpret_cast<const uint8_t*>(&extent->rows);
      CHECK(row >= reinterpret_cast<const uint8_t*>(extent.get()) && row < rows + sizeof(Rows),
            "a row that is none");
    });
    owner.rollBack();
  }
  CHECK(noticed > 1000, "%d of 3000 noticed", noticed);
}

}  // namespace

int main(int argc, char** argv) {
  return test::play(argc, argv, {
      {"turns", turns}, {"turn-wraps", turnWraps}, {"capacity", capacity}, {"deaths", deaths},
      {"undoing-dies", undoingDies}, {"damaged", damaged},
  });
}
