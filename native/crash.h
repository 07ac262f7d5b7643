// What a worker does with a fatal signal: it gives its lane up with one word, so that another can
// take it at once, writes a report, and dies of the signal after all.
//
//   lane's thread:   fault ──► lane.cause, lane.owner = Abandoned, wake ──► report ──► die
//   another thread:  fault ──► lane.cause ─────────────────────────────────► report ──► die
//
// Where another thread faults, the lane's thread runs on until the process is dead: then the lane
// cannot be given up, and whoever wants it waits for that death, as after a SIGKILL.
#pragma once
#include <string>

namespace baton {

// To be called on the thread that runs the lane. `directory` is where reports go, a descriptor; -1:
// to standard error. `about` is the first line of each.
void watchCrashes(int directory, const std::string& about);

// Whether another report may be written in this hour; counts it.
bool mayReport();

}  // namespace baton
