// Gated delta layers (Qwen3.5, Qwen3-Next): a short convolution, then a rule that keeps a matrix of keys and values a head.
#pragma once

#include <memory>
#include <string>

#include "nn/recurrent.h"

namespace pippin::nn {

struct GatedDeltaConfig {
  int key_heads = 0, value_heads = 0;  ///< Hk, which divides Hv
  int key_dim = 0, value_dim = 0;      ///< Dk, Dv of a head
  int taps = 0;                        ///< of the convolution
  float norm_eps = 1e-6f;              ///< of the output's norm
};

/// for_cpu_kernels: the matrices lie as those read them, [Hv, Dk, Dv]; else as MLX does, [Hv, Dv, Dk]. dtype: of activations.
RecurrentState gated_delta_state(const GatedDeltaConfig& config, mx::Dtype dtype,
                                 bool for_cpu_kernels);

/// Tensors: NAME.in_proj_{qkv,z,b,a} or NAME.in_proj_{q,k,v,z,b,a}, NAME.conv1d.weight, NAME.dt_bias, NAME.A_log, NAME.norm.weight [Dv], NAME.out_proj.
std::unique_ptr<RecurrentMixer> load_gated_delta(const GatedDeltaConfig& config, int hidden_size,
                                                 Checkpoint& checkpoint, const std::string& name);

}  // namespace pippin::nn
