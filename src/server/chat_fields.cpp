#include "server/chat_fields.h"

#include "server/field_table.h"

namespace pippin::server {
namespace {

using namespace field_tests;

// clang-format off
constexpr Field fields[] = {
    // Honoured by parse_chat, which checks the values.
    {"messages", any, ""}, {"model", any, ""}, {"stream", any, ""}, {"stream_options", any, ""},
    {"temperature", any, ""}, {"top_p", any, ""}, {"top_k", any, ""}, {"min_p", any, ""}, {"seed", any, ""},
    {"presence_penalty", any, ""}, {"frequency_penalty", any, ""}, {"repetition_penalty", any, ""}, {"logit_bias", any, ""},
    {"max_tokens", any, ""}, {"max_completion_tokens", any, ""}, {"stop", any, ""},
    {"stop_token_ids", any, ""}, {"ignore_eos", any, ""}, {"priority", any, ""}, {"timeout", any, ""},
    {"n", any, ""}, {"logprobs", any, ""}, {"top_logprobs", any, ""}, {"min_tokens", any, ""}, {"include_stop_str_in_output", any, ""},
    {"return_token_ids", any, ""}, {"return_tokens_as_token_ids", any, ""}, {"reasoning_effort", any, ""},
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

    // OpenAI's that would change the answer.
    {"modalities", is_text_only, "[\"text\"]"},
    {"audio", never, "absent"},
    {"web_search_options", never, "absent"},
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
    {"best_of", is_one, "1"},
    {"use_beam_search", is_false, "false"},
    {"prompt_logprobs", is_zero_or_false, "0"},
    {"skip_special_tokens", is_true, "true"},
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

std::span<const Field> chat_fields() { return fields; }

std::vector<std::string> check_chat_fields(const json::object& body) {
  return check_fields(body, fields);
}

}  // namespace pippin::server
