// A keeper: a tiny process beside each worker that shares its table of descriptors, so that kill -9
// of the worker closes nothing, and that hands copies of them to whoever takes the lane over.
//
//   worker ──clone(CLONE_FILES)──► keeper        one table of descriptors, two address spaces
//
//   state of the keeper         it reads requests       it ends
//   worker lives, not named     no                      when its worker stops it
//   worker lives, named         yes                     when its worker stops it
//   worker dead,  named         yes                     when its master is dead as well and nobody
//                                                       asked for orphan_ms, or when nobody is left
//                                                       who could
//   worker dead,  not named     no                      at once
//   worker without a lane: as not named
//
// It reads requests from the lane's socket pair, and from who connects to the lane's dock: a master
// who was not given the pair, for the one before him is dead.
//
// "Named" is lane.keeper: the owner writes its row there once it holds all descriptors of the lane.
// When the worker is dead the keeper closes everything below the lane's own numbers (kept_fd and up,
// the rows' among them): log files,
// pipes to the master. End of file on a pipe to a worker therefore comes after its death, and not by
// it. A connection that was accepted and had not come to its row's number is moved there first.
//
// After clone the keeper gives back all memory but its own code, its few buffers and the page of
// `named`: it has no heap and no libc (raw-call.h), blocks all signals, and needs < 1 MB.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton {

struct KeeperOrder {
  int keeper_fd;                  // the keepers' end of the lane's socket pair (fd-pass.h)
  int worker_pid;                 // whose death counts: the calling process
  int32_t worker_row;             // what `named` holds when this keeper is the one to answer
  const volatile int32_t* named;  // lane.keeper, in a mapping that is shared
  int first_fd;                   // descriptors below are closed when the worker has died
  const volatile int32_t* accepting;  // lane_head.accept_row, in the same mapping
  int bell_fd;                    // eventfd: rung by the worker when it has named this keeper
  int lane;                       // for the title only
  int orphan_ms;                  // 0: ends as soon as nobody has asked since the deaths

  // Of a worker that has no lane yet: `named` and `accepting` are null, keeper_fd and dock_fd are
  // -1. These and `lane` are written to `later` when there is one, `named` last, and then the bell
  // is rung. What they point to must lie in `mapping`; both are in mappings that are shared.
  const KeeperOrder* later = nullptr;
  const volatile void* mapping = nullptr;
  size_t mapping_bytes = 0;

  int kept_fd = -1;               // lowest number that it does not close; -1: first_fd
  int dock_fd = -1;               // listens for masters; -1: there is no dock
  int master_fd = -1;  // pidfd of the worker's master, kept_fd or up; -1: his life does not count
};

// Starts a keeper and returns its pid, or -errno. The calling process' descriptor table gets one
// more number as long as the keeper lives, a pidfd; `order` may be gone after the call.
int startKeeper(const KeeperOrder& order);

// Kills a keeper of this process and waits until it is gone. The descriptors stay with the caller.
void stopKeeper(int pid);

// Whether the kernel lets this process have keepers: 0, or the -errno of what is forbidden. Starts
// and reaps a process that ends at once.
int probeKeeper();

}  // namespace baton
