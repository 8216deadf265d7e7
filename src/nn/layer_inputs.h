// Layer inputs: vectors that each layer gets for each row beside the hidden state (Gemma 3n and 4). T = rows, D = hidden size, L =
// layers, P = numbers of one layer's vector.
#pragma once

#include <string>

#include "nn/layers.h"

namespace pippin::nn {

struct LayerInputsConfig {
  int width = 0;     ///< P
  int num_rows = 0;  ///< of the table: tokens beyond take the first one
};

/// Tensors: model.layer_inputs.embedding [rows, L * P], .projection [L * P, D], .norm [P].
class LayerInputs {
 public:
  LayerInputs(const LayerInputsConfig& config, int num_layers, int hidden_size, float eps,
              Checkpoint& checkpoint);

  /// Tokens int32 [T] and their hidden states [T, D] before the first layer -> [T, L * P].
  mx::array operator()(const mx::array& tokens, const mx::array& h) const;

 private:
  LayerInputsConfig config_;
  Embedding embedding_;
  Linear projection_;
  RmsNorm norm_;
};

/// What a layer does with its vector: norm(projection(activation(gate h) * vector)) joins h. Tensors: NAME.{gate,projection,norm}.
class LayerInput {
 public:
  LayerInput(const LayerInputsConfig& config, std::size_t layer, int hidden_size, float eps,
             Activation activation, Checkpoint& checkpoint, const std::string& name);

  /// (h + that) * factor; inputs [T, L * P].
  mx::array add_to(const mx::array& h, const mx::array& inputs, float factor) const;
  /// That alone.
  mx::array operator()(const mx::array& h, const mx::array& inputs) const;

 private:
  mx::array projected(const mx::array& h, const mx::array& inputs) const;

  int first_;  ///< of the layer's columns
  Activation activation_;
  Linear gate_, projection_;
  RmsNorm norm_;
};

}  // namespace pippin::nn
