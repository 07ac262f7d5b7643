// The one way to turn an errno of a start-up call into a JavaScript error with `code` and
// `syscall`.
#pragma once
#include <napi.h>

#include <cstring>
#include <string>

namespace baton {

inline Napi::Value throwErrno(Napi::Env env, const char* syscall, int number) {
  const char* code = strerrorname_np(number);
  Napi::Error error = Napi::Error::New(env, std::string(syscall) + ": " + strerror(number));
  error.Value().Set("code", Napi::String::New(env, code != nullptr ? code : "UNKNOWN"));
  error.Value().Set("syscall", Napi::String::New(env, syscall));
  error.ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace baton
