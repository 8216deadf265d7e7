// LFM2, dense and with experts: short convolutions with some layers of attention. Reference: transformers models/lfm2 and
// models/lfm2_moe, mlx-lm models/lfm2.py and lfm2_moe.py.
#include <cmath>

#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

// The width that the config gives is adjusted as Llama 1's was.
int intermediate_size(ConfigFields& fields, int width) {
  if (!fields.flag_or("block_auto_adjust_ff_dim", true)) return width;
  const double multiplier = fields.number_or("block_ffn_dim_multiplier", 1.0);
  const int multiple = fields.size_or("block_multiple_of", 256);
  const auto adjusted = static_cast<int>(multiplier * static_cast<int>(2.0 * width / 3));
  return (adjusted + multiple - 1) / multiple * multiple;
}

// layer_types, or in older configs the numbers of the layers with attention.
std::vector<int> layer_kinds(ConfigFields& fields, std::size_t num_layers) {
  const auto types = fields.strings("layer_types");
  std::vector<int> kinds(num_layers, nn::recurrent_layer);
  if (types.empty()) {
    const auto* attention = fields.members().array("full_attn_idxs");
    if (!attention) fields.refuse("layer_types", "is missing");
    for (const auto& layer : *attention) {
      if (!layer.is_int64() || layer.as_int64() < 0 ||
          layer.as_int64() >= static_cast<std::int64_t>(num_layers))
        fields.refuse("full_attn_idxs", "must hold numbers of layers");
      kinds[static_cast<std::size_t>(layer.as_int64())] = 0;
    }
    return kinds;
  }
  if (types.size() != num_layers)
    fields.refuse("layer_types", "must name " + std::to_string(num_layers) + " layers");
  for (std::size_t i = 0; i < num_layers; ++i) {
    if (types[i] == "full_attention")
      kinds[i] = 0;
    else if (types[i] != "conv")
      fields.refuse("layer_types", "'" + types[i] + "' is not supported");
  }
  return kinds;
}

// The decoder's names.
std::string rename(const std::string& name) {
  return replaced(name, {{".self_attn.out_proj.", ".self_attn.o_proj."},
                         {".q_layernorm.", ".q_norm."},
                         {".k_layernorm.", ".k_norm."},
                         {".feed_forward.", ".mlp."},
                         {".mlp.gate.", ".mlp.router."},
                         {".mlp.expert_bias", ".mlp.router.correction"},
                         {".mlp.switch_mlp.", ".mlp.experts."},
                         {".w1.", ".gate_proj."},
                         {".w3.", ".up_proj."},
                         {".w2.", ".down_proj."},
                         {"model.embedding_norm.", "model.norm."}});
}

nn::ShortConvConfig read_conv(ConfigFields& fields, int width) {
  nn::ShortConvConfig conv;
  conv.width = width;
  conv.taps = fields.size_or("conv_L_cache", 3);
  conv.bias = fields.flag_or("conv_bias", false);
  if (conv.taps < 2 || conv.taps > cpu::max_conv_taps)
    fields.refuse("conv_L_cache", "must be in [2, " + std::to_string(cpu::max_conv_taps) + "]");
  return conv;
}

// But for the feed-forward part.
nn::DecoderConfig read_lfm2(ConfigFields& fields, const char* intermediate_size) {
  auto decoder = read_decoder(fields, intermediate_size);
  decoder.norm_eps = fields.number_or("norm_eps", 1e-5);
  decoder.norms.attention_input = "operator_norm";
  decoder.norms.mlp_input = "ffn_norm";
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = true;
  auto& attention = decoder.kinds.front();
  attention.norms = cpu::HeadNorms::each_head;
  decoder.ropes = {nn::make_rope(fields.rope(attention.head_dim, 1000000.0))};
  decoder.short_conv = read_conv(fields, decoder.hidden_size);
  decoder.layers = layer_kinds(fields, decoder.layers.size());
  return decoder;
}

}  // namespace

std::unique_ptr<Model> load_lfm2(const std::filesystem::path& model_dir, const json::object& config,
                                 const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const bool old = fields.members().find("block_ff_dim") != nullptr;
  auto decoder = read_lfm2(fields, old ? "block_ff_dim" : "intermediate_size");
  decoder.intermediate_size = intermediate_size(fields, decoder.intermediate_size);
  if (fields.size_or("block_dim", decoder.hidden_size) != decoder.hidden_size)
    fields.refuse("block_dim", "must be hidden_size");
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

std::unique_ptr<Model> load_lfm2_moe(const std::filesystem::path& model_dir,
                                     const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = read_lfm2(fields, "intermediate_size");
  auto moe = read_moe(fields, "num_experts", fields.size("moe_intermediate_size"));
  moe.router.scores = kernels::RouterScores::sigmoid;
  moe.router.normalize = fields.flag_or("norm_topk_prob", true);
  moe.router.scale = fields.number_or("routed_scaling_factor", 1);
  moe.correction = fields.flag_or("use_expert_bias", true);
  decoder.moe = moe;
  const auto dense = static_cast<std::size_t>(fields.integer_or("num_dense_layers", 2));
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) decoder.routed.push_back(i >= dense);
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

}  // namespace pippin::models
