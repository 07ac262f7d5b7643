/**
 * What this process is to the kernel: its title, rights, limits, and the bells between processes.
 * Start-up calls only; nothing here runs on the request path.
 */
#pragma once

#include <napi.h>

#include <string>

namespace baton {

void initProcess(Napi::Env env, Napi::Object exports);

/**
 * Throws an Error "<syscall> <what>: <text of code>" with `code` (the name, as EADDRINUSE) and
 * `syscall`, as Node's own errors have them. Returns undefined, for callers to return.
 */
Napi::Value throwSystemError(Napi::Env env, int code, const char* syscall, const std::string& what);

}  // namespace baton
