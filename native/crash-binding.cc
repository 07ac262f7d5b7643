// What TypeScript may ask about deaths, its own and those of owners before (src/native/binding.ts).
#include <unistd.h>

#include "crash.h"
#include "lane-attach.h"
#include "lane-binding.h"

namespace baton {

namespace {

Napi::Value laneWatchCrashes(const Napi::CallbackInfo& info) {
  watchCrashes(info[0].As<Napi::Number>(), info[1].As<Napi::String>());
  return info.Env().Undefined();
}

Napi::Value laneAbandon(const Napi::CallbackInfo& info) {
  if (lane != nullptr) lane->abandon(kDeathCauseError);
  return Napi::Boolean::New(info.Env(), mayReport());
}

// Nothing that runs at a usual end may touch the lane's descriptors any more.
Napi::Value laneDie(const Napi::CallbackInfo& info) { _exit(info[0].As<Napi::Number>().Int32Value()); }

Napi::Value laneVet(const Napi::CallbackInfo& info) {
  lane->vet(info[0].As<Napi::Boolean>());
  return info.Env().Undefined();
}

Napi::Value laneFindings(const Napi::CallbackInfo& info) {
  const std::vector<Finding> findings = lane->takeFindings();
  auto list = Napi::Array::New(info.Env(), findings.size());
  for (size_t i = 0; i < findings.size(); ++i) {
    auto each = Napi::Object::New(info.Env());
    each.Set("kind", Napi::Number::New(info.Env(), findings[i].kind));
    each.Set("row", Napi::Number::New(info.Env(), findings[i].row));
    each.Set("what", Napi::String::New(info.Env(), findings[i].what));
    list.Set(static_cast<uint32_t>(i), each);
  }
  return list;
}

}  // namespace

void initCrash(Napi::Env env, Napi::Object exports) {
  exports.Set("laneWatchCrashes", Napi::Function::New(env, laneWatchCrashes));
  exports.Set("laneAbandon", Napi::Function::New(env, laneAbandon));
  exports.Set("laneDie", Napi::Function::New(env, laneDie));
  exports.Set("laneVet", Napi::Function::New(env, laneVet));
  exports.Set("laneFindings", Napi::Function::New(env, laneFindings));
}

}  // namespace baton
