// Places in the program where a test can let it die: FAULT(name) between two steps that a death must
// not tear apart. In the product nothing is left of them.
//
//   page shared with the test:  which charge is armed | charges, one after the other | reaches
//   charge:                     name | reaches to go | what to do | instructions to go | whom it hit
//
// A worker finds the page by the file that BATON_FAULTS names. Each charge fires once, and arms the
// next: so the one who comes to help can be hit, too. With kFaultTrap the worker goes on from its place
// for so many single instructions and dies between two of them, wherever that is. POISON is a request
// or a reply that kills whoever meets it, by what it says.
#pragma once

#ifndef BATON_FAULTS
#define FAULT(name)
#define POISON(place, bytes, count)
#else
#include <cstdint>

namespace baton {

// In the order of a turn, then of a takeover.
#define BATON_FAULT_NAMES(each)                                                                 \
  each(Applied) each(RestsKept) each(NearSettled) each(TurnBumped) each(Committed)              \
  each(MessagesPublished) each(PeekTaken) each(PeekedTaken) each(UnitsSettled) each(Sealed)      \
  each(WireCleared) each(WireSaid) each(WireSent) each(LinkSent) each(LinkNoted)                 \
  each(SessionSent) each(SessionNoted) each(Unwatched) each(ShutDown) each(Closed)               \
  each(RowFreed) each(ReceiptOpened) each(Received) each(ReceiveNoted) each(Framed)              \
  each(ReplyReceived) each(ReplyNoted) each(RepliesFramed) each(AcceptSaid) each(Accepted)       \
  each(AcceptPlaced) each(AcceptRowed) each(SocketMade) each(ConnectStarted) each(ConnectNoted)  \
  each(Greeted) each(BatchClaimed) each(BatchBacked) each(BatchReady) each(ImageWritten)         \
  each(Claimed) each(UndoBegun) each(ImageRestored) each(Undone) each(Recounted)                 \
  each(ReceivedKept) each(AcceptedAdopted) each(SessionsRepaired) each(LinksRepaired)            \
  each(RepairCommitted) each(KeeperNamed) each(Frozen)

enum FaultName : int32_t {
#define BATON_FAULT_ENUM(name) kFault##name,
  BATON_FAULT_NAMES(BATON_FAULT_ENUM)
#undef BATON_FAULT_ENUM
  kFaults
};

enum FaultAction : int32_t { kFaultNothing, kFaultKill, kFaultTrap, kFaultCrash };

struct FaultCharge {
  int32_t name;
  int32_t to_go;  // reaches before it fires
  int32_t action;
  int32_t steps;  // kFaultTrap: instructions before the death
  int32_t fired;  // pid that it hit
};

struct FaultPage {
  int32_t armed;  // 1 + the index of a charge, 0 = none
  int32_t count;  // of charges
  FaultCharge charges[4];
  int32_t reaches[kFaults];
};

FaultPage* faultPage();  // nullptr: there is none
void faultPoint(FaultName name);

// Who looks at bytes in which "poison:<place>" stands dies of it: by SIGKILL if "poison:kill-…".
void poisonPoint(const char* place, const uint8_t* bytes, int32_t count);

}  // namespace baton

#define FAULT(name) ::baton::faultPoint(::baton::kFault##name)
#define POISON(place, bytes, count) ::baton::poisonPoint(place, bytes, count)
#endif
