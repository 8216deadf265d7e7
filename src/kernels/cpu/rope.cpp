#include "kernels/cpu/rope.h"

#include <algorithm>
#include <string>

#include "pippin/error.h"

namespace pippin::cpu {
namespace {

// Below this a second thread costs more than it takes over: numbers of q, k and v.
constexpr std::int64_t numbers_per_piece = 16384;

}  // namespace

void check_head_dim(int head_dim) {
  if (head_dim < 8 || head_dim % 8 != 0 || head_dim > max_head_dim)
    throw Error(Code::invalid_argument, "[cpu] head_dim must be a multiple of 8 up to " +
                                            std::to_string(max_head_dim) + ", got " +
                                            std::to_string(head_dim));
}

void check_pools(const KvPools& pools) {
  check_head_dim(pools.head_dim);
  check_head_dim(pools.value_dim());
  if (pools.values_in_keys && pools.value_dim() > pools.head_dim)
    throw Error(Code::invalid_argument, "[cpu] values in keys must have at most head_dim numbers");
  if (pools.page_size < 1 || pools.num_kv_heads < 1)
    throw Error(Code::invalid_argument, "[cpu] page_size and num_kv_heads must be positive");
}

void rope_and_store(Team& team, const Kernels& kernels, const QkvRows& rows,
                    std::int64_t num_rows) {
  check_pools(rows.pools);
  if (rows.rotary_dim < 0 || rows.rotary_dim % 2 != 0 || rows.rotary_begin < 0 ||
      rows.rotary_begin + rows.rotary_dim > rows.pools.head_dim)
    throw Error(Code::invalid_argument, "[cpu] rotary_dim must be even and at most head_dim, got " +
                                            std::to_string(rows.rotary_dim));
  const std::int64_t numbers = (rows.num_heads + 2 * rows.pools.num_kv_heads) * rows.pools.head_dim;
  // Whole pages where there are many rows: keys of neighbouring tokens share cache lines, which two
  // threads would pull from each other at every store.
  const std::int64_t page = rows.pools.page_size, share = num_rows / (4 * team.size());
  const auto least = std::max<std::int64_t>(1, numbers_per_piece / numbers);
  const auto grain = std::max(least, share < page ? share : share / page * page);
  team.parallel_for(num_rows, grain, [&](std::int64_t begin, std::int64_t end, int) {
    kernels.rope.qkv(rows, begin, end);
  });
}

}  // namespace pippin::cpu
