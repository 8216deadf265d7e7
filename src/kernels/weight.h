// Weight matrices as layers hold them, whatever multiplies by them.
#pragma once

#include <mlx/mlx.h>

#include <memory>
#include <optional>
#include <variant>

#include "kernels/cpu/linear.h"
#include "kernels/cpu_backend.h"

namespace pippin::kernels {

using cpu::Scheme;

/// MLX's name of a mode: "affine", "mxfp4", "nvfp4", "mxfp8".
const char* name_of(Scheme scheme);

/// A weight matrix [N, K] in one of MLX's quantizations, by groups along K. As a bank of experts every array has an axis
/// E in front.
struct QuantizedWeight {
  mx::array weight;                 ///< uint32 [N, K * bits / 32]
  mx::array scales;                 ///< float [N, K / group_size]; uint8 where not affine
  std::optional<mx::array> biases;  ///< float [N, K / group_size]; absent where not affine
  int group_size;  ///< affine: 32, 64 or 128, of 6 bits also 16, which MLX's products don't take; mxfp4, mxfp8: 32; nvfp4: 16
  int bits;        ///< affine: 2, 3, 4, 5, 6 or 8; mxfp4, nvfp4: 4; mxfp8: 8
  Scheme scheme = Scheme::affine;
  /// nvfp4's scale of the whole matrix, float32 [] or of a bank [E], 448 * 6 of which mean 1; absent: 1.
  std::optional<mx::array> global_scale = {};
};

/// Its numbers [N, K], in `dtype`.
mx::array dequantized(const QuantizedWeight& w, mx::Dtype dtype);

/// A matrix in the layout of the CPU's kernels.
struct PackedWeight {
  CpuBackendPtr backend;
  cpu::PackedMatrix matrix;
};

/// W [N, K]: plain, quantized, or packed for the CPU. Cheap to copy (shares its content).
class Weight {
 public:
  Weight(mx::array dense) : content_(std::move(dense)) {}
  Weight(QuantizedWeight quantized) : content_(std::move(quantized)) {}

  /// The same matrix packed. Evaluates the source's arrays; they are no longer needed afterwards.
  Weight packed_for(const CpuBackendPtr& backend) const;

  int outputs() const;  ///< N
  int inputs() const;   ///< K

  const mx::array* dense() const { return std::get_if<mx::array>(&content_); }
  const QuantizedWeight* quantized() const { return std::get_if<QuantizedWeight>(&content_); }
  /// Null where not packed.
  std::shared_ptr<const PackedWeight> packed() const {
    const auto* p = std::get_if<std::shared_ptr<const PackedWeight>>(&content_);
    return p ? *p : nullptr;
  }

  /// One matrix with the rows of all, one after the other, where their kinds allow it (not of packed
  /// ones, which need no merging); else nullopt.
  static std::optional<Weight> concatenate(const std::vector<Weight>& parts);

 private:
  explicit Weight(std::shared_ptr<const PackedWeight> packed) : content_(std::move(packed)) {}
  std::variant<mx::array, QuantizedWeight, std::shared_ptr<const PackedWeight>> content_;
};

/// The matrices of experts in the layout of the CPU's kernels.
struct PackedExperts {
  CpuBackendPtr backend;
  cpu::PackedBank matrices;
};

/// A matrix of each of E experts, all of one shape and scheme: plain [E, N, K], quantized, or packed for the CPU. Cheap
/// to copy.
class Bank {
 public:
  Bank(mx::array dense) : content_(std::move(dense)) {}
  Bank(QuantizedWeight quantized) : content_(std::move(quantized)) {}

  /// One bank of the matrices, in order; packed for `backend` where there is one. They must be plain or quantized.
  /// Evaluates them, one after the other.
  static Bank stack(const std::vector<Weight>& matrices, const CpuBackendPtr& backend);
  /// The same bank packed.
  Bank packed_for(const CpuBackendPtr& backend) const;

  const mx::array* dense() const { return std::get_if<mx::array>(&content_); }
  const QuantizedWeight* quantized() const { return std::get_if<QuantizedWeight>(&content_); }
  /// Null where not packed.
  std::shared_ptr<const PackedExperts> packed() const {
    const auto* p = std::get_if<std::shared_ptr<const PackedExperts>>(&content_);
    return p ? *p : nullptr;
  }

 private:
  explicit Bank(std::shared_ptr<const PackedExperts> packed) : content_(std::move(packed)) {}
  std::variant<mx::array, QuantizedWeight, std::shared_ptr<const PackedExperts>> content_;
};

}  // namespace pippin::kernels
