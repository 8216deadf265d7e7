#include "nn/layer_inputs.h"

#include <cmath>
#include <numbers>

namespace pippin::nn {
namespace {

const std::string prefix = "model.layer_inputs";

// mlx-lm and transformers scale the projection by 1 / sqrt(D), the table by sqrt(P), and their sum by 1 / sqrt(2). A norm undoes
// the first but for its epsilon, which is divided by the square of the factor instead.
float scaled_eps(float eps, int hidden_size) { return eps * static_cast<float>(hidden_size); }

constexpr float half_root = 1 / std::numbers::sqrt2_v<float>;

}  // namespace

LayerInputs::LayerInputs(const LayerInputsConfig& config, int num_layers, int hidden_size,
                         float eps, Checkpoint& checkpoint)
    : config_(config),
      embedding_(Embedding::load(checkpoint, prefix + ".embedding", config.num_rows,
                                 num_layers * config.width)),
      projection_(
          Linear::load(checkpoint, prefix + ".projection", hidden_size, num_layers * config.width)),
      norm_(RmsNorm::load(checkpoint, prefix + ".norm", config.width,
                          scaled_eps(eps, hidden_size))) {}

mx::array LayerInputs::operator()(const mx::array& tokens, const mx::array& h) const {
  const mx::array rows(config_.num_rows, mx::int32);
  const auto known = mx::where(mx::less(tokens, rows), tokens, mx::array(0, mx::int32));
  const auto table = embedding_(known);
  const auto scale = mx::array(std::sqrt(static_cast<float>(config_.width)), table.dtype());
  const auto by_layer = [&](const mx::array& x) { return mx::reshape(x, {-1, config_.width}); };
  return mx::reshape(norm_(by_layer(projection_(h)), {by_layer(table * scale), half_root}),
                     table.shape());
}

LayerInput::LayerInput(const LayerInputsConfig& config, std::size_t layer, int hidden_size,
                       float eps, Activation activation, Checkpoint& checkpoint,
                       const std::string& name)
    : first_(static_cast<int>(layer) * config.width),
      activation_(activation),
      gate_(Linear::load(checkpoint, name + ".gate", hidden_size, config.width)),
      projection_(Linear::load(checkpoint, name + ".projection", config.width, hidden_size)),
      norm_(RmsNorm::load(checkpoint, name + ".norm", hidden_size, eps)) {}

mx::array LayerInput::add_to(const mx::array& h, const mx::array& inputs, float factor) const {
  return norm_(projected(h, inputs), {h, factor});
}

mx::array LayerInput::operator()(const mx::array& h, const mx::array& inputs) const {
  return norm_(projected(h, inputs));
}

mx::array LayerInput::projected(const mx::array& h, const mx::array& inputs) const {
  return projection_(gate_.times(h, activation_, {inputs, first_}));
}

}  // namespace pippin::nn
