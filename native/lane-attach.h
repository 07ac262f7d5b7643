// Which lanes this process may run, and the one that the calls of lane-binding.h are about.
#pragma once
#include <napi.h>

#include "lane.h"

namespace baton {

extern Lane* lane;  // the one that this process runs, or is about to

void initLaneAttach(Napi::Env env, Napi::Object exports);

}  // namespace baton
