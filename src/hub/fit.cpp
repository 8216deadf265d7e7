#include "hub/fit.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <string_view>

#include <spdlog/fmt/fmt.h>

#include "base/json.h"
#include "hub/progress.h"
#include "pippin/error.h"

namespace pippin::hub {
namespace {

constexpr std::int64_t most = std::int64_t{1} << 40;  // of any number in a config that is believed

// A positive number of the config's, 0 where there is none.
std::int64_t size_of(const Members& config, std::string_view key) {
  const json::value* value = config.find(key);
  if (!value || !value->is_int64()) return 0;
  return std::clamp<std::int64_t>(value->get_int64(), 0, most);
}

// Layers by what they keep of a context: all of it, or what is in their window. Linear attention keeps neither, and the last layers may
// read what others keep.
struct Layers {
  std::int64_t full = 0, windowed = 0;
};

Layers layers_of(const Members& config) {
  const std::int64_t count = size_of(config, "num_hidden_layers"),
                     shared = size_of(config, "num_kv_shared_layers");
  const auto* types = config.find("layer_types") ? config.find("layer_types")->if_array() : nullptr;
  if (types == nullptr) {
    const std::int64_t interval = size_of(config, "full_attention_interval");  // of hybrid models
    const std::int64_t full = interval > 0 ? count / interval : count;
    return {std::max<std::int64_t>(full - shared, 0), 0};
  }
  Layers layers;
  const std::int64_t own = std::max<std::int64_t>(std::ssize(*types) - shared, 0);
  for (std::int64_t i = 0; i < own; ++i) {
    const json::value& type = (*types)[static_cast<std::size_t>(i)];
    const std::string_view name = type.is_string() ? std::string_view(type.get_string()) : "";
    if (name == "sliding_attention" || name == "chunked_attention")
      ++layers.windowed;
    else if (name != "linear_attention")
      ++layers.full;
  }
  return layers;
}

// Keys and values of a layer for a token. Less than all memory that there is, or 0. Layers without a window may have heads of their own.
std::int64_t numbers_per_layer(const Members& config, bool windowed) {
  if (const std::int64_t latent = size_of(config, "kv_lora_rank"); latent > 0)
    return latent < most / 2 ? latent + std::min(size_of(config, "qk_rope_head_dim"), most / 2) : 0;
  const std::int64_t heads = size_of(config, "num_attention_heads");
  std::int64_t kv_heads = windowed ? 0 : size_of(config, "num_global_key_value_heads");
  std::int64_t width = windowed ? 0 : size_of(config, "global_head_dim");
  if (kv_heads == 0) kv_heads = size_of(config, "num_key_value_heads");
  if (width == 0) width = size_of(config, "head_dim");
  if (kv_heads == 0) kv_heads = heads;
  if (width == 0 && heads > 0) width = size_of(config, "hidden_size") / heads;
  const double numbers = 2.0 * static_cast<double>(kv_heads) * static_cast<double>(width);
  return numbers < static_cast<double>(most) ? 2 * kv_heads * width : 0;
}

std::int64_t bounded_product(std::int64_t a, std::int64_t b) {
  return b == 0 || a <= most / b ? a * b : most;
}

std::int64_t bytes_of(std::int64_t numbers, const Machine& machine) {
  return bounded_product(numbers, machine.bits) / 8;
}

// The longest context whose cache takes no more; found by halves, since windows make it no straight line.
std::int64_t longest_context(const Needs& needs, std::int64_t bytes, std::int64_t at_most,
                             const Machine& machine) {
  std::int64_t fits = 0;
  for (std::int64_t step = std::bit_floor(static_cast<std::uint64_t>(at_most)); step > 0; step /= 2)
    if (fits + step <= at_most && bytes_of(needs.numbers(fits + step), machine) <= bytes)
      fits += step;
  return fits;
}

}  // namespace

Needs read_needs(const std::string& text) {
  const json::value value = parse_json(text, "config.json");
  if (!value.is_object()) throw Error(Code::invalid_argument, "config.json is no JSON object");
  const Members config(value.get_object());
  const json::value* inner = config.find("text_config");
  const Members model(inner && inner->is_object() ? inner->get_object() : value.get_object());
  const json::value* type = config.find("model_type");
  Needs needs;
  if (type && type->is_string()) needs.model_type = type->get_string();
  const Layers layers = layers_of(model);
  needs.context = size_of(model, "max_position_embeddings");
  needs.window = size_of(model, "sliding_window");
  needs.per_token = bounded_product(layers.full, numbers_per_layer(model, false));
  needs.per_window_token = bounded_product(layers.windowed, numbers_per_layer(model, true));
  return needs;
}

std::int64_t Needs::numbers(std::int64_t tokens) const {
  const std::int64_t in_window = window > 0 ? std::min(window, tokens) : tokens;
  return bounded_product(per_token, tokens) + bounded_product(per_window_token, in_window);
}

Fit judge_fit(const Needs& needs, std::int64_t weight_bytes, const Machine& machine) {
  Fit fit;
  const std::int64_t context = machine.context > 0 ? machine.context : needs.context;
  const std::int64_t left = machine.memory - weight_bytes;
  fit.text = fmt::format("It takes {} for its weights", readable_bytes(weight_bytes));
  if (context > 0 && needs.numbers(1) > 0 && needs.numbers(context) < most) {
    fit.cache_bytes = bytes_of(needs.numbers(context), machine);
    fit.max_tokens = longest_context(needs, left, context, machine);
    fit.text +=
        fmt::format(" and {} for a context of {} tokens", readable_bytes(fit.cache_bytes), context);
  }
  fit.text += fmt::format("; this machine has {} for both", readable_bytes(machine.memory));
  if (left <= 0) {
    fit.verdict = Verdict::too_large;
    fit.text += ": it does not fit.";
  } else if (fit.cache_bytes > left) {
    fit.verdict = Verdict::short_context;
    fit.text += fmt::format(": it fits with {} tokens at most.", fit.max_tokens);
  } else {
    fit.text += ": it fits.";
  }
  return fit;
}

}  // namespace pippin::hub
