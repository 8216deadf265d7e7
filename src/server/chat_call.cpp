#include "server/chat_call.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/json.h"
#include "pippin/error.h"
#include "server/chat_fields.h"
#include "server/response_format.h"
#include "server/tool_choice.h"

namespace pippin::server {
namespace {

constexpr std::size_t max_stop_strings = 64;

[[noreturn]] void refuse(const std::string& field, const std::string& why) {
  throw Error(Code::invalid_argument, "'" + field + "' " + why, field);
}

json::object parse_body(std::string_view body) {
  if (body.empty()) refuse("body", "is empty; a JSON object is needed");
  json::value value;
  try {
    value = parse_json(body, "the request's body");
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), "body");
  }
  if (!value.is_object()) refuse("body", "must be a JSON object");
  return std::move(value.as_object());
}

// Written so that NaN is outside.
float number_in(const Members& body, std::string_view key, double low, double high,
                double fallback) {
  const double value = body.number_or(key, fallback);
  if (!(value >= low && value <= high))
    refuse(std::string(key), "must be between " + json::serialize(json::value(low)) + " and " +
                                 json::serialize(json::value(high)));
  return static_cast<float>(value);
}

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

StopOptions parse_stop(const Members& body) {
  StopOptions stop;
  // The newer name wins, as in vLLM.
  for (const char* key : {"max_tokens", "max_completion_tokens"})
    if (const auto limit = body.integer(key)) {
      if (*limit < 1) refuse(key, "must be at least 1");
      stop.max_tokens = *limit;
    }
  stop.strings = parse_stop_strings(body);
  stop.token_ids = parse_stop_tokens(body);
  stop.ignore_eos = body.boolean("ignore_eos").value_or(false);
  return stop;
}

void parse_streaming(const Members& body, ChatCall& call) {
  call.stream = body.boolean("stream").value_or(false);
  const json::object* options = body.object("stream_options");
  if (!options) return;
  if (!call.stream) refuse("stream_options", "is only allowed when 'stream' is true");
  const Members members(*options, "stream_options");
  call.include_usage = members.boolean("include_usage").value_or(false);
  members.boolean("include_obfuscation");  // padding against eavesdroppers; without influence
  for (const auto& member : *options)
    if (member.key() != "include_usage" && member.key() != "include_obfuscation")
      call.ignored.push_back("stream_options." + std::string(member.key()));
}

// vLLM's: lower ones go first.
void parse_priority(const Members& body, ChatCall& call) {
  const auto priority = body.integer("priority").value_or(0);
  if (priority < -1'000'000 || priority > 1'000'000)
    refuse("priority", "must be in [-1000000, 1000000]");
  call.request.priority = static_cast<int>(priority);
}

// vLLM's way to say how all videos of a request are sampled.
VideoWishes parse_processor_kwargs(const Members& body) {
  const json::object* kwargs = body.object("mm_processor_kwargs");
  if (!kwargs) return {};
  const Members members(*kwargs, "mm_processor_kwargs");
  constexpr std::string_view known[] = {"fps", "min_frames", "max_frames", "num_frames"};
  for (const auto& member : *kwargs)
    if (std::find(std::begin(known), std::end(known), std::string_view(member.key())) ==
        std::end(known))
      refuse(members.path_of(member.key()),
             "is not supported (only fps, min_frames, max_frames and num_frames are)");
  return parse_video_wishes(members);
}

}  // namespace

ChatCall parse_chat(std::string_view text, const SamplingOptions& defaults) {
  const json::object object = parse_body(text);
  const Members body(object);
  ChatCall call;
  call.ignored = check_chat_fields(object);
  call.model = body.string("model").value_or("");
  parse_streaming(body, call);
  call.request.sampling = parse_sampling(body, defaults);
  call.request.stop = parse_stop(body);
  parse_tool_fields(body, call.request);
  call.request.format = parse_response_format(body);
  call.request.thinking_budget = parse_thinking_budget(body);
  parse_priority(body, call);
  if (const json::object* kwargs = body.object("chat_template_kwargs"))
    call.request.template_kwargs_json = json::serialize(*kwargs);
  const json::array* messages = body.array("messages");
  if (!messages) refuse("messages", "is missing");
  ParsedMessages parsed = parse_messages(*messages);
  call.request.messages = std::move(parsed.messages);
  call.media = std::move(parsed.media);
  const VideoWishes wishes = parse_processor_kwargs(body);
  for (MediaSource& source : call.media) source.sampling = source.sampling.or_else(wishes);
  call.ignored.insert(call.ignored.end(), parsed.ignored.begin(), parsed.ignored.end());
  return call;
}

}  // namespace pippin::server
