// Mamba-2 layers (Nemotron-H, Granite 4, Falcon-H1): a short convolution, a scan that keeps a matrix a head, a gated norm.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "nn/recurrent.h"

namespace pippin::nn {

struct Mamba2Config {
  int heads = 0, head_dim = 0;  ///< H, Dh
  int groups = 0;     ///< G, which divides H: heads of a group share what they write and read
  int state_dim = 0;  ///< N
  int taps = 0;       ///< of the convolution
  bool conv_bias = false, proj_bias = false;
  std::optional<bool> out_bias = {};  ///< of out_proj; absent: proj_bias
  bool normed = true;                 ///< else the gate alone multiplies what the scan gives
  bool gate_first = true;             ///< the norm follows the gate
  float min_step = 0, max_step = std::numeric_limits<float>::infinity();  ///< of time
  int norm_groups = 1;     ///< parts of a row that the gated norm takes by themselves
  float norm_eps = 1e-5f;  ///< of that norm
};

/// dtype: of activations.
RecurrentState mamba2_state(const Mamba2Config& config, mx::Dtype dtype);

/// Tensors: NAME.in_proj [H Dh (gate) + H Dh + 2 G N (convolved) + H (steps), D], NAME.conv1d, NAME.dt_bias, NAME.A_log, NAME.D,
/// NAME.norm.weight [H Dh] (where normed), NAME.out_proj.
std::unique_ptr<RecurrentMixer> load_mamba2(const Mamba2Config& config, int hidden_size,
                                            Checkpoint& checkpoint, const std::string& name);

}  // namespace pippin::nn
