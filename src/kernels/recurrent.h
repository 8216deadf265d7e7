// The operations of recurrent layers: causal short convolutions and the gated delta rule. T = rows of a step, C = channels, L = taps.
#pragma once

#include <mlx/mlx.h>

#include <optional>
#include <span>
#include <utility>

#include "kernels/cpu_backend.h"
#include "kernels/states.h"

namespace pippin::kernels {

namespace mx = mlx::core;

/// Each channel is convolved by itself, over its sequence's rows up to the row. The state is the last L - 1 rows that went in,
/// [L - 1, C], oldest first.
struct ShortConv {
  mx::array weight;  ///< [L, C], for the oldest row first; L in [2, cpu::max_conv_taps]
  std::optional<mx::array> bias = {};  ///< [C]
  /// Rows are [before, after, input], 3 C numbers: conv(before * input) * after.
  bool gated = false;
  bool silu = false;  ///< of the result
};

/// x [T, C], or gated [T, 3 C] -> [T, C], by the backend's kernels; reads and writes the slots of `states`, [slots, L - 1, C] in
/// plain memory. All float32.
mx::array short_conv(const mx::array& x, const ShortConv& conv, std::span<const StateRows> parts,
                     mx::array& states, CpuBackend& backend);

/// The same by MLX's operations, for B sequences of R rows each: x [B, R, C] (gated [B, R, 3 C]), past [B, L - 1, C] ->
/// [B, R, C], and the state after the rows.
std::pair<mx::array, mx::array> short_conv_rows(const mx::array& x, const mx::array& past,
                                                const ShortConv& conv);

/// What the gated delta rule takes of a step's rows.
struct GatedDelta {
  mx::array q, k;         ///< [T, Hk, Dk], normalized and scaled
  mx::array v;            ///< [T, Hv, Dv]
  mx::array decay, beta;  ///< [T, Hv], in (0, 1)
};

/// -> [T, Hv, Dv], by the backend's kernels (cpu/recurrent_kernels.h); reads and writes the slots of `states`, [slots, Hv, Dk, Dv] in
/// plain memory. All float32.
mx::array gated_delta(const GatedDelta& rows, std::span<const StateRows> parts, mx::array& states,
                      CpuBackend& backend);

}  // namespace pippin::kernels
