// Native types -> the JSON of /v1/cache.
#pragma once

#include <cstdint>
#include <string>

#include "pippin/engine.h"

namespace pippin::server {

/// What GET answers: what the caches hold, and what they have saved since the start. `volatile_lines` were removed from
/// prompts (server/chat/canonical).
std::string cache_report(const EngineStats& stats, std::int64_t volatile_lines);

/// What DELETE answers.
std::string cleared_report(const ClearedCaches& cleared);

}  // namespace pippin::server
