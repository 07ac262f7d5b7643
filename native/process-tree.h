/**
 * What a process passes on to others, and what it learns of them: descriptors, the ends of
 * children and orphans, a word to the service manager. Start-up calls only.
 */
#pragma once

#include <napi.h>

namespace baton {

void initProcessTree(Napi::Env env, Napi::Object exports);

}  // namespace baton
