// The pages that hold the keys and values of every sequence, as the CPU's kernels lay them out.
#pragma once

#include <cstdint>

#include "kernels/cpu/linear_kernels.h"

namespace pippin::cpu {

/// One layer's keys and values: page_size tokens a page, any number of pages. A page's part of one
/// head is one run of page_size * head_dim numbers that starts at number (page * num_kv_heads + head)
/// * page_size * head_dim. Keys are stored [D, page_size] in it, so that the scores of 16 neighbouring
/// keys are 16 lanes; values [page_size, D]. Slot s is token s % page_size of page s / page_size.
struct KvPools {
  void* k;
  void* v;
  Format format;
  int num_kv_heads;
  int head_dim;   ///< D: a multiple of 8, at most max_head_dim
  int page_size;  ///< tokens; any, but a multiple of 16 is read several times faster
};

inline constexpr int max_head_dim = 512;

}  // namespace pippin::cpu
