// The lane's calls for TypeScript; contracts in src/native/binding.ts.
#pragma once
#include <napi.h>

namespace baton {

void initLane(Napi::Env env, Napi::Object exports);
void initCrash(Napi::Env env, Napi::Object exports);  // crash-binding.cc

}  // namespace baton
