#include "models/config.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "gguf/model_files.h"
#include "kernels/cpu/recurrent_kernels.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[config] " + what);
}

// A size that arrays will have: positive, and small enough that no product of a few overflows.
int checked_size(const Members& members, const char* key, std::int64_t value) {
  if (value < 1 || value > (1 << 24))
    throw_invalid(members.path_of(key) + " must be a positive size, got " + std::to_string(value));
  return static_cast<int>(value);
}

/// A field that changes the computation of some family, and what says that it does not.
struct Meaning {
  const char* key;
  bool (*changes_nothing)(const json::value& value);
};

bool is_false(const json::value& value) { return value.is_bool() && !value.as_bool(); }
bool is_one(const json::value& value) {
  return value.is_number() && value.to_number<double>() == 1;
}
bool is_zero(const json::value& value) {
  return value.is_number() && value.to_number<double>() == 0;
}
bool is_empty(const json::value& value) { return value.is_array() && value.as_array().empty(); }
bool all_full(const json::value& value) {
  const auto is_full = [](const json::value& type) {
    return type.is_string() && type.as_string() == "full_attention";
  };
  return value.is_array() && std::all_of(value.as_array().begin(), value.as_array().end(), is_full);
}
bool never(const json::value&) { return false; }

// An absent field and null change nothing in any case.
constexpr Meaning meanings[] = {
    {"attention_bias", is_false},
    {"attention_out_bias", is_false},
    {"attn_logit_softcapping", is_zero},
    {"attention_k_eq_v", is_false},
    {"attention_in_multiplier", is_one},
    {"attention_multiplier", is_one},
    {"attention_out_multiplier", is_one},
    {"activation_sparsity_pattern", never},
    {"altup_num_inputs", never},
    {"clip_qkv", is_zero},
    {"decoder_sparse_step", is_one},
    {"embedding_multiplier", is_one},
    {"key_multiplier", is_one},
    {"lm_head_multiplier", is_one},
    {"mlp_multipliers", never},
    {"ssm_in_multiplier", is_one},
    {"ssm_multipliers", never},
    {"ssm_out_multiplier", is_one},
    {"enable_moe_block", is_false},
    {"final_logit_softcapping", is_zero},
    {"first_k_dense_replace", never},
    {"kv_lora_rank", is_zero},
    {"index_topk", is_zero},
    {"moe_layer_freq", is_one},
    {"q_lora_rank", is_zero},
    {"rope_interleave", is_false},
    {"global_head_dim", never},
    {"hidden_act", never},
    {"hidden_activation", never},
    {"hidden_size_per_layer_input", is_zero},
    {"interleaved_sliding_window", is_zero},
    {"laurel_rank", never},
    {"layer_types", all_full},
    {"logit_scale", is_one},
    {"logits_scaling", is_one},
    {"mlp_bias", is_false},
    {"mlp_only_layers", is_empty},
    {"moe_latent_size", is_zero},
    {"n_group", is_one},
    {"n_shared_experts", is_zero},
    {"no_rope_layers", is_empty},
    {"num_experts", is_zero},
    {"num_global_key_value_heads", is_zero},
    {"num_kv_shared_layers", is_zero},
    {"num_local_experts", is_zero},
    {"n_routed_experts", is_zero},
    {"norm_topk_prob", is_false},
    {"partial_rotary_factor", is_one},
    {"per_layer_config", never},
    {"qkv_bias", is_false},
    {"query_pre_attn_scalar", never},
    {"residual_multiplier", is_one},
    {"rope_scaling", never},
    {"rope_parameters", never},
    {"rope_traditional", is_false},
    {"sliding_window_pattern", is_one},
    {"swiglu_limit", never},
    {"routed_scaling_factor", is_one},
    {"scoring_func", never},
    {"shared_expert_intermediate_size", is_zero},
    {"topk_group", is_one},
    {"topk_method", never},
    {"norm_head", is_false},
    {"num_shared_experts", is_zero},
    {"shared_intermediate_size", is_zero},
    {"use_bias", is_false},
    {"use_qkv_bias", is_false},
    {"use_bidirectional_attention", is_false},
    {"use_double_wide_mlp", is_false},
    {"use_qk_norm", is_false},
    {"use_sliding_window", is_false},
};

constexpr std::pair<const char*, nn::Activation> activations[] = {
    {"silu", nn::Activation::silu},          {"swish", nn::Activation::silu},
    {"gelu", nn::Activation::gelu},          {"gelu_pytorch_tanh", nn::Activation::gelu_tanh},
    {"gelu_new", nn::Activation::gelu_tanh}, {"relu2", nn::Activation::relu_squared},
};

std::array<int, 3> mrope_section(const Members& rope, const json::array& sections) {
  if (sections.size() != 3) throw_invalid(rope.path_of("mrope_section") + " must hold three sizes");
  std::array<int, 3> result{};
  for (std::size_t i = 0; i < 3; ++i) {
    if (!sections[i].is_int64() || sections[i].as_int64() < 0 || sections[i].as_int64() > 4096)
      throw_invalid(rope.path_of("mrope_section") + " must hold small integers");
    result[i] = static_cast<int>(sections[i].as_int64());
  }
  return result;
}

std::vector<float> factors_of(const Members& rope, const char* key, int count) {
  const auto* array = rope.array(key);
  if (!array || static_cast<int>(array->size()) != count)
    throw_invalid(rope.path_of(key) + " must hold " + std::to_string(count) + " numbers");
  std::vector<float> factors;
  for (const auto& value : *array) {
    if (!value.is_number() || !(value.to_number<double>() > 0))
      throw_invalid(rope.path_of(key) + " must hold positive numbers");
    factors.push_back(static_cast<float>(value.to_number<double>()));
  }
  return factors;
}

// What the kind of scaling needs; `max_context` and the original context as the config says them outside.
void read_scaling(const Members& rope, std::int64_t max_context,
                  std::optional<std::int64_t> original_beside, nn::RopeOptions& o) {
  const auto positive = [&](const char* key, double fallback) {
    const double value = rope.number_or(key, fallback);
    if (!(value > 0) || value > 1e9) throw_invalid(rope.path_of(key) + " must be positive");
    return static_cast<float>(value);
  };
  if (o.type == "default" || o.type == "dynamic") return;
  if (o.type != "longrope" && !rope.number("factor") && o.type != "proportional")
    throw_invalid(rope.path_of("factor") + " is missing");
  o.factor = positive("factor", 1);
  o.max_context = static_cast<int>(max_context);
  auto original = rope.integer("original_max_position_embeddings");
  if (!original) original = original_beside;
  if (!original && (o.type == "yarn" || o.type == "longrope"))
    throw_invalid(rope.path_of("original_max_position_embeddings") + " is missing");
  o.original_context =
      checked_size(rope, "original_max_position_embeddings", original.value_or(8192));
  o.low_freq_factor = positive("low_freq_factor", 1);
  o.high_freq_factor = positive("high_freq_factor", 4);
  if (o.type == "llama3" && o.high_freq_factor <= o.low_freq_factor)
    throw_invalid(rope.path_of("high_freq_factor") + " must be above low_freq_factor");
  o.beta_fast = positive("beta_fast", 32);
  o.beta_slow = positive("beta_slow", 1);
  o.truncate = rope.boolean("truncate").value_or(true);
  o.mscale = static_cast<float>(rope.number_or("mscale", 1));
  o.mscale_all_dim = static_cast<float>(rope.number_or("mscale_all_dim", 0));
  o.rotated_share = static_cast<float>(rope.number_or("partial_rotary_factor", 1));
  if (o.type == "longrope") o.long_factors = factors_of(rope, "long_factor", o.dims / 2);
}

std::vector<std::int32_t> token_ids(const json::value* value) {
  std::vector<std::int32_t> ids;
  if (value && value->is_int64()) ids.push_back(static_cast<std::int32_t>(value->as_int64()));
  if (value && value->is_array())
    for (const auto& id : value->as_array())
      if (id.is_int64()) ids.push_back(static_cast<std::int32_t>(id.as_int64()));
  return ids;
}

}  // namespace

int ConfigFields::size(const char* key) {
  asked_.insert(key);
  return checked_size(members_, key, members_.required_integer(key));
}

int ConfigFields::size_or(const char* key, std::int64_t fallback) {
  asked_.insert(key);
  return checked_size(members_, key, members_.integer_or(key, fallback));
}

float ConfigFields::number_or(const char* key, double fallback) {
  asked_.insert(key);
  const double value = members_.number_or(key, fallback);
  if (!std::isfinite(value) || std::abs(value) > 1e12) refuse(key, "must be a number of use");
  return static_cast<float>(value);
}

bool ConfigFields::flag_or(const char* key, bool fallback) {
  asked_.insert(key);
  return members_.boolean(key).value_or(fallback);
}

std::int64_t ConfigFields::integer_or(const char* key, std::int64_t fallback) {
  asked_.insert(key);
  const auto value = members_.integer_or(key, fallback);
  if (value < 0 || value > (1 << 24)) refuse(key, "must be a small number");
  return value;
}

std::vector<std::int64_t> ConfigFields::integers(const char* key) {
  asked_.insert(key);
  std::vector<std::int64_t> all;
  if (const auto* array = members_.array(key))
    for (const auto& value : *array) {
      if (!value.is_int64()) refuse(key, "must hold integers");
      all.push_back(value.as_int64());
    }
  return all;
}

std::vector<float> ConfigFields::numbers(const char* key) {
  asked_.insert(key);
  std::vector<float> all;
  if (const auto* array = members_.array(key))
    for (const auto& value : *array) {
      if (!value.is_number()) refuse(key, "must hold numbers");
      all.push_back(static_cast<float>(value.to_number<double>()));
    }
  return all;
}

std::string ConfigFields::text_or(const char* key, const char* fallback) {
  asked_.insert(key);
  return members_.string(key).value_or(fallback);
}

void ConfigFields::expect(const char* key, const char* value) {
  const auto given = text_or(key, value);
  if (given != value) refuse(key, "'" + given + "' is not supported");
}

int ConfigFields::rotary_dims(int head_dim, double default_factor) {
  const double factor = static_cast<double>(number_or("partial_rotary_factor", default_factor));
  const auto* rope = members_.object("rope_parameters");
  const auto within = rope ? Members(*rope).number("partial_rotary_factor") : std::nullopt;
  const int dims = static_cast<int>(head_dim * within.value_or(factor));
  if (dims < 2 || dims > head_dim || dims % 2 != 0)
    refuse("partial_rotary_factor",
           "leaves " + std::to_string(dims) + " numbers of a head to turn");
  return dims;
}

std::vector<std::string> ConfigFields::strings(const char* key) {
  asked_.insert(key);
  std::vector<std::string> all;
  if (const auto* array = members_.array(key))
    for (const auto& value : *array) {
      if (!value.is_string()) refuse(key, "must hold strings");
      all.emplace_back(value.as_string());
    }
  return all;
}

nn::Activation ConfigFields::activation(const char* key, const char* fallback) {
  asked_.insert(key);
  const auto name = members_.string(key).value_or(fallback);
  for (const auto& [known, activation] : activations)
    if (name == known) return activation;
  refuse(key, "'" + name + "' is not supported");
}

const json::object* ConfigFields::rope_object() const {
  const auto* parameters = members_.object("rope_parameters");
  return parameters ? parameters : members_.object("rope_scaling");
}

std::int64_t ConfigFields::max_context() const {
  const auto tokens = members_.integer_or("max_position_embeddings", 32768);
  if (tokens < 1 || tokens > (1 << 28)) refuse("max_position_embeddings", "must be in [1, 2^28]");
  return tokens;
}

nn::RopeOptions ConfigFields::rope(int dims, double default_theta, std::array<int, 3>* sections,
                                   const char* layer_type) {
  for (const char* key : {"rope_scaling", "rope_parameters", "rope_traditional"})
    asked_.insert(key);
  nn::RopeOptions o;
  o.dims = dims;
  o.theta = number_or("rope_theta", default_theta);
  o.interleaved = flag_or("rope_traditional", false);
  const auto* object = rope_object();
  if (!object) return o;
  auto path =
      members_.path_of(members_.object("rope_parameters") ? "rope_parameters" : "rope_scaling");
  if (const auto* by_layer = object->if_contains("full_attention")) {
    if (!layer_type || !by_layer->is_object())
      throw_invalid(path + ".full_attention is not supported for this model_type");
    object = Members(*object, path).object(layer_type);
    path += std::string(".") + layer_type;
    if (!object) throw_invalid(path + " is missing");
  }
  const Members rope(*object, path);
  o.theta = static_cast<float>(rope.number_or("rope_theta", static_cast<double>(o.theta)));
  o.type = rope.string("rope_type").value_or(rope.string("type").value_or("default"));
  if (o.type == "su") o.type = "longrope";  // in the first Phi-3's words
  if (o.type == "deepseek_yarn") o.type = "yarn";
  if (sections) {
    if (o.type == "mrope") o.type = "default";
    if (const auto* array = rope.array("mrope_section")) *sections = mrope_section(rope, *array);
  }
  static constexpr const char* known[] = {"default", "linear",   "dynamic",     "llama3",
                                          "yarn",    "longrope", "proportional"};
  if (std::find(std::begin(known), std::end(known), o.type) == std::end(known))
    throw_invalid(rope.path_of("rope_type") + " '" + o.type + "' is not supported");
  read_scaling(rope, max_context(), members_.integer("original_max_position_embeddings"), o);
  return o;
}

void ConfigFields::check_rest() const {
  for (const auto& [key, changes_nothing] : meanings) {
    const auto* value = members_.find(key);
    if (value && !asked_.contains(key) && !changes_nothing(*value))
      refuse(key, "= " + json::serialize(*value) + " is not supported for this model_type");
  }
}

void ConfigFields::refuse(const char* key, const std::string& why) const {
  throw_invalid(members_.path_of(key) + " " + why);
}

nn::DecoderConfig read_sizes(ConfigFields& fields, const char* intermediate_size,
                             std::size_t num_layers) {
  nn::DecoderConfig config;
  config.hidden_size = fields.size("hidden_size");
  config.intermediate_size = fields.size(intermediate_size);
  config.vocab_size = fields.size("vocab_size");
  config.norm_eps = fields.number_or("rms_norm_eps", 1e-6);
  if (num_layers == 0) num_layers = static_cast<std::size_t>(fields.size("num_hidden_layers"));
  config.layers.assign(num_layers, 0);
  return config;
}

nn::DecoderConfig read_decoder(ConfigFields& fields, const char* intermediate_size,
                               std::size_t num_layers) {
  auto config = read_sizes(fields, intermediate_size, num_layers);
  nn::AttentionConfig attention;
  attention.num_heads = fields.size("num_attention_heads");
  attention.num_kv_heads = fields.size_or("num_key_value_heads", attention.num_heads);
  attention.head_dim = fields.size_or("head_dim", config.hidden_size / attention.num_heads);
  if (attention.num_heads % attention.num_kv_heads != 0)
    fields.refuse("num_key_value_heads", "must divide num_attention_heads, got " +
                                             std::to_string(attention.num_kv_heads) + " and " +
                                             std::to_string(attention.num_heads));
  if (std::int64_t{attention.num_heads} * attention.head_dim > (1 << 24))
    fields.refuse("head_dim", "times num_attention_heads is too large");
  if (attention.head_dim < 2 || attention.head_dim % 2 != 0)
    fields.refuse("head_dim", "must be even, got " + std::to_string(attention.head_dim));
  attention.scale = 1.0f / std::sqrt(static_cast<float>(attention.head_dim));
  config.kinds = {attention};
  return config;
}

void read_layer_types(ConfigFields& fields, nn::DecoderConfig& config) {
  const auto types = fields.strings("layer_types");
  if (types.empty()) return;
  if (types.size() != config.layers.size())
    fields.refuse("layer_types", "must name " + std::to_string(config.layers.size()) + " layers");
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] != "full_attention" && types[i] != "sliding_attention")
      fields.refuse("layer_types", "'" + types[i] + "' is not supported");
    config.layers[i] = types[i] == "sliding_attention" ? 1 : 0;
  }
  if (std::count(config.layers.begin(), config.layers.end(), 1) == 0) return;
  auto windowed = config.kinds.front();
  windowed.window = fields.size("sliding_window");
  config.kinds.push_back(windowed);
}

void read_window_pattern(ConfigFields& fields, nn::DecoderConfig& config, int fallback) {
  const int pattern = fields.size_or("sliding_window_pattern", fallback);
  config.kinds.push_back(config.kinds.front());
  config.kinds.back().window = fields.size("sliding_window");
  for (std::size_t i = 0; i < config.layers.size(); ++i)
    config.layers[i] = (static_cast<int>(i) + 1) % pattern != 0;
}

void read_step_limit(const ConfigFields& fields, nn::Mamba2Config& c) {
  const auto* limit = fields.members().array("time_step_limit");
  if (!limit) return;
  if (limit->size() != 2 || !limit->at(0).is_number() || !limit->at(1).is_number())
    fields.refuse("time_step_limit", "must hold two numbers");
  const double most = limit->at(1).to_number<double>();
  c.min_step = static_cast<float>(limit->at(0).to_number<double>());
  if (most < 1e30) c.max_step = static_cast<float>(most);
}

void check_mamba2(const ConfigFields& fields, const nn::Mamba2Config& c, const char* groups,
                  const char* state, const char* taps) {
  if (c.heads % c.groups != 0) fields.refuse(groups, "must divide the number of heads");
  if (c.heads * c.head_dim % c.norm_groups != 0)
    fields.refuse(groups, "must divide a row's numbers");
  if (c.state_dim > cpu::max_scan_state)
    fields.refuse(state, "must be at most " + std::to_string(cpu::max_scan_state));
  if (c.taps < 2 || c.taps > cpu::max_conv_taps)
    fields.refuse(taps, "must be in [2, " + std::to_string(cpu::max_conv_taps) + "]");
}

std::vector<std::int32_t> read_end_tokens(const std::filesystem::path& model_dir,
                                          const json::object& config) {
  if (const auto generation = gguf::model_json(model_dir, "generation_config.json"))
    if (auto ids = token_ids(generation->if_contains("eos_token_id")); !ids.empty()) return ids;
  if (auto ids = token_ids(config.if_contains("eos_token_id")); !ids.empty()) return ids;
  if (const auto* text = Members(config).object("text_config"))
    return token_ids(text->if_contains("eos_token_id"));
  return {};
}

}  // namespace pippin::models
