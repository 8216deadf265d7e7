#include "server/openai/completion_call.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/json.h"
#include "server/openai/response_format.h"
#include "server/schema/request_fields.h"
#include "server/schema/request_json.h"

namespace pippin::server {
namespace {

using namespace field_tests;

// What OpenAI takes where max_tokens is left out.
constexpr std::int64_t default_max_tokens = 16;
// The most answers of all prompts together.
constexpr std::size_t max_answers = 1024;

// clang-format off
constexpr auto fields = joined(shared_fields, neutral_fields, foreign_fields, std::to_array<Field>({
    // Honoured by parse_completion, which checks the values.
    {"prompt", any, ""}, {"best_of", any, ""}, {"echo", any, ""}, {"suffix", any, ""},

    // vLLM's and llama.cpp's that would change the answer.
    {"add_special_tokens", is_true, "true"},
}));
// clang-format on

[[noreturn]] void refuse_prompt() {
  refuse("prompt", "must be a string, an array of strings, of token ids or of arrays of token ids");
}

std::vector<std::int32_t> parse_tokens(const json::array& list) {
  std::vector<std::int32_t> tokens;
  for (const json::value& id : list) {
    const bool fits = id.is_int64() && id.as_int64() >= 0 &&
                      id.as_int64() <= std::numeric_limits<std::int32_t>::max();
    if (!fits) refuse_prompt();
    tokens.push_back(static_cast<std::int32_t>(id.as_int64()));
  }
  if (tokens.empty()) refuse("prompt", "must not be empty");
  return tokens;
}

CompletionRequest request_of(const json::value& prompt) {
  CompletionRequest request;
  if (prompt.is_string())
    request.text = prompt.as_string();
  else if (prompt.is_array())
    request.tokens = parse_tokens(prompt.as_array());
  else
    refuse_prompt();
  if (request.text.empty() && request.tokens.empty()) refuse("prompt", "must not be empty");
  return request;
}

std::vector<CompletionRequest> parse_prompts(const Members& body) {
  const json::value& prompt = required(body, "prompt");
  const json::array* list = prompt.if_array();
  if (!list || (!list->empty() && list->front().is_number())) return {request_of(prompt)};
  if (list->empty()) refuse("prompt", "must not be empty");
  std::vector<CompletionRequest> requests;
  for (const json::value& one : *list) requests.push_back(request_of(one));
  return requests;
}

// The engine always answers a token.
StopOptions parse_completion_stop(const Members& body, bool prompt_only) {
  StopOptions stop = prompt_only ? StopOptions{} : parse_stop(body);
  if (prompt_only) stop.max_tokens = 1;
  if (stop.max_tokens == 0) stop.max_tokens = std::max(default_max_tokens, stop.min_tokens);
  return stop;
}

// As many of the likeliest as `logprobs` says.
int parse_logprobs(const Members& body) {
  const auto count = body.integer("logprobs");
  if (!count) return -1;
  if (*count < 0 || *count > max_top_logprobs)
    refuse("logprobs", "must be between 0 and " + std::to_string(max_top_logprobs));
  return static_cast<int>(*count);
}

}  // namespace

std::span<const Field> completion_fields() { return fields; }

CompletionCall parse_completion(std::string_view text, const SamplingDefaults& defaults) {
  const RequestBody parsed_body(text);
  const Members body(parsed_body.object());
  CompletionCall call;
  call.ignored = check_fields(parsed_body.object(), fields);
  call.model = body.string("model").value_or("");
  const Streaming streaming = parse_streaming(body);
  call.stream = streaming.stream;
  call.include_usage = streaming.include_usage;
  call.num_choices = parse_choices(body);
  if (body.integer_or("best_of", call.num_choices) != call.num_choices)
    refuse("best_of", "must be as 'n': all answers are told");
  call.echo = body.boolean("echo").value_or(false);
  call.tokens.ids = body.boolean("return_token_ids").value_or(false);
  call.tokens.named_by_id = body.boolean("return_tokens_as_token_ids").value_or(false);
  SamplingOptions sampling = parse_sampling(body, defaults.of(call.model));
  sampling.top_logprobs = parse_logprobs(body);
  call.tokens.logprobs = sampling.top_logprobs >= 0;
  sampling.prompt_logprobs = parse_prompt_logprobs(body, call.stream);
  call.tokens.prompt_logprobs = sampling.prompt_logprobs >= 0;
  if (call.echo && call.tokens.logprobs && !call.tokens.prompt_logprobs)
    sampling.prompt_logprobs = sampling.top_logprobs;
  call.prompt_only = call.echo && body.integer_or("max_tokens", 1) == 0;
  const StopOptions stop = parse_completion_stop(body, call.prompt_only);
  const int priority = parse_priority(body);
  const std::string cache_salt = parse_cache_salt(body);
  const ResponseFormat format = parse_response_format(body);
  const std::string suffix = body.string("suffix").value_or("");
  call.requests = parse_prompts(body);
  if (call.requests.size() * static_cast<std::size_t>(call.num_choices) > max_answers)
    refuse("prompt", "asks for more than " + std::to_string(max_answers) + " answers");
  for (CompletionRequest& request : call.requests) {
    if (!suffix.empty() && !request.tokens.empty())
      refuse("suffix", "is not supported for a prompt of token ids");
    request.suffix = suffix;
    request.sampling = sampling;
    request.stop = stop;
    request.priority = priority;
    request.cache_salt = cache_salt;
    request.format = format;
    request.list_tokens = call.tokens.ids;
  }
  parsed_body.add_unread(call.ignored);
  return call;
}

}  // namespace pippin::server
