// Reading config.json: what several architectures have in common.
#pragma once

#include <boost/json.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pippin::models {

/// A decoder's dimensions, as Hugging Face's Qwen3Config names them.
struct DecoderConfig {
  int hidden_size = 0;  ///< D
  int num_hidden_layers = 0;
  int intermediate_size = 0;
  int num_attention_heads = 0;  ///< H
  int num_key_value_heads = 0;  ///< Hkv
  int head_dim = 0;
  int vocab_size = 0;  ///< V
  std::int64_t max_position_embeddings = 0;
  float rms_norm_eps = 1e-6f;
  float rope_theta = 0;
  std::array<int, 3> mrope_section = {
      0, 0, 0};  ///< frequencies for time, height, width; zeros: plain rope
  bool tie_word_embeddings = false;

  /// Throws Error(invalid_argument) naming a missing or impossible field, and on rope scaling other
  /// than the default.
  static DecoderConfig from_json(const boost::json::object& config, const std::string& path);
};

/// eos_token_id (a number or a list) of generation_config.json, else of config.json or its
/// text_config.
std::vector<std::int32_t> read_end_tokens(const std::filesystem::path& model_dir,
                                          const boost::json::object& config);

}  // namespace pippin::models
