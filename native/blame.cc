// What a worker died of: a request that was current at two deaths by the workers' own fault is not
// tried a third time.
//
//   owner:       lane_head.step, deciding, applied, receipt.used      say what is current
//   next owner:  nameSuspect() ─ undo ─ blame() ─ COMMIT              session.blamed_at, blames
//   third one:   the same again, and it is guilty                     SessionFlag Poisoned
//   framing:     what begins at blamed_at gets an error instead
//
// A suspect is named by where it begins in its connection's stream, which no undo changes. A bare
// SIGKILL says nothing about a request; five in a row at the same one, with no turn sealed between
// them, do (memory that runs out kills like that). Deaths that nothing can be blamed for are
// counted, and in the end the lane begins anew (cold.cc).
#include "fault.h"
#include "lane.h"

namespace baton {

namespace {

constexpr int32_t kBlamesMax = 2;
constexpr int32_t kKillsMax = 5;
constexpr int32_t kFaultsMax = 6;
constexpr int32_t kFailedRepairsMax = 2;

}  // namespace

// Before anything is undone. Storing the step commits it: whoever is cut over this does it again.
void Lane::nameSuspect() {
  const DeathCause_ cause = causeOf(dead_owner_);
  if (head->step == kStepRepairing) {
    if (cause != kDeathCauseKill) ++head->failed_repairs;
    return;
  }
  head->suspect_cause = cause;
  head->suspect = kSuspectNone;
  if (head->step == kStepFraming)
    suspectReceipt();
  else if (head->step == kStepDeciding)
    suspectDescriptor(head->deciding);
  else if (head->step == kStepApplying)
    suspectDescriptor(head->applied);
  mark(head->step, kStepRepairing);
}

void Lane::suspectReceipt() {
  if (head->receipts < 1 || head->receipts > sizes.receipts) return;
  const Receipt& receipt = receipts[head->receipts - 1];
  const bool is_link = receipt.row >= kLinkId;
  head->suspect_row = is_link ? receipt.row - kLinkId : receipt.row;
  head->suspect_at = receipt.used;
  head->suspect = is_link ? kSuspectReply : kSuspectUnframed;
}

void Lane::suspectDescriptor(int32_t index) {
  if (index < 0 || index >= std::min(head->descriptors, sizes.descriptors)) return;
  const Descriptor& descriptor = descriptors[index];
  if (descriptor.kind != kDescriptorKindRequest) return;
  head->suspect_row = descriptor.row;
  head->suspect_at = descriptor.offset < 0 ? 0 : descriptor.start;
  head->suspect = kSuspectRequest;
}

// The open turn is undone: rows are as they were when the suspect's bytes were still unframed.
void Lane::blame() {
  const auto* first = reinterpret_cast<const uint8_t*>(&head->suspect);
  const auto* beyond = reinterpret_cast<const uint8_t*>(&head->killed_at + 1);
  journal.keepBytes(first, static_cast<int32_t>(beyond - first));
  if (head->deaths_sealed != head->sealed) head->faults = head->kills = 0;
  head->deaths_sealed = head->sealed;
  const auto suspect = static_cast<Suspect_>(head->suspect);
  const int32_t number = head->suspect_row;
  head->suspect = kSuspectNone;
  bool is_found = false;
  if (suspect == kSuspectReply && number > 0 && number < head->link_top)
    is_found = blameLink(number);
  else if (suspect != kSuspectNone && number > 0 && number < head->session_top)
    is_found = blameSession(number, suspect);
  if (head->suspect_cause != kDeathCauseKill) head->faults = is_found ? 0 : head->faults + 1;
}

// Whether it is guilty now.
template <class Row>
bool Lane::isGuilty(Row& row, uint64_t at, int32_t id) {
  const bool is_again = row.blames > 0 && row.blamed_at == at;
  if (head->suspect_cause == kDeathCauseKill) {
    const bool is_same = head->kills > 0 && head->killed_row == id && head->killed_at == at;
    head->kills = is_same ? head->kills + 1 : 1;
    head->killed_row = id;
    head->killed_at = at;
    if (head->kills < kKillsMax) return false;
    head->kills = 0;
    journal.touch(row).blames = kBlamesMax;
  } else {
    journal.touch(row).blames = is_again ? row.blames + 1 : 1;
  }
  row.blamed_at = at;
  return row.blames >= kBlamesMax;
}

bool Lane::blameSession(int32_t number, Suspect_ suspect) {
  Session& session = sessions[number];
  if (session.state != kSessionStateOpen) return false;
  // What is collected begins where the in chain begins.
  const bool is_large = (session.flags & kSessionFlagScanning) != 0 || session.whole_bytes > 0;
  const auto unframed = static_cast<uint64_t>(session.in_bytes);
  const auto at = static_cast<uint64_t>(is_large ? 0 : head->suspect_at);
  if (!isGuilty(session, session.rx - unframed + at, number)) return false;
  ++counter->poisoned;
  session.flags |= suspect == kSuspectRequest ? kSessionFlagPoisoned : kSessionFlagUnframable;
  return true;
}

// What a server says cannot be left out of its stream: the link is given up.
bool Lane::blameLink(int32_t number) {
  Link& link = links[number];
  if (link.state != kLinkStateUp) return false;
  const auto unframed = static_cast<uint64_t>(link.in_bytes);
  const auto at = static_cast<uint64_t>(link.streaming != 0 ? 0 : head->suspect_at);
  if (!isGuilty(link, link.rx - unframed + at, number + kLinkId)) return false;
  ++counter->poisoned;
  poisoned_links_.push_back(number);
  findings_.push_back({Finding::Poisoned, number, "workers died of its reply"});
  return true;
}

bool Lane::isHopeless() const {
  return head->failed_repairs >= kFailedRepairsMax || head->faults >= kFaultsMax;
}

// Bytes from `begin` bytes before what has been received last to the request that is refused; -1:
// there is none, or it has been passed.
int64_t Lane::poisonAt(Session& session, int32_t begin) {
  constexpr int32_t kMarks = kSessionFlagPoisoned | kSessionFlagUnframable;
  if (__builtin_expect((session.flags & kMarks) == 0, 1)) return -1;
  const auto at =
      static_cast<int64_t>(session.blamed_at - (session.rx - static_cast<uint64_t>(begin)));
  if (at >= 0) return at;
  journal.touch(session).flags &= ~kMarks;
  return -1;
}

bool Lane::isUnframable(Session& session, int32_t begin) {
  return (session.flags & kSessionFlagUnframable) != 0 && poisonAt(session, begin) == 0;
}

// TypeScript answers it with an error and looks at nothing else. What stands behind it waits a turn:
// were it a poison, too, this one's end would be undone with it, and the row can name only one.
void Lane::poison(Session& session, Receipt& receipt, int32_t used) {
  Descriptor& descriptor = descriptors[head->descriptors - 1];
  descriptor.command = kNamedCommandPoisoned;
  descriptor.arguments = -1;
  receipt.used = used;
  backlog(session);
}

}  // namespace baton
