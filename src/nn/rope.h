// Rotary embeddings by the kinds of scaling that published configs name.
#pragma once

#include <string>
#include <vector>

#include "kernels/ops.h"

namespace pippin::nn {

/// What a config says about its rotary embedding (rope_scaling, rope_parameters).
struct RopeOptions {
  int dims =
      0;  ///< R: numbers of a head that turn, even ("proportional": of which rotated_share do)
  float theta = 10000.0f;
  bool interleaved = false;
  /// default, linear, dynamic, llama3, yarn, longrope, proportional.
  std::string type = "default";
  float factor = 1;
  float low_freq_factor = 1, high_freq_factor = 4;  ///< llama3
  int original_context = 0;                         ///< llama3, yarn, longrope
  int max_context = 0;                              ///< longrope
  float beta_fast = 32, beta_slow = 1;              ///< yarn
  bool truncate = true;                  ///< yarn: the blend begins and ends at whole frequencies
  float mscale = 1, mscale_all_dim = 0;  ///< yarn
  std::vector<float> long_factors;       ///< longrope: [R / 2]
  float rotated_share = 1;               ///< proportional
};

/// Throws Error(invalid_argument) naming a type that is none of those above. "dynamic" is "default": the base grows
/// only beyond max_position_embeddings, and contexts end there. "longrope" takes the long factors at every length, as
/// mlx-lm does, since keys that are cached must turn alike.
kernels::Rope make_rope(const RopeOptions& options);

}  // namespace pippin::nn
