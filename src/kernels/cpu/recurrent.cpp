#include "kernels/cpu/recurrent.h"

#include <algorithm>

namespace pippin::cpu {
namespace {

// A thread takes at least so many multiplications at once, as norm.cpp's values.
constexpr std::int64_t work_per_piece = 64 << 10;

template <class Task>
std::int64_t rows_of(const Task& task) {
  std::int64_t rows = 0;
  for (int i = 0; i < task.num_parts; ++i) rows += task.parts[i].rows;
  return rows;
}

std::int64_t grain_of(std::int64_t work_per_block) {
  return std::max<std::int64_t>(1, work_per_piece / std::max<std::int64_t>(work_per_block, 1));
}

}  // namespace

void short_conv(Team& team, const Kernels& kernels, const ShortConv& conv) {
  const auto grain = grain_of(16 * rows_of(conv) * conv.taps);
  team.parallel_for(blocks_of(conv.width), grain, [&](std::int64_t first, std::int64_t last, int) {
    kernels.recurrent.short_conv(conv, first, last);
  });
}

void gated_delta(Team& team, const Kernels& kernels, const GatedDelta& delta) {
  // The state is read and written once a part, its rows once each.
  const auto grain = grain_of(64 * (rows_of(delta) + delta.num_parts) * delta.key_dim);
  team.parallel_for(std::int64_t{delta.num_value_heads} * blocks_of(delta.value_dim), grain,
                    [&](std::int64_t first, std::int64_t last, int) {
                      kernels.recurrent.gated_delta(delta, first, last);
                    });
}

void state_scan(Team& team, const Kernels& kernels, const StateScan& scan) {
  const auto grain = grain_of(48 * (rows_of(scan) + scan.num_parts) * scan.state_dim);
  team.parallel_for(std::int64_t{scan.num_heads} * blocks_of(scan.head_dim), grain,
                    [&](std::int64_t first, std::int64_t last, int) {
                      kernels.recurrent.state_scan(scan, first, last);
                    });
}

void gated_norm(Team& team, const Kernels& kernels, const GatedNorm& norm, std::int64_t rows) {
  team.parallel_for(rows * norm.groups, grain_of(8 * norm.width),
                    [&](std::int64_t first, std::int64_t last, int) {
                      kernels.recurrent.gated_norm(norm, first, last);
                    });
}

}  // namespace pippin::cpu
