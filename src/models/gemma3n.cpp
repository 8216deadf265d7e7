// Gemma 3n, text. Reference: transformers models/gemma3n, mlx-lm models/gemma3n.py.
#include <cmath>

#include "models/decoder_model.h"
#include "models/families.h"
#include "models/gemma.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

// One number, or a list of one a layer.
std::vector<int> widths(ConfigFields& fields, std::size_t num_layers) {
  const auto* value = fields.members().find("intermediate_size");
  if (!value || !value->is_array())
    return std::vector<int>(num_layers, fields.size("intermediate_size"));
  std::vector<int> widths;
  for (const auto width : fields.integers("intermediate_size")) {
    if (width < 1 || width > (1 << 24)) fields.refuse("intermediate_size", "must hold sizes");
    widths.push_back(static_cast<int>(width));
  }
  if (widths.size() != num_layers)
    fields.refuse("intermediate_size", "must hold " + std::to_string(num_layers) + " sizes");
  return widths;
}

std::vector<float> sparsities(ConfigFields& fields, std::size_t num_layers) {
  const auto sparsities = fields.numbers("activation_sparsity_pattern");
  if (!sparsities.empty() && sparsities.size() != num_layers)
    fields.refuse("activation_sparsity_pattern",
                  "must hold " + std::to_string(num_layers) + " numbers");
  for (const float share : sparsities)
    if (!(share >= 0 && share < 1))
      fields.refuse("activation_sparsity_pattern", "must hold shares in [0, 1)");
  return sparsities;
}

nn::AltUpConfig altup(ConfigFields& fields) {
  nn::AltUpConfig altup;
  altup.num_streams = fields.size("altup_num_inputs");
  altup.active = static_cast<int>(fields.integer_or("altup_active_idx", 0));
  altup.output_scale = fields.flag_or("altup_correct_scale", true);
  if (altup.active >= altup.num_streams)
    fields.refuse("altup_active_idx", "must be below altup_num_inputs");
  if (altup.num_streams < 2) fields.refuse("altup_num_inputs", "must be at least 2");
  if (fields.members().find("altup_coef_clip"))
    altup.coef_clip = fields.number_or("altup_coef_clip", 0);
  return altup;
}

// Layers with a window turn by a base of their own, as in Gemma 3.
std::vector<kernels::Rope> ropes(ConfigFields& fields, int head_dim) {
  nn::RopeOptions local;
  local.dims = head_dim;
  local.theta = fields.number_or("rope_local_base_freq", 10000.0);
  const auto* by_layer = fields.rope_object();
  if (by_layer && by_layer->contains("sliding_attention"))
    local = fields.rope(head_dim, 10000.0, nullptr, "sliding_attention");
  return {nn::make_rope(fields.rope(head_dim, 1000000.0, nullptr, "full_attention")),
          nn::make_rope(local)};
}

nn::DecoderConfig gemma3n_decoder(ConfigFields& fields) {
  const auto num_layers = static_cast<std::size_t>(fields.size("num_hidden_layers"));
  const auto sizes = widths(fields, num_layers);
  auto decoder = read_decoder(fields, "hidden_size", num_layers);  // widths go by layer
  decoder.intermediate_sizes = sizes;
  decoder.sparsities = sparsities(fields, num_layers);
  decoder.activation = fields.activation("hidden_activation", "gelu_pytorch_tanh");
  decoder.norms = {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                   "post_feedforward_layernorm"};
  decoder.embedding_scale = std::sqrt(static_cast<float>(decoder.hidden_size));
  decoder.logit_softcap = fields.number_or("final_logit_softcapping", 30);
  decoder.laurel_rank = fields.size("laurel_rank");
  decoder.altup = altup(fields);
  auto& full = decoder.kinds.front();
  full.scale = 1;
  full.norms = cpu::HeadNorms::each_head;
  full.value_norm = true;
  auto sliding = full;
  sliding.window = fields.size_or("sliding_window", 512);
  sliding.rope = gemma_sliding;
  decoder.kinds.push_back(sliding);
  decoder.ropes = ropes(fields, sliding.head_dim);
  read_gemma_layers(fields, decoder);
  read_shared_kv(fields, decoder);
  read_layer_inputs(fields, decoder);
  decoder.tied = true;
  return decoder;
}

}  // namespace

std::unique_ptr<Model> load_gemma3n(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  const auto* text = Members(config).object("text_config");
  if (!text) throw Error(Code::invalid_argument, "[config] gemma3n needs text_config");
  ConfigFields fields(*text, "text_config");
  const auto decoder = gemma3n_decoder(fields);
  const auto rename = [&](const std::string& name) {
    const auto ours = gemma_language_tensor(name);
    return ours.empty() ? ours : gemma_text_tensor(ours, decoder);
  };
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

}  // namespace pippin::models
