// Phi-3 and Phi-4 (mini): projections stored as one, LongRope. Reference: transformers models/phi3, mlx-lm
// models/phi3.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

std::unique_ptr<Model> load_phi3(const std::filesystem::path& model_dir, const json::object& config,
                                 const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  decoder.ropes = {nn::make_rope(fields.rope(fields.rotary_dims(attention.head_dim), 10000.0))};
  // (mlx-lm leaves the window out.)
  if (fields.members().find("sliding_window")) attention.window = fields.size("sliding_window");
  const int query = attention.num_heads * attention.head_dim,
            key = attention.num_kv_heads * attention.head_dim;
  return load_text_model(model_dir, config, fields, decoder, options, {},
                         split_modules({{".self_attn.qkv_proj.",
                                         {{".self_attn.q_proj.", query},
                                          {".self_attn.k_proj.", key},
                                          {".self_attn.v_proj.", key}}},
                                        gate_up_of(decoder)}));
}

}  // namespace pippin::models
