// Logits -> tokens by our GPU kernels, by the rule of kernels/cpu/sampling.h.
#pragma once

#include <mlx/mlx.h>

#include <cstdint>
#include <vector>

#include "kernels/gpu/kernel.h"

namespace pippin::kernels::gpu {

/// What happens to one token's logit x: x + bias, then divided by the factor (where positive, else multiplied), then less the rest.
struct LogitEdit {
  std::int32_t token;
  float bias = 0, factor = 1, less = 0;
};

/// What some row of a step wants: what is launched.
struct SamplingKind {
  bool top_k = false, top_p = false, edits = false, masks = false;
  auto operator<=>(const SamplingKind&) const = default;
};

/// A step's rows, as the kernels read them.
class SamplingInput {
 public:
  struct Row {
    float temperature = 0;  ///< below 1e-5 takes the largest logit
    int top_k = 0;          ///< 0 or at least `width`: keeps all
    float top_p = 1;
    float min_p = 0;
    float uniform = 0;
    std::vector<LogitEdit> edits = {};       ///< of a token one at most
    const std::uint32_t* allowed = nullptr;  ///< ceil(width / 32) words; null: all tokens are
  };
  /// width: tokens of a row.
  explicit SamplingInput(int width);
  void add(const Row& row);

  int rows() const { return rows_; }
  const SamplingKind& kind() const { return kind_; }
  /// int32 [8 * (rows + 1)].
  const std::vector<std::int32_t>& words() const { return words_; }
  /// int32 of rows that have a mask: [ceil(width / 32)] each.
  const std::vector<std::int32_t>& masks() const { return masks_; }
  /// int32 [4] each.
  const std::vector<std::int32_t>& edits() const { return edits_; }

 private:
  int width_, rows_ = 0;
  SamplingKind kind_;
  std::vector<std::int32_t> words_, masks_, edits_;
};

/// The same as arrays, each of at least 8 numbers.
struct SamplingArrays {
  mx::array words, masks, edits;
};
SamplingArrays arrays_of(const SamplingInput& input);

/// Whether sample() takes logits [R, V]; whether it is chosen is asked apart.
bool can_sample(const Executor* executor, const mx::array& logits);

/// A token of each row of logits [R, V], int32 [R]. A row's token depends on nothing but its logits, as they were before a cast, and its words.
mx::array sample(Executor& executor, const mx::array& logits, const SamplingArrays& rows,
                 const SamplingKind& kind);

}  // namespace pippin::kernels::gpu
