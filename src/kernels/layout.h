// From page tables (host data) to the PagedLayout of a step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/ops.h"

namespace pippin::kernels {

/// One sequence's part of a step: its last `rows` of `length` context tokens are new.
struct ContextRows {
  std::span<const std::int32_t> pages;  ///< holds `length` tokens, page_size a page, in order
  int length;
  int rows;
};

/// Lays the parts out in order; neighbouring parts of one row become one group.
/// With a backend, for the CPU's kernels. `for_gpu_kernels`: decode rows, for gpu::executor()'s; where that is none, too, the layout is
/// for MLX's operations.
PagedLayout make_layout(const std::vector<ContextRows>& parts, int page_size,
                        const CpuBackendPtr& backend = nullptr, bool for_gpu_kernels = false);

}  // namespace pippin::kernels
