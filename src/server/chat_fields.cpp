#include "server/chat_fields.h"

#include <algorithm>
#include <string_view>

#include "pippin/error.h"
#include "server/utf8.h"

namespace pippin::server {
namespace {

using Test = bool (*)(const json::value&);

bool any(const json::value&) { return true; }
bool never(const json::value&) { return false; }
bool is_string(const json::value& value) { return value.is_string(); }
bool is_object(const json::value& value) { return value.is_object(); }
bool is_bool(const json::value& value) { return value.is_bool(); }
bool is_number(const json::value& value) { return value.is_number(); }
bool is_true(const json::value& value) { return value.is_bool() && value.as_bool(); }
bool is_false(const json::value& value) { return value.is_bool() && !value.as_bool(); }
bool equals(const json::value& value, double number) {
  return value.is_number() && value.to_number<double>() == number;
}
bool is_zero(const json::value& value) { return equals(value, 0); }
bool is_one(const json::value& value) { return equals(value, 1); }
bool is_zero_or_false(const json::value& value) { return is_zero(value) || is_false(value); }
bool is_empty(const json::value& value) {
  return (value.is_object() && value.as_object().empty()) ||
         (value.is_array() && value.as_array().empty());
}
bool is_text_only(const json::value& value) { return value == json::array{"text"}; }
bool is_medium(const json::value& value) { return value == "medium"; }
bool is_auto_or_none(const json::value& value) { return value == "auto" || value == "none"; }

struct Field {
  std::string_view name;
  Test allowed;
  /// Which values are allowed, for the message; empty for any.
  std::string_view allowed_text;
};

// clang-format off
constexpr Field fields[] = {
    // Honoured by parse_chat, which checks the values.
    {"messages", any, ""}, {"model", any, ""}, {"stream", any, ""}, {"stream_options", any, ""},
    {"temperature", any, ""}, {"top_p", any, ""}, {"top_k", any, ""}, {"min_p", any, ""}, {"seed", any, ""},
    {"presence_penalty", any, ""}, {"frequency_penalty", any, ""}, {"repetition_penalty", any, ""}, {"logit_bias", any, ""},
    {"max_tokens", any, ""}, {"max_completion_tokens", any, ""}, {"stop", any, ""},
    {"stop_token_ids", any, ""}, {"ignore_eos", any, ""}, {"priority", any, ""},
    {"tools", any, ""}, {"tool_choice", any, ""}, {"parallel_tool_calls", any, ""},
    {"chat_template_kwargs", any, ""}, {"mm_processor_kwargs", any, ""},
    {"response_format", any, ""}, {"structured_outputs", any, ""}, {"guided_json", any, ""}, {"guided_regex", any, ""},
    {"guided_choice", any, ""}, {"guided_grammar", any, ""}, {"thinking_token_budget", any, ""}, {"thinking_budget", any, ""},

    // Without influence on the answer's words.
    {"user", is_string, "a string"},
    {"metadata", is_object, "an object"},
    {"store", is_bool, "a boolean"},
    {"service_tier", is_string, "a string"},
    {"safety_identifier", is_string, "a string"},
    {"prompt_cache_key", is_string, "a string"},
    {"prompt_cache_retention", is_string, "a string"},
    {"prediction", is_object, "an object"},  // a hint for speed
    {"cache_prompt", is_bool, "a boolean"},  // llama.cpp's; the prefix cache is always on
    {"priority", is_number, "a number"},     // vLLM's

    // OpenAI's that would change the answer.
    {"n", is_one, "1"},
    {"logprobs", is_false, "false"},
    {"top_logprobs", is_zero, "0"},
    {"modalities", is_text_only, "[\"text\"]"},
    {"audio", never, "absent"},
    {"web_search_options", never, "absent"},
    {"reasoning_effort", never, "absent (templates with a switch take chat_template_kwargs)"},
    {"verbosity", is_medium, "\"medium\""},
    {"functions", is_empty, "empty (see 'tools')"},
    {"function_call", is_auto_or_none, "\"auto\" or \"none\" (see 'tool_choice')"},

    // vLLM's and llama.cpp's that would change the answer.
    {"repeat_penalty", is_one, "1"},
    {"length_penalty", is_one, "1"},
    {"typical_p", is_one, "1"},
    {"mirostat", is_zero, "0"},
    {"dry_multiplier", is_zero, "0"},
    {"xtc_probability", is_zero, "0"},
    {"min_tokens", is_zero, "0"},
    {"best_of", is_one, "1"},
    {"use_beam_search", is_false, "false"},
    {"prompt_logprobs", is_zero_or_false, "0"},
    {"skip_special_tokens", is_true, "true"},
    {"include_stop_str_in_output", is_false, "false"},
    {"bad_words", is_empty, "empty"},
    {"allowed_token_ids", never, "absent"},
    {"truncate_prompt_tokens", never, "absent"},
    {"echo", is_false, "false"},
    {"add_generation_prompt", is_true, "true"},
    {"continue_final_message", is_false, "false"},
    {"chat_template", never, "absent"},
    {"documents", is_empty, "empty"},
    {"grammar", never, "absent (see 'structured_outputs')"},
    {"json_schema", never, "absent (see 'response_format')"},
};
// clang-format on

}  // namespace

std::vector<std::string> check_chat_fields(const json::object& body) {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : body) {
    const std::string name(key);
    const auto field = std::find_if(std::begin(fields), std::end(fields),
                                    [&](const Field& candidate) { return candidate.name == name; });
    if (field == std::end(fields))
      unknown.push_back(name);
    else if (!value.is_null() && !field->allowed(value))
      throw Error(Code::invalid_argument,
                  "'" + name + "' must be " + std::string(field->allowed_text) +
                      " here (other values are not supported), got " +
                      excerpt(json::serialize(value)),
                  name);
  }
  return unknown;
}

}  // namespace pippin::server
