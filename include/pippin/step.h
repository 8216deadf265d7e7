// What the engine's steps are measured by.
#pragma once

#include <chrono>
#include <cstdint>

#include "pippin/histogram.h"

namespace pippin {

/// One step: what it computed, and when its stages ended. On a GPU the next one is mostly planned and launched before this one is
/// computed, so that the device does not wait for the host; there these times overlap.
struct StepRecord {
  using Time = std::chrono::steady_clock::time_point;

  std::int64_t number = 0;
  int decode_rows = 0;   ///< sequences that got one token more
  int prefill_rows = 0;  ///< tokens of prompts
  int prefills = 0;      ///< sequences whose prompts these are
  int pictures = 0;  ///< that prompts waited for; the encoder had its share of the step for them
  int running = 0, waiting = 0;  ///< sequences, when it was planned
  bool failed = false;           ///< its sequences were ended with an error
  bool ahead = false;            ///< launched before the step before it was computed
  bool followed = false;         ///< the step after it is ahead

  Time begun;
  Time planned;   ///< the scheduler has chosen (host)
  Time encoded;   ///< pages are copied, the encoder has had its share (device)
  Time laid_out;  ///< the batch is arrays (host)
  Time computed;  ///< forward and sampling (device)
  Time ended;     ///< tokens are handed out, pages published (host)
  Time before{};  ///< where ahead: when the step before was computed
};

/// Statistics of all steps since the start.
struct StepStats {
  Histogram rows;       ///< decode rows and prompts' tokens of a step
  Histogram sequences;  ///< in a step
  /// Planning, laying out, handing out: as far as the device waited for it.
  Histogram host_seconds;
  Histogram device_seconds;     ///< encoder, forward and sampling
  std::int64_t encoder_ns = 0;  ///< of the device's time: the encoder's
  std::int64_t failed = 0;      ///< steps
  std::int64_t ahead = 0;       ///< steps

  StepStats();
  void observe(const StepRecord& step);
};

}  // namespace pippin
