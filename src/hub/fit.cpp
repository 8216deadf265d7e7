#include "hub/fit.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "base/json.h"
#include "hub/progress.h"
#include "pippin/error.h"

namespace pippin::hub {
namespace {

constexpr std::int64_t bytes_per_number = 2;          // the usual cache's
constexpr std::int64_t most = std::int64_t{1} << 40;  // of any number in a config that is believed

// A positive number of the config's, 0 where there is none.
std::int64_t size_of(const Members& config, std::string_view key) {
  const json::value* value = config.find(key);
  if (!value || !value->is_int64()) return 0;
  return std::clamp<std::int64_t>(value->get_int64(), 0, most);
}

std::int64_t bytes_per_token(const Members& config) {
  const std::int64_t layers = size_of(config, "num_hidden_layers");
  const std::int64_t heads = size_of(config, "num_attention_heads");
  std::int64_t kv_heads = size_of(config, "num_key_value_heads");
  std::int64_t width = size_of(config, "head_dim");
  if (kv_heads == 0) kv_heads = heads;
  if (width == 0 && heads > 0) width = size_of(config, "hidden_size") / heads;
  const double bytes = 2.0 * bytes_per_number * static_cast<double>(layers) *
                       static_cast<double>(kv_heads) * static_cast<double>(width);
  return bytes < static_cast<double>(most) ? static_cast<std::int64_t>(bytes) : 0;
}

}  // namespace

Needs read_needs(const std::string& text) {
  const json::value value = parse_json(text, "config.json");
  if (!value.is_object()) throw Error(Code::invalid_argument, "config.json is no JSON object");
  const Members config(value.get_object());
  const json::value* inner = config.find("text_config");
  const Members model(inner && inner->is_object() ? inner->get_object() : value.get_object());
  const json::value* type = config.find("model_type");
  return {type && type->is_string() ? std::string(type->get_string()) : "",
          size_of(model, "max_position_embeddings"), bytes_per_token(model)};
}

Fit judge_fit(const Needs& needs, std::int64_t weight_bytes, const Machine& machine) {
  Fit fit;
  const std::int64_t context = machine.context > 0 ? machine.context : needs.context;
  const std::int64_t left = machine.memory - weight_bytes;
  fit.text = fmt::format("It takes {} for its weights", readable_bytes(weight_bytes));
  if (needs.bytes_per_token > 0 && context > 0 && context < most / needs.bytes_per_token) {
    fit.cache_bytes = needs.bytes_per_token * context;
    fit.max_tokens = std::max<std::int64_t>(0, left / needs.bytes_per_token);
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
