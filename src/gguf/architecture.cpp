#include "gguf/architecture.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "gguf/blocks.h"
#include "pippin/error.h"

namespace pippin::gguf {
namespace {

namespace json = boost::json;

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[gguf] " + what);
}

/// Reads a file's keys, most of which begin with the architecture's name.
class Keys {
 public:
  explicit Keys(const std::vector<File>& files)
      : files_(files),
        metadata_(files.front().metadata()),
        architecture_(metadata_.text("general.architecture").value_or("")) {}

  const std::string& architecture() const { return architecture_; }
  const Metadata& metadata() const { return metadata_; }
  std::string of(const char* key) const { return architecture_ + "." + key; }
  bool has(const char* key) const { return metadata_.has(of(key)); }
  std::optional<std::int64_t> integer(const char* key) const { return metadata_.integer(of(key)); }
  std::optional<double> number(const char* key) const { return metadata_.number(of(key)); }
  std::int64_t required(const char* key) const {
    const auto value = integer(key);
    if (!value) throw_invalid("metadata '" + of(key) + "' is missing");
    return *value;
  }
  const Tensor* tensor(const std::string& name) const {
    for (const auto& file : files_)
      if (const auto* found = file.find(name)) return found;
    return nullptr;
  }
  std::vector<float> floats(const std::string& name) const {
    for (const auto& file : files_)
      if (const auto* found = file.find(name)) return file.floats(*found);
    return {};
  }
  const std::vector<File>& files() const { return files_; }

 private:
  const std::vector<File>& files_;
  const Metadata& metadata_;
  std::string architecture_;
};

std::int64_t head_dim(const Keys& keys) {
  if (const auto length = keys.integer("attention.key_length")) return *length;
  return keys.required("embedding_length") /
         std::max<std::int64_t>(1, keys.required("attention.head_count"));
}

// Llama 3's scaling is a tensor of what each frequency is divided by. "longrope" says it number by number, and multiplies nothing
// where the context did not grow.
void add_frequency_factors(const Keys& keys, json::object& config) {
  const auto factors = keys.floats("rope_freqs.weight");
  if (factors.empty() ||
      std::all_of(factors.begin(), factors.end(), [](float x) { return x == 1; }))
    return;
  json::array list;
  for (const float factor : factors) list.emplace_back(static_cast<double>(factor));
  config["rope_scaling"] = {
      {"rope_type", "longrope"},
      {"long_factor", list},
      {"original_max_position_embeddings", config.at("max_position_embeddings")}};
}

void add_rope(const Keys& keys, json::object& config) {
  config["rope_theta"] = keys.number("rope.freq_base").value_or(10000);
  const auto type = keys.metadata().text(keys.of("rope.scaling.type")).value_or("none");
  const double factor = keys.number("rope.scaling.factor").value_or(1);
  if (type == "linear" && factor != 1)
    config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", factor}};
  else if (type == "yarn")
    config["rope_scaling"] = {
        {"rope_type", "yarn"},
        {"factor", factor},
        {"original_max_position_embeddings", keys.required("rope.scaling.original_context_length")},
        {"beta_fast", keys.number("rope.scaling.yarn_beta_fast").value_or(32)},
        {"beta_slow", keys.number("rope.scaling.yarn_beta_slow").value_or(1)}};
  else if (type != "none" && type != "linear")
    throw_invalid("metadata '" + keys.of("rope.scaling.type") + "' is '" + type +
                  "', which is not supported; these are: none, linear, yarn");
  add_frequency_factors(keys, config);
}

// What all have.
json::object common(const Keys& keys, const char* model_type) {
  json::object config;
  config["model_type"] = model_type;
  config["hidden_size"] = keys.required("embedding_length");
  config["intermediate_size"] = keys.required("feed_forward_length");
  config["num_hidden_layers"] = keys.required("block_count");
  config["num_attention_heads"] = keys.required("attention.head_count");
  config["num_key_value_heads"] =
      keys.integer("attention.head_count_kv").value_or(keys.required("attention.head_count"));
  config["head_dim"] = head_dim(keys);
  config["rms_norm_eps"] = keys.number("attention.layer_norm_rms_epsilon").value_or(1e-6);
  config["max_position_embeddings"] = keys.required("context_length");
  const auto* table = keys.tensor("token_embd.weight");
  if (!table || table->shape.size() != 2)
    throw_invalid("tensor 'token_embd.weight' is missing or no matrix");
  config["vocab_size"] = table->shape[0];
  config["tie_word_embeddings"] = keys.tensor("output.weight") == nullptr;
  config["dtype"] = "bfloat16";
  add_rope(keys, config);
  return config;
}

// Queries and keys are stored so that the numbers that turn together lie side by side.
void add_interleaved(const Keys& keys, json::object& config) {
  config["rope_traditional"] = true;
  if (keys.tensor("blk.0.attn_q.bias")) config["attention_bias"] = true;
}

void add_experts(const Keys& keys, const char* count_key, json::object& config) {
  config[count_key] = keys.required("expert_count");
  config["num_experts_per_tok"] = keys.required("expert_used_count");
}

json::object llama(const Keys& keys) {
  const bool experts = keys.integer("expert_count").value_or(0) > 0;
  auto config = common(keys, experts ? "mixtral" : "llama");
  add_interleaved(keys, config);
  if (experts) add_experts(keys, "num_local_experts", config);
  return config;
}

json::object mistral3(const Keys& keys) {
  auto config = common(keys, "ministral3");
  add_interleaved(keys, config);
  const auto beta = keys.number("attention.temperature_scale");
  const auto mscale = keys.number("rope.scaling.yarn_log_multiplier");
  if (!beta || !config.contains("rope_scaling")) {
    config["model_type"] = "mistral";
    return config;
  }
  auto& rope = config["rope_scaling"].as_object();
  rope["llama_4_scaling_beta"] = *beta;
  // The published models have the same number for both, which cancel.
  if (mscale) rope["mscale"] = rope["mscale_all_dim"] = *mscale;
  config["rope_parameters"] = rope;
  config.erase("rope_scaling");
  return config;
}

json::object qwen2(const Keys& keys) { return common(keys, "qwen2"); }
json::object qwen3(const Keys& keys) { return common(keys, "qwen3"); }

// Gated delta layers, and attention in some: a flag a layer, or in every n-th.
json::object qwen3_5(const Keys& keys) {
  auto config = common(keys, "qwen3_5_text");
  const auto layers =
      keys.required("block_count") - keys.integer("nextn_predict_layers").value_or(0);
  config["num_hidden_layers"] = layers;
  const auto value_heads = keys.required("ssm.time_step_rank");
  config["linear_num_key_heads"] = keys.required("ssm.group_count");
  config["linear_num_value_heads"] = value_heads;
  config["linear_key_head_dim"] = keys.required("ssm.state_size");
  config["linear_value_head_dim"] =
      keys.required("ssm.inner_size") / std::max<std::int64_t>(1, value_heads);
  config["linear_conv_kernel_dim"] = keys.required("ssm.conv_kernel");
  config["partial_rotary_factor"] = static_cast<double>(keys.required("rope.dimension_count")) /
                                    static_cast<double>(head_dim(keys));
  config["full_attention_interval"] = keys.integer("full_attention_interval").value_or(4);
  const auto recurrent = keys.metadata().integers(keys.of("attention.recurrent_layers"));
  if (recurrent.empty()) return config;
  if (static_cast<std::int64_t>(recurrent.size()) < layers)
    throw_invalid("metadata '" + keys.of("attention.recurrent_layers") +
                  "' must have a flag a layer");
  json::array types;
  for (std::int64_t i = 0; i < layers; ++i)
    types.emplace_back(recurrent[static_cast<std::size_t>(i)] ? "linear_attention"
                                                              : "full_attention");
  config["layer_types"] = types;
  return config;
}

json::object qwen3_moe(const Keys& keys) {
  auto config = common(keys, "qwen3_moe");
  add_experts(keys, "num_experts", config);
  config["moe_intermediate_size"] = keys.required("expert_feed_forward_length");
  config["norm_topk_prob"] = true;
  return config;
}

// The file does not say what divides the scores: a head's size, but for the largest model (27B) the mean one.
void add_query_scale(const Keys& keys, std::int64_t layers_of_largest, json::object& config) {
  const auto heads = keys.required("attention.head_count");
  const bool largest = keys.required("block_count") == layers_of_largest;
  config["query_pre_attn_scalar"] =
      largest ? keys.required("embedding_length") / std::max<std::int64_t>(1, heads)
              : head_dim(keys);
  if (const auto scale = keys.number("attention.scale"); scale && *scale > 0)
    config["query_pre_attn_scalar"] = 1 / (*scale * *scale);
}

json::object gemma2(const Keys& keys) {
  auto config = common(keys, "gemma2");
  add_query_scale(keys, 46, config);
  config["attn_logit_softcapping"] = keys.number("attn_logit_softcapping").value_or(50);
  config["final_logit_softcapping"] = keys.number("final_logit_softcapping").value_or(30);
  config["sliding_window"] = keys.integer("attention.sliding_window").value_or(4096);
  return config;
}

// Which layers see a window: a flag a layer, or every n-th sees all.
void add_window_pattern(const Keys& keys, std::int64_t fallback, json::object& config) {
  const auto pattern = keys.metadata().integers(keys.of("attention.sliding_window_pattern"));
  const auto layers = static_cast<std::size_t>(keys.required("block_count"));
  if (pattern.size() <= 1) {
    config["sliding_window_pattern"] = pattern.empty() ? fallback : pattern.front();
    return;
  }
  if (pattern.size() != layers)
    throw_invalid("metadata '" + keys.of("attention.sliding_window_pattern") +
                  "' must have a flag a layer");
  json::array types;
  for (const auto sliding : pattern)
    types.emplace_back(sliding ? "sliding_attention" : "full_attention");
  config["layer_types"] = types;
}

json::object gemma3(const Keys& keys) {
  auto config = common(keys, "gemma3_text");
  add_query_scale(keys, 62, config);
  config["rope_theta"] = keys.number("rope.freq_base").value_or(1000000);
  config["rope_local_base_freq"] = keys.number("rope.freq_base_swa").value_or(10000);
  config["sliding_window"] = keys.integer("attention.sliding_window").value_or(1024);
  add_window_pattern(keys, 6, config);
  return config;
}

json::object gpt_oss(const Keys& keys) {
  auto config = common(keys, "gpt_oss");
  add_experts(keys, "num_local_experts", config);
  config["intermediate_size"] = keys.required("expert_feed_forward_length");
  config["sliding_window"] = keys.required("attention.sliding_window");
  add_window_pattern(keys, 2, config);
  // The published models blend frequencies without rounding where the blend begins; the file has no word for it.
  if (auto* rope = config.if_contains("rope_scaling")) rope->as_object()["truncate"] = false;
  return config;
}

// ---- tensors

using Names = std::vector<std::pair<std::string, std::string>>;

constexpr std::array<std::pair<std::string_view, std::string_view>, 14> block_names{{
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"attn_sinks", "self_attn.sinks"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"post_attention_norm", "post_attention_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
}};

Names expert_names(const std::string& router, const std::string& experts) {
  return {{"ffn_gate_inp", router},
          {"ffn_gate_exps", experts + ".gate_proj"},
          {"ffn_up_exps", experts + ".up_proj"},
          {"ffn_down_exps", experts + ".down_proj"}};
}

struct Architecture {
  const char* name;
  json::object (*config)(const Keys&);
  Names names = {};  ///< beside or instead of block_names
};

const std::vector<Architecture>& architectures() {
  static const Names gemma = {{"ffn_norm", "pre_feedforward_layernorm"}};
  static const Names delta = {
      {"attn_qkv", "linear_attn.in_proj_qkv"}, {"attn_gate", "linear_attn.in_proj_z"},
      {"ssm_beta", "linear_attn.in_proj_b"},   {"ssm_alpha", "linear_attn.in_proj_a"},
      {"ssm_a", "linear_attn.A_log"},          {"ssm_dt", "linear_attn.dt_bias"},
      {"ssm_conv1d", "linear_attn.conv1d"},    {"ssm_norm", "linear_attn.norm"},
      {"ssm_out", "linear_attn.out_proj"}};
  static const std::vector<Architecture> all = {
      {"gemma2", gemma2, gemma},
      {"gemma3", gemma3, gemma},
      {"gpt-oss", gpt_oss, expert_names("mlp.router", "mlp.experts")},
      {"llama", llama, expert_names("block_sparse_moe.gate", "block_sparse_moe.switch_mlp")},
      {"mistral3", mistral3},
      {"qwen2", qwen2},
      {"qwen3", qwen3},
      {"qwen35", qwen3_5, delta},
      {"qwen3moe", qwen3_moe, expert_names("mlp.gate", "mlp.switch_mlp")},
  };
  return all;
}

const Architecture* find(const std::string& name) {
  for (const auto& architecture : architectures())
    if (name == architecture.name) return &architecture;
  return nullptr;
}

std::string block_name(const Architecture& architecture, std::string_view name) {
  for (const auto& [theirs, ours] : architecture.names)
    if (theirs == name) return ours;
  for (const auto& [theirs, ours] : block_names)
    if (theirs == name) return std::string(ours);
  return {};
}

// Each quantized module's bits, in the words of MLX's config.json.
json::object quantization(const Keys& keys) {
  json::object modules;
  const Placements placements(keys.metadata());
  for (const auto& file : keys.files())
    for (const auto& tensor : file.tensors()) {
      const auto q = quantization_of(tensor.format->type);
      const auto name = placements.of(tensor.name).name;
      if (q.bits == 0 || name.empty()) continue;
      json::object module{
          {"group_size", q.group}, {"bits", q.bits}, {"mode", q.mxfp4 ? "mxfp4" : "affine"}};
      modules[name.substr(0, name.rfind('.'))] = std::move(module);
    }
  if (modules.empty()) return {};
  modules["group_size"] = 32;
  modules["bits"] = 4;
  return modules;
}

void add_end_tokens(const Metadata& metadata, json::object& config) {
  json::array ids;
  for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    const auto id = metadata.integer("tokenizer.ggml." + std::string(key));
    if (id && std::find(ids.begin(), ids.end(), json::value(*id)) == ids.end())
      ids.emplace_back(*id);
  }
  if (!ids.empty()) config["eos_token_id"] = std::move(ids);
}

}  // namespace

json::object config_of(const std::vector<File>& files) {
  const Keys keys(files);
  const auto* architecture = find(keys.architecture());
  if (!architecture) {
    std::string known;
    for (const auto& a : architectures())
      known += (known.empty() ? "" : ", ") + std::string(a.name);
    throw_invalid("architecture '" + keys.architecture() +
                  "' is not supported; known are: " + known);
  }
  auto config = architecture->config(keys);
  add_end_tokens(keys.metadata(), config);
  if (auto modules = quantization(keys); !modules.empty())
    config["quantization"] = std::move(modules);
  return config;
}

json::object generation_config_of(const Metadata& metadata) {
  json::object config;
  add_end_tokens(metadata, config);
  for (const auto& [theirs, ours] : {std::pair("temp", "temperature"), std::pair("top_p", "top_p"),
                                     std::pair("top_k", "top_k"), std::pair("min_p", "min_p")})
    if (const auto value = metadata.number("general.sampling." + std::string(theirs)))
      config[ours] = *value;
  return config;
}

Placements::Placements(const Metadata& metadata)
    : architecture_(metadata.text("general.architecture").value_or("")) {
  const auto number = [&](const char* key) {
    return metadata.integer(architecture_ + "." + key).value_or(0);
  };
  const auto size = [&](const char* key) {
    return static_cast<int>(std::clamp<std::int64_t>(number(key), 0, 1 << 24));
  };
  num_layers_ = number("block_count") - number("nextn_predict_layers");
  key_heads_ = size("ssm.group_count");
  value_heads_ = size("ssm.time_step_rank");
  key_dim_ = size("ssm.state_size");
  value_dim_ = size("ssm.inner_size") / std::max(1, value_heads_);
}

// Values' heads lie by their number within a key's head; at Hugging Face's by the key's head.
void Placements::place_delta(const std::string& module, Placement& placement) const {
  static constexpr std::string_view prefix = "linear_attn.";
  if (!module.starts_with(prefix)) return;
  const auto part = std::string_view(module).substr(prefix.size());
  placement.log_of_minus = part == "A_log";
  placement.axis_behind = part == "conv1d";
  if (part == "norm" || key_heads_ < 1 || value_heads_ % key_heads_ != 0 ||
      value_heads_ == key_heads_)
    return;
  Reorder order{-2, 0, key_heads_, value_heads_ / key_heads_, 1};
  if (part == "in_proj_qkv" || part == "conv1d") order.kept = 2 * key_heads_ * key_dim_;
  if (part == "A_log" || part == "dt_bias" || part == "out_proj") order.axis = -1;
  if (part == "in_proj_qkv" || part == "conv1d" || part == "in_proj_z" || part == "out_proj")
    order.size = value_dim_;
  placement.order = order;
}

Placement Placements::of(const std::string& name) const {
  static constexpr std::pair<std::string_view, std::string_view> whole[] = {
      {"token_embd.weight", "model.embed_tokens.weight"},
      {"output_norm.weight", "model.norm.weight"},
      {"output.weight", "lm_head.weight"},
      {"rope_freqs.weight", ""}};
  Placement placement;
  placement.name = name;
  placement.less_one = architecture_.starts_with("gemma") && name.ends_with("norm.weight");
  for (const auto& [theirs, ours] : whole)
    if (name == theirs) placement.name = ours;
  const auto* known = find(architecture_);
  if (!known || !name.starts_with("blk.")) return placement;
  const auto dot = std::min(name.find('.', 4), name.size()), last = std::max(dot, name.rfind('.'));
  std::int64_t layer = -1;
  std::from_chars(name.data() + 4, name.data() + dot, layer);
  if (layer >= num_layers_ && num_layers_ > 0) return {};
  const auto tail = last > dot ? last : name.size();
  const auto module =
      dot < name.size() ? block_name(*known, std::string_view(name).substr(dot + 1, tail - dot - 1))
                        : std::string();
  if (module.empty()) return placement;
  // These are parameters, not modules.
  const bool parameter =
      module.ends_with(".sinks") || module.ends_with(".A_log") || module.ends_with(".dt_bias");
  placement.name =
      "model.layers." + std::to_string(layer) + "." + module + (parameter ? "" : name.substr(tail));
  place_delta(module, placement);
  return placement;
}

}  // namespace pippin::gguf
