// The limits on what callers may set: engine options and sampling.
#pragma once

#include <cstdint>
#include <string>

#include "pippin/options.h"
#include "pippin/request.h"

namespace pippin::engine {

/// Throws Error(invalid_argument), "'field' must be RULE", unless the rule holds.
void check(bool holds, const char* field, const std::string& rule);

/// Throws Error(invalid_argument) naming the first option that is out of its range.
void check(const EngineOptions& options);

/// The same for sampling from a vocabulary of `vocab_size` tokens.
void check(const SamplingOptions& sampling, std::int64_t vocab_size);

}  // namespace pippin::engine
