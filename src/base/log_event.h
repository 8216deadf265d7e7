// Log lines of named values, for programs to read.
#pragma once

#include <string>

#include "base/json.h"
#include "base/log.h"

namespace pippin {

/// Logs one line: "[event] key=value ..." (null values left out), or as JSON {"time", "level", "event", then the values}.
void log_event(spdlog::level::level_enum level, const std::string& event,
               const json::object& values);

}  // namespace pippin
