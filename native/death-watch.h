// A thread of a standby worker that waits for a lane of its crew to lose its owner, and rings then:
//
//   futex_waitv: | the asker's word | life words of the owners | owner words of the lanes |
//                  lookAgain()        one dies                   one changes hands
//
// A crew is known by its generation: what another configuration's workers own is not looked at. Where
// the kernel has no futex_waitv (before 5.16, or forbidden), the words are looked at every few ms.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "lane.h"

namespace baton {

class DeathWatch {
 public:
  // Lanes without a place are null. Lives as long as the process. 0 or an errno.
  int begin(const std::vector<Lane*>& lanes, int32_t worker, int bell_fd);
  // After a ring: the lane whose owner is dead. The thread rests until lookAgain().
  int32_t found() const { return found_.load(std::memory_order_acquire); }
  // It could not be taken: it is left alone until somebody else has owned it.
  void lookAgain();

 private:
  struct Word {
    const int32_t* at;
    int32_t seen;
  };

  static void* run(void* watch);
  void watch();
  bool look();
  void await();

  std::vector<Lane*> lanes_;
  std::vector<int32_t> spared_;  // by lane: the owner word under which it could not be taken
  std::vector<Word> words_;      // what was looked at
  int32_t worker_ = 0;
  int bell_fd_ = -1;
  int32_t asked_ = 0;  // bumped by lookAgain
  std::atomic<int32_t> found_{-1};
  bool can_wait_ = true;  // the kernel has futex_waitv
};

}  // namespace baton
