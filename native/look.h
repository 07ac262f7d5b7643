// Looks at a lane that another process serves, from outside: without stopping it, without a lock,
// and without writing a byte. For `baton shm --check`.
//
//   the object, read only                         memory of this process, the same places
//   turn ─► rows ─► batches, nodes ─► journal ─► turn ───► roll back ───► check
//     └────────── no commit in between ──────────┘
//
// What a turn changes in a committed row has an image in the journal before (journal.h). So rows
// may be copied while they change, if the journal is copied after them and the turn is still open:
// with the images back they are as of the last commit. A turn is short; where one ends meanwhile
// the copy is thrown away, and the caller looks again. The bytes in chunks are not copied: they are
// clients'.
#pragma once
#include <string>
#include <vector>

#include "lane.h"

namespace baton {

enum class Look {
  Moved,    // a turn ended meanwhile: there is no copy
  Open,     // a copy from within one turn: rows can be told as of the last commit
  Resting,  // the owner was asleep all the time, or had given the lane up: counts are true as well
};

// `lane`: attached to memory of this process, which `segment` names together with the object's
// descriptor. `only_resting`: nothing is copied unless it rests.
Look lookAt(Lane& lane, bool only_resting);

// check.cc. Of what lookAt has copied, which it changes.
std::vector<std::string> checkCopy(Lane& lane, Look look);

}  // namespace baton
