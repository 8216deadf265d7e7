// Reading config.json: what several architectures have in common.
#pragma once

#include <boost/json.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "nn/decoder.h"
#include "nn/rope.h"

namespace pippin::models {

/// A config's fields, as a family's file reads them. Fields that change the computation in some family are known here
/// (config.cpp lists them with the values that change nothing); one that the family has not asked for is an error.
class ConfigFields {
 public:
  ConfigFields(const boost::json::object& config, const std::string& path)
      : members_(config, path) {}

  // These remember that the family asked. Throw Error(invalid_argument) naming the field where it has another type or
  // an impossible value.
  int size(const char* key);  ///< required
  int size_or(const char* key, std::int64_t fallback);
  float number_or(const char* key, double fallback);
  bool flag_or(const char* key, bool fallback);
  std::int64_t integer_or(const char* key, std::int64_t fallback);
  /// A list of integers; empty where absent.
  std::vector<std::int64_t> integers(const char* key);
  /// A list of numbers; empty where absent.
  std::vector<float> numbers(const char* key);
  std::string text_or(const char* key, const char* fallback);
  /// Refuses any other string than `value`; absent is right.
  void expect(const char* key, const char* value);
  /// partial_rotary_factor (also of rope_parameters) times a head's numbers: how many turn.
  int rotary_dims(int head_dim, double default_factor = 1);
  /// A list of one string a layer ("layer_types"); empty where absent.
  std::vector<std::string> strings(const char* key);
  /// The MLP's activation by the names of Hugging Face.
  nn::Activation activation(const char* key, const char* fallback);
  /// rope_theta and rope_scaling (transformers 4), or rope_parameters (transformers 5), for R = dims. `sections` gets
  /// mrope_section where it is not null. rope_parameters may hold an object for each of layer_types: then that of
  /// `layer_type`.
  nn::RopeOptions rope(int dims, double default_theta, std::array<int, 3>* sections = nullptr,
                       const char* layer_type = nullptr);
  /// rope_scaling or rope_parameters, for what a family adds to them; null where absent.
  const boost::json::object* rope_object() const;

  /// Throws Error(invalid_argument) naming a field that changes the computation and was not asked for.
  void check_rest() const;

  const Members& members() const { return members_; }
  /// max_position_embeddings.
  std::int64_t max_context() const;
  [[noreturn]] void refuse(const char* key, const std::string& why) const;

 private:
  Members members_;
  std::set<std::string> asked_;
};

/// The sizes that all decoders have, and so many layers of kind 0. Arguments as below.
nn::DecoderConfig read_sizes(ConfigFields& fields,
                             const char* intermediate_size = "intermediate_size",
                             std::size_t num_layers = 0);

/// The sizes, norms and the one kind of attention that most decoders have: every layer of kind 0, which is causal over
/// all tokens, without norms of heads and biases, and turned by ropes[0] (to be added). intermediate_size: that field's name.
/// num_layers: where the config says it otherwise than by num_hidden_layers.
nn::DecoderConfig read_decoder(ConfigFields& fields,
                               const char* intermediate_size = "intermediate_size",
                               std::size_t num_layers = 0);

/// Some layers see a window of tokens: layer_types names "full_attention" and "sliding_attention" layer by layer.
/// Layers of the second kind get kinds[1], a copy of kinds[0] with sliding_window.
void read_layer_types(ConfigFields& fields, nn::DecoderConfig& config);

/// The same where sliding_window_pattern (else `fallback`) says that every n-th layer sees all tokens.
void read_window_pattern(ConfigFields& fields, nn::DecoderConfig& config, int fallback);

/// A mixture of experts of `width`, whose number `key` gives: softmax over all, num_experts_per_tok of them.
nn::MoeConfig read_moe(ConfigFields& fields, const char* key, int width);

/// Refuses groups of experts that don't fit, by the name of the field that counts experts.
void check_router_groups(const ConfigFields& fields, const nn::MoeConfig& moe, const char* experts);

/// routed_scaling_factor, n_group, topk_group and n_shared_experts, as DeepSeek's kin have them.
void read_router_groups(ConfigFields& fields, nn::MoeConfig& moe);

/// DeepSeek-V3's router, which GLM and Nemotron have, too: sigmoid, a correction, groups of experts, shared experts.
nn::MoeConfig read_grouped_moe(ConfigFields& fields);

/// time_step_limit, which mlx-lm and transformers clip a step of time to. A file's infinite number is 1e308 here (base/json.h).
void read_step_limit(const ConfigFields& fields, nn::Mamba2Config& config);

/// Refuses, by the fields' names, what the kernels don't do.
void check_mamba2(const ConfigFields& fields, const nn::Mamba2Config& config, const char* groups,
                  const char* state, const char* taps);

/// Qwen's layers with experts: every decoder_sparse_step-th, but for those that mlp_only_layers names.
std::vector<bool> routed_layers(ConfigFields& fields, std::size_t num_layers);

/// eos_token_id (a number or a list) of generation_config.json, else of config.json or its
/// text_config.
std::vector<std::int32_t> read_end_tokens(const std::filesystem::path& model_dir,
                                          const boost::json::object& config);

}  // namespace pippin::models
