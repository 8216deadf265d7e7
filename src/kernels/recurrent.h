// The operations of recurrent layers: causal short convolutions, the gated delta rule, Mamba-2's scan. T = rows of a step, C = channels, L = taps.
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

/// Columns [first, first + C) of x, or gated 3 C of them -> [T, C], by the backend's kernels; reads and writes the slots of `states`, [slots, L - 1, C] in
/// plain memory. All float32.
mx::array short_conv(const mx::array& x, const ShortConv& conv, std::span<const StateRows> parts,
                     mx::array& states, CpuBackend& backend, int first = 0);

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

/// Mamba-2's scan (cpu/recurrent_kernels.h). H heads of Dh numbers, G groups of them that share b and c, N numbers of each.
struct StateScan {
  int num_heads, num_groups, head_dim, state_dim;
  mx::array step_bias, rate, skip;  ///< float32 [H]
  float min_step, max_step;
};

/// rows [T, H * Dh + 2 G * N] = [x, b, c]; columns [first, first + H) of `steps` -> [T, H * Dh], by the backend's kernels; reads
/// and writes the slots of `states`, [slots, H, N, Dh] in plain memory. All float32.
mx::array state_scan(const mx::array& rows, const mx::array& steps, int first,
                     const StateScan& scan, std::span<const StateRows> parts, mx::array& states,
                     CpuBackend& backend);

/// The same by MLX's operations, for B sequences of R rows each: rows [B, R, ...], steps [B, R, H], state [B, H, N, Dh] ->
/// float32 [B, R, H * Dh], and the state after the rows.
std::pair<mx::array, mx::array> state_scan_rows(const mx::array& rows, const mx::array& steps,
                                                const mx::array& state, const StateScan& scan);

/// What lies between a recurrent layer's rows and its output projection: norm(x) * silu(gate), or norm(x * silu(gate)).
struct GatedNorm {
  int groups, width;                     ///< each group is normed by itself
  std::optional<mx::array> weight = {};  ///< [width] or [groups * width]; absent: no norm
  bool gate_first = false;               ///< the norm follows the gate
  float eps = 0;
};

/// x [T, groups * width], and as many columns of `gates` from `first` on -> the same, in the dtype of `gates`.
mx::array gated_norm(const mx::array& x, const mx::array& gates, int first, const GatedNorm& norm,
                     const CpuBackendPtr& backend);

}  // namespace pippin::kernels
