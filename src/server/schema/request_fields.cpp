#include "server/schema/request_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "server/schema/request_json.h"

namespace pippin::server {
namespace {

constexpr std::size_t max_stop_strings = 64;

// {"token id": bias, ...}
std::vector<LogitBias> parse_logit_bias(const Members& body) {
  std::vector<LogitBias> biases;
  const json::object* map = body.object("logit_bias");
  if (!map) return biases;
  const Members members(*map, "logit_bias");
  for (const auto& member : *map) {
    const std::string_view id = member.key();
    std::int32_t token = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), token);
    if (error != std::errc() || end != id.data() + id.size() || token < 0)
      refuse("logit_bias", "must map token ids to numbers");
    const double bias = members.number_or(id, 0);
    if (!(std::abs(bias) <= 100)) refuse("logit_bias", "must have numbers between -100 and 100");
    biases.push_back({token, static_cast<float>(bias)});
  }
  return biases;
}

std::vector<std::string> parse_stop_strings(const Members& body) {
  const json::value* stop = body.find("stop");
  if (!stop) return {};
  std::vector<std::string> strings;
  if (stop->is_string()) strings.emplace_back(stop->as_string());
  if (stop->is_array())
    for (const json::value& item : stop->as_array()) {
      if (!item.is_string()) refuse("stop", "must be a string or an array of strings");
      strings.emplace_back(item.as_string());
    }
  if (!stop->is_string() && !stop->is_array())
    refuse("stop", "must be a string or an array of strings");
  if (strings.size() > max_stop_strings)
    refuse("stop", "must have at most " + std::to_string(max_stop_strings) + " strings");
  if (std::find(strings.begin(), strings.end(), "") != strings.end())
    refuse("stop", "must not contain an empty string");
  return strings;
}

std::vector<std::int32_t> parse_stop_tokens(const Members& body) {
  std::vector<std::int32_t> ids;
  const json::array* list = body.array("stop_token_ids");
  if (!list) return ids;
  for (const json::value& id : *list) {
    if (!id.is_int64() || id.as_int64() < 0 ||
        id.as_int64() > std::numeric_limits<std::int32_t>::max())
      refuse("stop_token_ids", "must be an array of token ids");
    ids.push_back(static_cast<std::int32_t>(id.as_int64()));
  }
  return ids;
}

}  // namespace

SamplingOptions parse_sampling(const Members& body, SamplingOptions sampling) {
  sampling.temperature = number_in(body, "temperature", 0, 2, sampling.temperature);
  sampling.top_p = number_in(body, "top_p", 0, 1, sampling.top_p);
  sampling.min_p = number_in(body, "min_p", 0, 1, sampling.min_p);
  const std::int64_t top_k = body.integer_or("top_k", sampling.top_k);
  if (top_k < -1) refuse("top_k", "must be positive, or 0 or -1 for all");
  sampling.top_k =
      static_cast<int>(std::clamp<std::int64_t>(top_k, 0, std::numeric_limits<int>::max()));
  if (sampling.top_p == 0) {
    // The least that "the smallest set reaching 0" can mean: the most likely token.
    sampling.top_p = 1;
    sampling.top_k = 1;
  }
  sampling.presence_penalty = number_in(body, "presence_penalty", -2, 2, sampling.presence_penalty);
  sampling.frequency_penalty =
      number_in(body, "frequency_penalty", -2, 2, sampling.frequency_penalty);
  sampling.repetition_penalty =
      number_in(body, "repetition_penalty", 0.01, 100, sampling.repetition_penalty);
  sampling.logit_bias = parse_logit_bias(body);
  if (const auto seed = body.integer("seed")) sampling.seed = static_cast<std::uint64_t>(*seed);
  return sampling;
}

StopOptions parse_stop(const Members& body) {
  StopOptions stop;
  // The newer name wins, as in vLLM.
  for (const char* key : {"max_tokens", "max_completion_tokens"})
    if (const auto limit = body.integer(key)) {
      if (*limit < 1) refuse(key, "must be at least 1");
      stop.max_tokens = *limit;
    }
  stop.strings = parse_stop_strings(body);
  stop.include_strings = body.boolean("include_stop_str_in_output").value_or(false);
  stop.token_ids = parse_stop_tokens(body);
  stop.ignore_eos = body.boolean("ignore_eos").value_or(false);
  if (body.find("timeout")) stop.timeout_s = number_in(body, "timeout", 0.001, 1e6, 1);
  stop.min_tokens = body.integer_or("min_tokens", 0);
  if (stop.min_tokens < 0) refuse("min_tokens", "must be at least 0");
  return stop;
}

int parse_prompt_logprobs(const Members& body, bool stream) {
  const auto count = body.integer("prompt_logprobs");
  if (!count) return -1;
  if (*count < 0 || *count > max_top_logprobs)
    refuse("prompt_logprobs", "must be between 0 and " + std::to_string(max_top_logprobs));
  if (stream) refuse("prompt_logprobs", "is only told of answers that are not streamed");
  return static_cast<int>(*count);
}

int parse_choices(const Members& body) {
  const auto n = body.integer_or("n", 1);
  if (n < 1 || n > max_choices) refuse("n", "must be between 1 and " + std::to_string(max_choices));
  return static_cast<int>(n);
}

// vLLM's: lower ones go first.
int parse_priority(const Members& body) {
  const auto priority = body.integer_or("priority", 0);
  if (priority < -1'000'000 || priority > 1'000'000)
    refuse("priority", "must be in [-1000000, 1000000]");
  return static_cast<int>(priority);
}

Streaming parse_streaming(const Members& body) {
  Streaming streaming;
  streaming.stream = body.boolean("stream").value_or(false);
  const json::object* options = body.object("stream_options");
  if (!options) return streaming;
  if (!streaming.stream) refuse("stream_options", "is only allowed when 'stream' is true");
  const Members members(*options, "stream_options");
  streaming.include_usage = members.boolean("include_usage").value_or(false);
  members.boolean("include_obfuscation");  // padding against eavesdroppers; without influence
  return streaming;
}

}  // namespace pippin::server
