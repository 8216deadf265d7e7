// Rows through the states of recurrent layers: one thread's share.
#pragma once

#include <cstdint>

namespace pippin::cpu {

/// Consecutive rows of one sequence and its state. Parts of one sequence follow each other in order.
struct StatePart {
  float* state;           ///< read before the rows, written after them
  float* save = nullptr;  ///< gets a copy of the state after the rows; or none
  int first_row, rows;
};

constexpr int max_conv_taps = 8;
constexpr int max_delta_key_dim = 256;
constexpr int max_scan_state = 256;

/// A causal convolution of each channel by itself: out = sum over t of weight[t] * u[row - taps + 1 + t] + bias, where u is x, or,
/// gated, before * input; then silu, or, gated, times after. All is float32.
struct ShortConv {
  const float* x;         ///< [rows, width], or gated [rows, 3 * width]: before, after, input
  std::int64_t x_stride;  ///< of a row
  bool gated = false;
  bool silu = false;
  const float* weight;          ///< [taps, width], for the oldest row first
  const float* bias = nullptr;  ///< [width], or none
  int width, taps;              ///< taps in [2, max_conv_taps]
  const StatePart* parts;       ///< state: the last taps - 1 of u, [taps - 1, width], oldest first
  int num_parts;
  float* out;  ///< [rows, width]
};

/// Gated delta rule, by value head: S = decay * S; S += k (beta * (v - k S)); out = q S. All is float32.
struct GatedDelta {
  const float *q, *k;                         ///< [rows, Hk, Dk]
  const float* v;                             ///< [rows, Hv, Dv]
  std::int64_t q_stride, k_stride, v_stride;  ///< of a row
  const float* decay;                         ///< [rows, Hv]
  const float* beta;                          ///< [rows, Hv]
  int num_key_heads, num_value_heads;  ///< Hk divides Hv: heads of values share keys in order
  int key_dim, value_dim;              ///< Dk at most max_delta_key_dim
  const StatePart* parts;              ///< state [Hv, Dk, Dv]
  int num_parts;
  float* out;  ///< [rows, Hv, Dv]
};

/// Mamba-2's scan, by head: dt = softplus(step + step_bias), kept within the bounds; S = exp(-rate * dt) * S + b (dt * x);
/// out = c S + skip * x. All is float32.
struct StateScan {
  const float* x;                        ///< [rows, H, Dh]
  const float *b, *c;                    ///< [rows, G, N]
  const float* step;                     ///< [rows, H]
  std::int64_t row_stride;               ///< of x, b and c
  std::int64_t step_stride;              ///< of step
  const float *step_bias, *rate, *skip;  ///< [H]
  float min_step, max_step;              ///< of dt
  int num_heads, num_groups;             ///< G divides H: heads share b and c in order
  int head_dim, state_dim;               ///< Dh; N at most max_scan_state
  const StatePart* parts;                ///< state [H, N, Dh]
  int num_parts;
  float* out;  ///< [rows, H, Dh]
};

/// out = norm(x) * silu(gate), or norm(x * silu(gate)): RMS norms of groups of numbers. All is float32.
struct GatedNorm {
  const float* x;            ///< [rows, groups, width]
  const float* gate;         ///< the same, but for its rows' stride
  std::int64_t gate_stride;  ///< of a row
  const float* weight;       ///< [width] of every group, or [groups, width]; null: no norm
  bool weight_by_group;
  bool gate_first;  ///< the norm follows the gate
  int groups, width;
  float eps;
  float* out;  ///< as x
};

/// Blocks of 16 channels or values that a head has.
constexpr int blocks_of(int width) { return (width + 15) / 16; }

/// A row's bits depend on the rows of its sequence up to it, not on how they are cut into parts or steps.
struct RecurrentKernels {
  /// Channels of blocks [first, last).
  void (*short_conv)(const ShortConv& conv, std::int64_t first, std::int64_t last);
  /// Blocks [first, last) of values: head * blocks_of(Dv) + block.
  void (*gated_delta)(const GatedDelta& delta, std::int64_t first, std::int64_t last);
  /// Blocks [first, last) of values: head * blocks_of(Dh) + block.
  void (*state_scan)(const StateScan& scan, std::int64_t first, std::int64_t last);
  /// Groups [first, last): row * groups + group.
  void (*gated_norm)(const GatedNorm& norm, std::int64_t first, std::int64_t last);
};

}  // namespace pippin::cpu
