#pragma once
#include <napi.h>

namespace baton {

void initLane(Napi::Env env, Napi::Object exports);

}  // namespace baton
