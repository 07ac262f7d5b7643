// The addon's table of contents: each file says what it offers, src/native/binding.ts what it
// means.
#include <napi.h>

#include "hash.h"
#include "lane-binding.h"
#include "layout.gen.h"
#include "process.h"
#include "segment.h"
#include "socket.h"

namespace {

// The hash by which a pool routes a key: of its tagged part, 0 for an empty one.
Napi::Value hashKey(const Napi::CallbackInfo& info) {
  const auto kind = static_cast<baton::HashKind>(info[0].As<Napi::Number>().Int32Value());
  const int32_t open = info[1].As<Napi::Number>().Int32Value();
  const int32_t close = info[2].As<Napi::Number>().Int32Value();
  const auto key = info[3].As<Napi::Uint8Array>();
  const baton::KeyTag tag =
      open < 0 ? baton::KeyTag{0, 0}
               : baton::KeyTag{static_cast<uint8_t>(open), static_cast<uint8_t>(close)};
  return Napi::Number::New(
      info.Env(), static_cast<int32_t>(baton::route_hash(kind, tag, key.Data(), key.ByteLength())));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("schemaHash", Napi::Number::New(env, baton::kSchemaHash));
  exports.Set("hashKey", Napi::Function::New(env, hashKey));
  baton::initSegment(env, exports);
  baton::initLane(env, exports);
  baton::initCrash(env, exports);
  baton::initSocket(env, exports);
  baton::initProcess(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(baton, init)
