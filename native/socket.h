/**
 * Listening sockets, opened by the master before there are workers. All are non-blocking and
 * close-on-exec: a worker gets the ones it is given and no others.
 */
#pragma once

#include <napi.h>

namespace baton {

void initSocket(Napi::Env env, Napi::Object exports);

}  // namespace baton
