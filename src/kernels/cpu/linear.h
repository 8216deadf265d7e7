// Linear layers on the CPU: packing weights at load, and products over a Team.
#pragma once

#include <cstdint>
#include <span>
#include <variant>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/team.h"

namespace pippin::cpu {

/// A quantized matrix as MLX stores it. Value i of a row lies in the bits [i * bits, (i + 1) * bits)
/// of the row's little-endian stream.
struct QuantizedSource {
  const void* weight;  ///< uint32 [N, K * bits / 32]
  const void* scales;  ///< scale_format [N, K / group]; bytes where not affine
  const void* biases;  ///< the same; null where not affine
  int n, k;
  int group, bits;  ///< 2, 3, 4, 5, 6 or 8 bits
  Format scale_format;
  Scheme scheme = Scheme::affine;
  float factor = 1;  ///< of all scales, where not affine
};

/// A plain matrix, row-major.
struct DenseSource {
  const void* weight;  ///< format [N, K]
  int n, k;
  Format format;
};

/// A weight matrix in the kernels' layout (linear_kernels.h). Immutable.
class PackedMatrix {
 public:
  PackedMatrix(Team& team, Arena& arena, const QuantizedSource& source);
  PackedMatrix(Team& team, Arena& arena, const DenseSource& source);

  int n() const { return n_; }  ///< outputs
  int k() const { return k_; }  ///< inputs
  int num_panels() const { return (n_ + panel_rows - 1) / panel_rows; }
  std::size_t bytes() const { return memory_.size; }
  /// Null where the matrix is plain (or quantized).
  const QuantizedPanels* quantized() const { return std::get_if<QuantizedPanels>(&panels_); }
  const DensePanels* dense() const { return std::get_if<DensePanels>(&panels_); }
  /// Whether both are stored alike, shape and all, so that one may be the other's `times`.
  bool same_layout(const PackedMatrix& other) const;

  /// Row `row` as floats: out [K].
  void row(int row, float* out) const;

 private:
  int n_, k_;
  Slice memory_;
  std::variant<QuantizedPanels, DensePanels> panels_;
};

/// One linear operation: y = x W^T for all parts, which lie side by side in the output: part i
/// begins at column n of the parts before it. Or, where `gated`, silu(x W0^T) * (x W1^T).
struct LinearArgs {
  const float* x;         ///< [rows, K]
  std::int64_t x_stride;  ///< floats from row to row
  int rows;
  std::span<const PackedMatrix* const> parts;
  bool gated = false;  ///< two parts of the same layout
  Output output;
  bool exact = false;  ///< activations stay float32: no 8 bits, no bf16
};

/// Runs it on all threads of the team. `scratch` holds activations in 8 bits or bf16, and unpacked weights.
void linear(Team& team, const Kernels& kernels, Scratch& scratch, const LinearArgs& args);

/// Consecutive rows of x that multiply a matrix of their own, or a gated pair.
struct RowsOfMatrix {
  int row, rows;  ///< [row, row + rows) of x and of the output
  const PackedMatrix* w;
  const PackedMatrix* times = nullptr;  ///< of w's layout; null: not gated
  const float* bias = nullptr;          ///< [N], before the activation, or none
  const float* times_bias = nullptr;    ///< [N], or none
};

/// The same for rows of several matrices of one shape: y[m] = x[m] W(m)^T. `args` has no parts; its output has no
/// biases. The runs cover the rows in order.
void linear_by_runs(Team& team, const Kernels& kernels, Scratch& scratch, const LinearArgs& args,
                    std::span<const RowsOfMatrix> runs);

}  // namespace pippin::cpu
