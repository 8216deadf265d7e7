// AltUp (Gemma 3n; arXiv 2301.13310): a row has A hidden states, of which each layer computes with one, the active, and predicts and
// corrects the others. T = rows, D = hidden size. Streams are [T, A, D]. By MLX's operations but for the products.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nn/layers.h"

namespace pippin::nn {

struct AltUpConfig {
  int num_streams = 0;                  ///< A
  int active = 0;                       ///< which stream the layers compute with
  std::optional<float> coef_clip = {};  ///< coefficients' weights lie within it
  bool output_scale =
      false;  ///< layer inputs' gates read the active stream times correct_output_scale [D]
};

/// From an embedding to streams, and from streams to what the output layer reads.
/// Tensors: model.altup_projections.0 ..., model.altup_unembed_projections.0 ... [D, D], A - 1 of each.
class AltUp {
 public:
  AltUp(const AltUpConfig& config, int hidden_size, Checkpoint& checkpoint);

  /// h [T, D] -> [T, A, D].
  mx::array widen(const mx::array& h) const;
  /// [T, A, D] -> [T, D].
  mx::array narrow(const mx::array& streams) const;

 private:
  std::vector<Linear> projections_, unembed_projections_;
};

/// What one layer does with the streams. Tensors: NAME.{prediction_coefs [A * A, A], correction_coefs [A, A], modality_router [A, D],
/// router_norm [D], correct_output_scale [D]}.
class AltUpLayer {
 public:
  AltUpLayer(const AltUpConfig& config, int hidden_size, float eps, Checkpoint& checkpoint,
             const std::string& name);

  /// Streams before the layer -> what they are expected to be after it.
  mx::array predict(const mx::array& streams) const;
  /// [T, A, D] -> the active stream [T, D].
  mx::array active(const mx::array& streams) const;
  /// Predictions and what the layer gave for the active stream [T, D] -> streams.
  mx::array correct(const mx::array& predictions, const mx::array& activated) const;
  /// What layer inputs' gates read of corrected streams, [T, D].
  mx::array output(const mx::array& streams) const;
  /// y [T, D] joins all streams but the first.
  mx::array add_to_others(const mx::array& streams, const mx::array& y) const;

 private:
  mx::array modalities(const mx::array& x) const;

  AltUpConfig config_;
  mx::array prediction_coefs_, correction_coefs_;  ///< float32
  Linear modality_router_;
  RmsNorm router_norm_;
  std::optional<mx::array> output_scale_;
};

}  // namespace pippin::nn
