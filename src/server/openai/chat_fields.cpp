#include "server/openai/chat_fields.h"

#include "server/schema/field_table.h"

namespace pippin::server {
namespace {

using namespace field_tests;

// clang-format off
constexpr auto fields = joined(shared_fields, neutral_fields, foreign_fields, std::to_array<Field>({
    // Honoured by parse_chat, which checks the values.
    {"messages", any, ""}, {"max_completion_tokens", any, ""}, {"top_logprobs", any, ""}, {"reasoning_effort", any, ""},
    {"tools", any, ""}, {"tool_choice", any, ""}, {"parallel_tool_calls", any, ""},
    {"chat_template_kwargs", any, ""}, {"mm_processor_kwargs", any, ""},
    {"thinking_token_budget", any, ""}, {"thinking_budget", any, ""},
    {"add_generation_prompt", any, ""}, {"continue_final_message", any, ""},

    // Without influence on the answer's words.
    {"metadata", is_object, "an object"},
    {"store", is_bool, "a boolean"},
    {"service_tier", is_string, "a string"},
    {"safety_identifier", is_string, "a string"},
    {"prompt_cache_key", is_string, "a string"},
    {"prompt_cache_retention", is_string, "a string"},
    {"prompt_cache_options", is_object, "an object"},
    {"prediction", is_object, "an object"},  // a hint for speed

    // OpenAI's that would change the answer.
    {"modalities", is_text_only, "[\"text\"]"},
    {"audio", never, "absent"},
    {"web_search_options", never, "absent"},
    {"moderation", never, "absent"},
    {"verbosity", is_medium, "\"medium\""},
    {"functions", is_empty, "empty (see 'tools')"},
    {"function_call", is_auto_or_none, "\"auto\" or \"none\" (see 'tool_choice')"},

    // vLLM's and llama.cpp's that would change the answer.
    {"best_of", is_one, "1"},
    {"echo", is_false, "false"},
    {"chat_template", never, "absent"},
    {"documents", is_empty, "empty"},
}));
// clang-format on

}  // namespace

std::span<const Field> chat_fields() { return fields; }

std::vector<std::string> check_chat_fields(const json::object& body) {
  return check_fields(body, fields);
}

}  // namespace pippin::server
