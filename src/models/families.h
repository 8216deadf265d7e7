// One function a family: reads config.json, says what is special, and loads the model. registry.cpp lists them.
#pragma once

#include <boost/json.hpp>

#include <filesystem>
#include <memory>

#include "models/config.h"
#include "models/model.h"
#include "nn/checkpoint.h"

namespace pippin::models {

using LoadFn = std::unique_ptr<Model>(const std::filesystem::path& model_dir,
                                      const boost::json::object& config,
                                      const nn::LoadOptions& options);

LoadFn load_bailing_moe, load_cohere2, load_deepseek_v2, load_deepseek_v3, load_ernie4_5,
    load_exaone4, load_falcon_h1, load_gemma2, load_gemma3_text, load_gemma3n, load_gemma4,
    load_gemma4_text, load_glm4, load_glm4_moe, load_glm4_moe_lite, load_gpt_oss, load_granite,
    load_granitemoe, load_granitemoehybrid, load_hunyuan_v1_dense, load_lfm2, load_lfm2_moe,
    load_llama, load_minimax, load_ministral3, load_mistral, load_mistral3, load_mistral4,
    load_mixtral, load_muse_glimmer, load_nemotron_h, load_olmo2, load_olmo3, load_olmoe, load_phi3,
    load_qwen2, load_qwen2_moe, load_qwen3, load_qwen3_5, load_qwen3_moe, load_qwen3_next,
    load_qwen3_vl, load_qwen3_vl_moe, load_seed_oss, load_smollm3;

/// The decoders that families share.
nn::DecoderConfig gemma2_decoder(ConfigFields& fields);
nn::DecoderConfig llama_decoder(ConfigFields& fields);
nn::DecoderConfig mistral_decoder(ConfigFields& fields);
nn::DecoderConfig ministral3_decoder(ConfigFields& fields);
nn::DecoderConfig qwen2_decoder(ConfigFields& fields);
nn::DecoderConfig qwen3_decoder(ConfigFields& fields, std::array<int, 3>* sections = nullptr);
nn::DecoderConfig qwen3_moe_decoder(ConfigFields& fields, std::array<int, 3>* sections = nullptr);

/// Mistral Small 4, whose `fields` may be a part of `config`.
std::unique_ptr<Model> load_mistral4_text(const std::filesystem::path& model_dir,
                                          const boost::json::object& config, ConfigFields& fields,
                                          const nn::LoadOptions& options,
                                          const nn::RenameFn& rename);

/// llama_4_scaling_beta of rope_parameters.
nn::QueryScale read_query_scale(const ConfigFields& fields);

/// `name`, or nothing where it is of a layer after the last, which predicts tokens ahead.
std::string without_layers_beyond(const std::string& name, std::size_t num_layers);

/// DeepSeek's and GLM's names of a router and of its experts -> nn::Moe's, without the layers after the last.
std::string grouped_moe_tensor(const std::string& name, std::size_t num_layers);

/// Qwen's names of a router and of its experts -> nn::Moe's.
std::string qwen3_moe_tensor(const std::string& name);

}  // namespace pippin::models
