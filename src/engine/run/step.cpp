#include "engine/run/step.h"

#include <algorithm>

namespace pippin {
namespace {

constexpr double row_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
constexpr double sequence_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
constexpr double host_bounds[] = {1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3,
                                  2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1,  1};
constexpr double device_bounds[] = {5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1,
                                    0.15, 0.2,  0.35, 0.5,  1,    2,    5,     10,   30,    60};

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

StepStats::StepStats()
    : rows(row_bounds),
      sequences(sequence_bounds),
      host_seconds(host_bounds),
      device_seconds(device_bounds) {}

void StepStats::observe(const StepRecord& step) {
  rows.observe(step.decode_rows + step.prefill_rows);
  sequences.observe(step.decode_rows + step.prefills);
  // What a step adds to the time that all take: where they overlap, nothing before the last one was computed.
  const auto from = step.ahead ? step.before : step.begun;
  const auto to = step.followed ? step.computed : step.ended;
  const auto encoder = step.ahead ? StepRecord::Time::duration(0) : step.encoded - step.planned;
  const auto device = encoder + (step.computed - std::max(step.laid_out, from));
  device_seconds.observe(seconds(device));
  host_seconds.observe(seconds((to - from) - device));
  encoder_ns += std::chrono::duration_cast<std::chrono::nanoseconds>(encoder).count();
  failed += step.failed;
  ahead += step.ahead;
}

namespace engine {

void describe(const Batch& batch, StepRecord& record) {
  record.pictures = static_cast<int>(batch.encode.size());
  for (const auto& chunk : batch.chunks) {
    if (chunk.count == 1 && chunk.begin >= chunk.sequence->num_prompt) {
      ++record.decode_rows;
    } else {
      record.prefill_rows += chunk.count;
      ++record.prefills;
    }
  }
}

}  // namespace engine
}  // namespace pippin
