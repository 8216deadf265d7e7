// Muse Glimmer, text: windows with rotation in three layers of four, gated attention, normed embeddings. Reference: transformers
// models/muse_glimmer, mlx-lm models/muse_glimmer.py.
#include "models/families.h"
#include "models/vision_language.h"

namespace pippin::models {
namespace {

// Three windows, then a layer that sees all, where the config does not name them. kinds[0] sees all and turns nothing.
void read_layers(ConfigFields& fields, nn::DecoderConfig& decoder) {
  read_layer_types(fields, decoder);
  if (fields.strings("layer_types").empty()) {
    decoder.kinds.push_back(decoder.kinds.front());
    decoder.kinds.back().window = fields.size("sliding_window");
    for (std::size_t i = 0; i < decoder.layers.size(); ++i) decoder.layers[i] = i % 4 != 3;
  }
  decoder.kinds.front().rope = -1;
}

// layer_rope_theta has 0 where nothing turns, which is in the layers that see all.
void check_rotations(const ConfigFields& fields, const nn::DecoderConfig& decoder) {
  const auto* bases = fields.members().array("layer_rope_theta");
  if (!bases) return;
  if (bases->size() != decoder.layers.size())
    fields.refuse("layer_rope_theta", "must have an entry a layer");
  for (std::size_t i = 0; i < bases->size(); ++i) {
    const auto& base = (*bases)[i];
    const double wanted =
        decoder.layers[i] == 0 ? 0 : fields.members().number_or("rope_theta", 500000.0);
    if (!base.is_number() || base.to_number<double>() != wanted)
      fields.refuse("layer_rope_theta", "must be 0 in full_attention, rope_theta in the others");
  }
}

std::string text_tensor(const std::string& name) {
  for (const char* part : {"vision_tower", "vision_adapter", "vision_projection"})
    if (name.starts_with(part) || name.starts_with(std::string("model.") + part)) return "";
  return vision_language_tensor(name);
}

}  // namespace

std::unique_ptr<Model> load_muse_glimmer(const std::filesystem::path& model_dir,
                                         const json::object& config,
                                         const nn::LoadOptions& options) {
  const auto* text = Members(config).object("text_config");
  ConfigFields fields(text ? *text : config, text ? "text_config" : "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  attention.norms = cpu::HeadNorms::each_head;
  attention.norm_weights = false;
  attention.scale *= fields.number_or("qk_scale_factor", 3.87);
  attention.output_gate = nn::OutputGate::apart;
  decoder.norm_eps = fields.number_or("rms_norm_eps", 1e-5);
  decoder.output_norm_eps = fields.number_or("post_norm_eps", 1e-8);
  decoder.norm_adds_one = decoder.last_norm_plain = decoder.embedding_norm = true;
  decoder.norms = {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                   "post_feedforward_layernorm"};
  decoder.activation = fields.activation("hidden_activation", "silu");
  fields.expect("hidden_act", "silu");
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  decoder.logit_scale = fields.number_or("output_multiplier", 0.19611613513818404);
  decoder.logit_softcap = fields.number_or("final_logit_softcapping", 20);
  decoder.ropes = {nn::make_rope(fields.rope(attention.head_dim, 500000.0))};
  read_layers(fields, decoder);
  check_rotations(fields, decoder);
  return load_text_model(model_dir, config, fields, decoder, options, text_tensor);
}

}  // namespace pippin::models
