#include "request_readers.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/json.h"
#include "fuzzing.h"
#include "server/anthropic/call.h"
#include "server/chat/canonical.h"
#include "server/http/errors.h"
#include "server/ollama/call.h"
#include "server/openai/chat_parser.h"
#include "server/openai/completion_call.h"
#include "server/responses/call.h"
#include "server/schema/request_fields.h"
#include "server/utilities/calls.h"
#include "text/messages.h"

namespace pippin::fuzz {
namespace {

void check_json(const std::string& text, json::kind kind, std::string_view what) {
  if (!text.empty()) require(parse_json(text, what).kind() == kind, what, text);
}

void check_sampling(const SamplingOptions& sampling) {
  const auto within = [](double value, double low, double high) {
    require(value >= low && value <= high, "a sampling option out of range");
  };
  within(sampling.temperature, 0, 2);
  within(sampling.top_p, 0, 1);
  within(sampling.min_p, 0, 1);
  within(sampling.presence_penalty, -2, 2);
  within(sampling.frequency_penalty, -2, 2);
  within(sampling.repetition_penalty, 0.01, 100);
  within(sampling.top_k, 0, 1e18);
  within(sampling.top_logprobs, -1, server::max_top_logprobs);
  for (const LogitBias& bias : sampling.logit_bias) within(bias.bias, -100, 100);
}

void check_stop(const StopOptions& stop) {
  require(stop.max_tokens >= 0 && stop.min_tokens >= 0 && stop.timeout_s >= 0, "a negative limit");
  require(std::isfinite(stop.timeout_s), "an endless timeout");
  for (const std::string& text : stop.strings) require(!text.empty(), "an empty stop string");
}

void check_format(const ResponseFormat& format) {
  require(!format.field.empty(), "a format of no field");
  if (format.kind == ResponseFormat::Kind::choice)
    check_json(format.text, json::kind::array, "choices");
}

constexpr std::size_t max_checked_alone = 8;  // of a list of prompts, for speed

void check_media(const server::ChatCall& call) {
  for (const server::MediaSource& source : call.media) {
    require(source.message < call.request.messages.size(), "media of no message");
    require(source.part < call.request.messages[source.message].content.size(), "media of no part");
    require(!source.urls.empty() && !source.field.empty(), "media from nowhere");
  }
}

void check_chat(server::ChatCall call) {
  require(call.num_choices >= 1 && call.num_choices <= server::max_choices, "n out of range");
  check_sampling(call.request.sampling);
  check_stop(call.request.stop);
  check_format(call.request.format);
  check_media(call);
  check_json(call.request.tools_json, json::kind::array, "tools");
  check_json(call.request.template_kwargs_json, json::kind::object, "template_kwargs");
  require(!call.request.messages.empty(), "no messages");
  check_json(text::messages_json(call.request.messages), json::kind::array, "messages");
  server::remove_volatile_lines(call.request.messages);
  require(server::remove_volatile_lines(call.request.messages) == 0, "volatile lines are left");
}

// A list of prompts is so many requests: each is what it is alone.
void check_batch(std::string_view body, const server::CompletionCall& call) {
  json::object alone = parse_json(body, "body").as_object();
  const json::array* list = alone.at("prompt").if_array();
  if (!list || list->front().is_number()) return require(call.requests.size() == 1, "one prompt");
  const json::array prompts = *list;
  require(prompts.size() == call.requests.size(), "another number of prompts");
  for (std::size_t i = 0; i < std::min(prompts.size(), max_checked_alone); ++i) {
    alone["prompt"] = prompts[i];
    const auto one = server::parse_completion(json::serialize(alone));
    require(one.requests.size() == 1, "a prompt that is several");
    require(one.requests[0].text == call.requests[i].text &&
                one.requests[0].tokens == call.requests[i].tokens,
            "another prompt alone");
    require(one.requests[0].stop.max_tokens == call.requests[i].stop.max_tokens &&
                one.requests[0].suffix == call.requests[i].suffix,
            "other options alone");
  }
}

void read_completion(std::string_view body) {
  const server::CompletionCall call = server::parse_completion(body);
  require(!call.requests.empty() && call.num_choices >= 1, "no prompt");
  check_batch(body, call);
  for (const CompletionRequest& request : call.requests) {
    require(request.text.empty() != request.tokens.empty(), "a prompt that is two or none");
    check_sampling(request.sampling);
    check_stop(request.stop);
    check_format(request.format);
  }
}

// What one request says is asked about again by the next, as a stored answer's items.
void read_responses(std::string_view body) {
  const auto none = [](const std::string&) { return std::optional<json::object>(); };
  server::ResponsesCall call = server::parse_responses_call(body, "resp_1", {});
  const json::array items = call.input;
  server::ResponsesCall next = call;
  server::read_items(call, {}, none);
  check_json(json::serialize(call.repeated), json::kind::object, "repeated");
  if (!call.chat.request.messages.empty()) check_chat(call.chat);
  server::read_items(next, items, none);
}

void read_ollama_generate(std::string_view body) {
  server::OllamaGenerate call = server::parse_ollama_generate(body, {});
  if (call.only_loads) return;
  if (!call.text) return check_chat(std::move(call.chat));
  require(call.text->requests.size() == 1, "one prompt");
  check_sampling(call.text->requests[0].sampling);
  check_stop(call.text->requests[0].stop);
  check_format(call.text->requests[0].format);
}

void read_ollama_chat(std::string_view body) {
  server::OllamaChat call = server::parse_ollama_chat(body, {});
  if (!call.only_loads) check_chat(std::move(call.chat));
}

void read_tokenize(std::string_view body) {
  server::TokenizeCall call = server::parse_tokenize(body);
  require(!call.chat || (call.text.empty() && !call.add_special), "a text beside a chat");
  if (call.chat) check_chat(std::move(*call.chat));
}

void read_detokenize(std::string_view body) {
  const server::DetokenizeCall call = server::parse_detokenize(body);
  for (const auto token : call.tokens) require(token >= 0, "a token below 0");
}

void read(const std::string& path, std::string_view body) {
  if (path == "/tokenize") return read_tokenize(body);
  if (path == "/detokenize") return read_detokenize(body);
  if (path == "/apply-template") return check_chat(server::parse_apply_template(body));
  if (path == "/v1/chat/completions") return check_chat(server::parse_chat(body));
  if (path == "/v1/completions") return read_completion(body);
  if (path == "/v1/responses") return read_responses(body);
  if (path == "/api/chat") return read_ollama_chat(body);
  if (path == "/api/generate") return read_ollama_generate(body);
  check_chat(server::parse_messages_call(body, {}, path.ends_with("count_tokens")).chat);
}

void check_error(const std::string& path, const Error& error) {
  const bool ollama = path.starts_with("/api/");
  const auto shape = path.starts_with("/v1/messages") ? server::ErrorShape::anthropic
                     : ollama                         ? server::ErrorShape::ollama
                                                      : server::ErrorShape::openai;
  const auto response = server::error_response({shape, "req_1"}, error);
  require(response.status >= 400 && response.status < 500, "an error of the server's",
          error.what());
  const json::value body = parse_json(response.body, "error");
  const json::value& told = ollama ? body.at("error") : body.at("error").at("message");
  require(told.is_string() && !told.as_string().empty(), "an error that says nothing");
}

}  // namespace

void read_request(const std::string& path, std::string_view body) {
  try {
    read(path, body);
  } catch (const Error& error) {
    check_error(path, error);
  }
}

}  // namespace pippin::fuzz
