// Gemma 2, and Gemma 3 (text). Reference: transformers models/gemma2 and models/gemma3, mlx-lm models/gemma2.py and
// gemma3_text.py.
#include <cmath>

#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

// layer_types, or in older configs every n-th layer sees all tokens.
std::vector<int> layer_kinds(ConfigFields& fields, std::size_t num_layers) {
  const auto types = fields.strings("layer_types");
  const int pattern = fields.size_or("sliding_window_pattern", 6);
  if (!types.empty() && types.size() != num_layers)
    fields.refuse("layer_types", "must name " + std::to_string(num_layers) + " layers");
  std::vector<int> kinds;
  for (std::size_t i = 0; i < num_layers; ++i) {
    const bool sliding =
        types.empty() ? (static_cast<int>(i) + 1) % pattern != 0 : types[i] == "sliding_attention";
    if (!types.empty() && !sliding && types[i] != "full_attention")
      fields.refuse("layer_types", "'" + types[i] + "' is not supported");
    kinds.push_back(sliding ? 1 : 0);
  }
  return kinds;
}

// The square root of D as the reference rounds it.
float embedding_scale(int hidden_size) {
  const auto root = mx::astype(mx::array(std::sqrt(static_cast<float>(hidden_size))), mx::bfloat16);
  return mx::astype(root, mx::float32).item<float>();
}

// Layers that see a window turn by a small base, the others by a large one, which may be scaled.
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

// What both have. kinds[0] sees all.
nn::DecoderConfig gemma_decoder(ConfigFields& fields, double query_scalar) {
  auto decoder = read_decoder(fields);
  auto& global = decoder.kinds.front();
  global.scale = 1.0f / std::sqrt(fields.number_or("query_pre_attn_scalar", query_scalar));
  decoder.activation = fields.activation("hidden_activation", "gelu_pytorch_tanh");
  decoder.norm_adds_one = true;
  decoder.norms = {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                   "post_feedforward_layernorm"};
  return decoder;
}

}  // namespace

// Every other layer has a window, the first one, too. (mlx-lm leaves the window out.)
nn::DecoderConfig gemma2_decoder(ConfigFields& fields) {
  auto decoder = gemma_decoder(fields, 256);
  fields.activation("hidden_act",
                    "gelu_pytorch_tanh");  // of old configs, whose meaning is hidden_activation's
  auto& global = decoder.kinds.front();
  global.softcap = fields.number_or("attn_logit_softcapping", 50);
  decoder.logit_softcap = fields.number_or("final_logit_softcapping", 30);
  decoder.embedding_scale = std::sqrt(static_cast<float>(decoder.hidden_size));
  decoder.ropes = {nn::make_rope(fields.rope(global.head_dim, 10000.0))};
  read_layer_types(fields, decoder);
  if (fields.strings("layer_types").empty() && fields.members().find("sliding_window"))
    read_window_pattern(fields, decoder, 2);
  return decoder;
}

std::unique_ptr<Model> load_gemma2(const std::filesystem::path& model_dir,
                                   const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = gemma2_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

std::unique_ptr<Model> load_gemma3_text(const std::filesystem::path& model_dir,
                                        const json::object& config,
                                        const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = gemma_decoder(fields, 256);
  auto global = decoder.kinds.front();
  global.norms = cpu::HeadNorms::each_head;
  auto local = global;
  local.window = fields.size_or("sliding_window", 512);
  local.rope = 1;
  decoder.kinds = {global, local};
  decoder.layers = layer_kinds(fields, decoder.layers.size());
  decoder.ropes = ropes(fields, global.head_dim);
  decoder.embedding_scale = embedding_scale(decoder.hidden_size);
  return load_text_model(model_dir, config, fields, decoder, options);
}

}  // namespace pippin::models
