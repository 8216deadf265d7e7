// Layers whose memory of the tokens before is a state of fixed size: a decoder's blocks may have one in place of attention. T = rows,
// D = hidden size.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/recurrent.h"
#include "kernels/states.h"
#include "nn/layers.h"
#include "nn/model_state.h"

namespace pippin::nn {

/// What differs between kinds of recurrent layers.
class RecurrentMixer {
 public:
  virtual ~RecurrentMixer() = default;
  /// x [T, D] -> what out_proj takes; the rows pass through the sequences' states.
  virtual mx::array operator()(const mx::array& x, std::span<const kernels::StateRows> parts,
                               const LayerSlots& slots) const = 0;
  /// -> D; the end of the residual branch.
  virtual const Linear& out_proj() const = 0;
};

/// Parts that pass through their states by one set of operations: one part, or decode rows (parts of one row) of distinct slots.
std::vector<std::span<const kernels::StateRows>> groups_of(
    std::span<const kernels::StateRows> parts);

/// Runs MLX's operations group by group: body gets the group's rows of x, [B, R, ...], and its states, one for each of the layer's
/// tensors, [B, ...], which it replaces by those after the rows; it returns [B, R, K]. The results of all rows: [T, K].
using GroupBody = std::function<mx::array(const mx::array& x, std::vector<mx::array>& states)>;
mx::array by_groups(const mx::array& x, std::span<const kernels::StateRows> parts,
                    const LayerSlots& slots, std::size_t num_tensors, const GroupBody& body);

/// Columns [begin, end) of the last axis.
mx::array columns(const mx::array& x, int begin, int end);

/// LFM2's operator: out_proj(after * conv(before * input)), with [before, after, input] = in_proj(x).
struct ShortConvConfig {
  int width = 0;  ///< channels
  int taps = 0;
  bool bias = false;  ///< of the projections and of the convolution
};

RecurrentState short_conv_state(const ShortConvConfig& config, mx::Dtype dtype);

/// Tensors: NAME.in_proj, NAME.conv.weight [C, 1, L] or [C, L, 1], NAME.out_proj.
std::unique_ptr<RecurrentMixer> load_short_conv(const ShortConvConfig& config, int hidden_size,
                                                Checkpoint& checkpoint, const std::string& name);

/// NAME.weight of a convolution by channel, [C, 1, L] or [C, L, 1] -> [L, C].
mx::array load_conv_weight(Checkpoint& checkpoint, const std::string& name, int width, int taps);

}  // namespace pippin::nn
