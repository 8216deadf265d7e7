#include "kernels/cpu/norm.h"

#include <algorithm>

namespace pippin::cpu {
namespace {

// A thread takes at least this many values at once: some 10 us of work, several times what handing
// it over costs.
constexpr std::int64_t values_per_piece = 32 << 10;

template <class Rows>
void split(Team& team, const Norm& norm, std::int64_t rows, const Rows& rows_of) {
  const auto grain = std::max<std::int64_t>(1, values_per_piece / std::max(norm.width, 1));
  team.parallel_for(
      rows, grain, [&](std::int64_t first, std::int64_t last, int) { rows_of(norm, first, last); });
}

}  // namespace

void rms_norm(Team& team, const Kernels& kernels, const Norm& norm, std::int64_t rows) {
  split(team, norm, rows, kernels.norm.rms_norm);
}

void layer_norm(Team& team, const Kernels& kernels, const Norm& norm, std::int64_t rows) {
  split(team, norm, rows, kernels.norm.layer_norm);
}

}  // namespace pippin::cpu
