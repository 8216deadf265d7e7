#include "server/schema/field_schemas.h"

#include <algorithm>
#include <iterator>

namespace pippin::server {
namespace {

struct FieldSchema {
  std::string_view route;  ///< empty: of every route that has none of its own
  std::string_view field;
  std::string_view schema;
  std::string_view description;
};

// clang-format off
constexpr FieldSchema schemas[] = {
    {"", "model", R"({"type": "string"})", "A name of GET /v1/models; may be left out"},
    {"", "messages", R"({"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Message"}})", "The conversation"},
    {"", "stream", R"({"type": "boolean"})", "Answer by server-sent events, as the words are generated"},
    {"", "stream_options", R"({"type": "object", "properties": {"include_usage": {"type": "boolean"}, "include_obfuscation": {"type": "boolean"}}})", "Only with stream"},
    {"", "temperature", R"({"type": "number", "minimum": 0, "maximum": 2})", "0 takes the likeliest token each time"},
    {"", "top_p", R"({"type": "number", "minimum": 0, "maximum": 1})", "Keep the likeliest tokens up to this probability"},
    {"", "top_k", R"({"type": "integer", "minimum": -1})", "Keep this many of the likeliest tokens; 0 and -1 keep all"},
    {"", "min_p", R"({"type": "number", "minimum": 0, "maximum": 1})", "Drop tokens less likely than this times the likeliest"},
    {"", "seed", R"({"type": "integer"})", "Equal seeds give equal answers; the i-th of several has the seed plus i"},
    {"", "presence_penalty", R"({"type": "number", "minimum": -2, "maximum": 2})", "Subtracted from the logits of tokens that the answer has"},
    {"", "frequency_penalty", R"({"type": "number", "minimum": -2, "maximum": 2})", "Subtracted for each time that the answer has a token"},
    {"", "repetition_penalty", R"({"type": "number", "minimum": 0.01, "maximum": 100})", "Divides the logits of tokens that prompt or answer have"},
    {"", "logit_bias", R"({"type": "object", "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}})", "Token ids to what is added to their logits"},
    {"", "max_tokens", R"({"type": "integer", "minimum": 1})", "Tokens generated at most; cut to what the context holds"},
    {"/v1/completions", "max_tokens", R"({"type": "integer", "minimum": 0})", "Tokens generated at most; cut to what the context holds. 0 only with echo"},
    {"", "max_completion_tokens", R"({"type": "integer", "minimum": 1})", "The same by its newer name, which wins"},
    {"", "min_tokens", R"({"type": "integer", "minimum": 0})", "Tokens generated before anything may end the answer"},
    {"", "stop", R"({"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 64}]})", "Texts that end the answer"},
    {"", "stop_token_ids", R"({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}})", "Tokens that end the answer"},
    {"", "include_stop_str_in_output", R"({"type": "boolean"})", "The answer ends behind the stop string instead of before it"},
    {"", "ignore_eos", R"({"type": "boolean"})", "Go on past the model's end tokens"},
    {"", "timeout", R"({"type": "number", "minimum": 0.001, "maximum": 1000000})", "Seconds that the answer may take"},
    {"", "priority", R"({"type": "integer", "minimum": -1000000, "maximum": 1000000})", "Lower ones go first"},
    {"", "cache_salt", R"({"type": "string", "minLength": 1})", "Share cached prompts and pictures only with requests of the same salt"},
    {"", "n", R"({"type": "integer", "minimum": 1, "maximum": 128})", "Answers to one prompt, which is computed once"},
    {"", "logprobs", R"({"type": "boolean"})", "Tell each token's log-probability (after logit_bias and penalties, before temperature)"},
    {"/v1/completions", "logprobs", R"({"type": "integer", "minimum": 0, "maximum": 20})", "Tell each token's log-probability and those of as many likeliest ones; with echo of the prompt's, too"},
    {"", "top_logprobs", R"({"type": "integer", "minimum": 0, "maximum": 20})", "And those of as many likeliest ones; only with logprobs"},
    {"", "prompt_logprobs", R"({"type": "integer", "minimum": 0, "maximum": 20})", "Tell each of the prompt's tokens' log-probability and those of as many likeliest ones; not streamed"},
    {"", "return_token_ids", R"({"type": "boolean"})", "Tell the ids of the prompt's and the answer's tokens"},
    {"", "return_tokens_as_token_ids", R"({"type": "boolean"})", "Name tokens 'token_id:7' beside log-probabilities"},
    {"", "reasoning_effort", R"({"type": "string", "enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max"]})", "Said in the variables of the model's template, where it has any"},
    {"", "tools", R"({"type": "array", "items": {"$ref": "#/components/schemas/Tool"}})", "Functions that the model may call"},
    {"", "tool_choice", R"({})", "Whether the model may call tools"},
    {"", "parallel_tool_calls", R"({"type": "boolean"})", "Several calls in one answer"},
    {"", "response_format", R"({"type": "object"})", "The form of the answer"},
    {"", "chat_template_kwargs", R"({"type": "object"})", "Variables of the model's template"},
    {"", "mm_processor_kwargs", R"({"type": "object", "additionalProperties": false, "properties": {"fps": {"type": "number", "exclusiveMinimum": 0}, "min_frames": {"type": "integer", "minimum": 1}, "max_frames": {"type": "integer", "minimum": 1}, "num_frames": {"type": "integer", "minimum": 1}}})", "How videos are sampled"},
    {"/v1/completions", "prompt", R"({"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}, {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}}, {"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}}}]})", "A text, token ids, or several of either"},
    {"", "prompt", R"({"type": "string"})", "A text"},
    {"", "content", R"({"type": "string"})", "The same by llama.cpp's name; add_special is false then unless said otherwise"},
    {"", "best_of", R"({"type": "integer", "minimum": 1, "maximum": 128})", "As n, since all answers are told"},
    {"", "echo", R"({"type": "boolean"})", "Answers begin with the prompt"},
    {"", "suffix", R"({"type": "string"})", "What follows the gap to fill, for models that were taught to"},
    {"", "add_special_tokens", R"({"type": "boolean"})", "Add what the tokenizer puts around a text; not for messages"},
    {"", "add_special", R"({"type": "boolean"})", "The same by llama.cpp's name"},
    {"", "return_token_strs", R"({"type": "boolean"})", "Tell each token's text, too"},
    // Structured output.
    {"", "structured_outputs", R"({"type": "object"})", "vLLM's: one of json, regex, choice, grammar, json_object"},
    {"", "guided_json", R"({"anyOf": [{"type": "object"}, {"type": "string"}]})", "A JSON Schema that the answer keeps to"},
    {"", "guided_regex", R"({"type": "string"})", "A regular expression that the answer matches"},
    {"", "guided_choice", R"({"type": "array", "items": {"type": "string"}})", "Texts of which the answer is one"},
    {"", "guided_grammar", R"({"type": "string"})", "A grammar that the answer keeps to"},
    {"", "grammar", R"({"type": "string"})", "The same by llama.cpp's name"},
    {"", "json_schema", R"({"anyOf": [{"type": "object"}, {"type": "string"}]})", "As guided_json, by llama.cpp's name"},
    {"", "add_generation_prompt", R"({"type": "boolean"})", "The prompt ends with what the template puts before an answer; true unless the last message is continued"},
    {"", "continue_final_message", R"({"type": "boolean"})", "The answer goes on with the last message, the assistant's, which the prompt leaves open"},
    {"", "thinking_token_budget", R"({"type": "integer", "minimum": 0})", "Tokens of reasoning at most"},
    {"", "thinking_budget", R"({"type": "integer", "minimum": 0})", "The same by Qwen's name"},
    // The Messages API.
    {"/v1/messages", "messages", R"({"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/AnthropicMessage"}})", "The conversation"},
    {"/v1/messages/count_tokens", "messages", R"({"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/AnthropicMessage"}})", "The conversation"},
    {"/v1/messages", "tools", R"({"type": "array", "items": {"type": "object"}})", "Functions that the model may call"},
    {"/v1/messages/count_tokens", "tools", R"({"type": "array", "items": {"type": "object"}})", "Functions that the model may call"},
    {"", "system", R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})", "What comes before the conversation"},
    {"", "stop_sequences", R"({"type": "array", "items": {"type": "string", "minLength": 1}})", "Texts that end the answer"},
    {"", "thinking", R"({"type": "object"})", "Whether, and how much, the model thinks"},
    {"", "output_config", R"({"type": "object"})", "The effort, and the form of the answer"},
    {"", "output_format", R"({"type": "object"})", "The form of the answer, by the name that it had before"},
    {"", "context_management", R"({"type": "object"})", "Edits of the conversation"},
    // Ollama's API.
    {"/api/chat", "messages", R"({"type": "array", "items": {"$ref": "#/components/schemas/OllamaMessage"}})", "The conversation; none: the model is loaded"},
    {"/api/chat", "stream", R"({"type": "boolean", "default": true})", "Answer by lines of JSON, as the words are generated"},
    {"/api/generate", "stream", R"({"type": "boolean", "default": true})", "Answer by lines of JSON, as the words are generated"},
    {"", "options", R"({"type": "object", "properties": {"temperature": {"type": "number", "minimum": 0, "maximum": 2}, "num_predict": {"type": "integer"}}})", "How the answer is sampled: temperature, top_k, top_p, min_p, seed, stop, num_predict, penalties"},
    {"", "format", R"({"anyOf": [{"enum": ["", "json"]}, {"type": "object"}]})", "\"json\", or a JSON Schema that the answer keeps to"},
    {"", "think", R"({"anyOf": [{"type": "boolean"}, {"enum": ["low", "medium", "high"]}]})", "Whether, and how much, the model thinks"},
    {"", "images", R"({"type": "array", "items": {"type": "string"}, "maxItems": 0})", "Pictures in base64"},
    {"/api/generate", "system", R"({"type": "string"})", "What comes before the prompt"},
    {"", "raw", R"({"type": "boolean"})", "The prompt is taken as it is, without the model's template"},
    {"", "keep_alive", R"({"type": ["string", "number"]})", "Without influence: the model stays loaded"},
    // The Responses API.
    {"", "input", R"({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})", "A question, or the items of a conversation"},
    {"", "instructions", R"({"type": "string"})", "What comes before the conversation"},
    {"", "max_output_tokens", R"({"type": "integer", "minimum": 1})", "Tokens generated at most"},
    {"", "reasoning", R"({"type": "object"})", "How much the model thinks"},
    {"", "text", R"({"type": "object"})", "The form of the answer"},
    {"", "include", R"({"type": "array", "items": {"type": "string"}})", "What else to tell"},
    {"", "store", R"({"type": "boolean"})", "Keep the answer for later requests"},
    {"", "previous_response_id", R"({"type": "string"})", "The answer that this request goes on from"},
    {"/v1/responses", "tools", R"({"type": "array", "items": {"type": "object"}})", "Functions that the model may call"},

    {"", "tokens", R"({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}})", "Token ids"},
};
// clang-format on

json::object parsed(const FieldSchema& entry) {
  json::object schema = parse_json(entry.schema, entry.field).as_object();
  schema["description"] = entry.description;
  return schema;
}

}  // namespace

std::optional<json::object> schema_of(std::string_view route, std::string_view field) {
  for (const std::string_view where : {route, std::string_view()}) {
    const auto found = std::find_if(
        std::begin(schemas), std::end(schemas),
        [&](const FieldSchema& entry) { return entry.route == where && entry.field == field; });
    if (found != std::end(schemas)) return parsed(*found);
  }
  return {};
}

json::object request_schema(std::string_view route, std::span<const Field> fields,
                            std::span<const std::string_view> required) {
  json::object properties;
  for (const Field& field : fields) {
    if (field.allowed == field_tests::never) continue;
    json::object schema = schema_of(route, field.name).value_or(json::object());
    if (!field.allowed_text.empty())
      schema["description"] = "Must be " + std::string(field.allowed_text);
    properties[field.name] = std::move(schema);
  }
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", json::array(required.begin(), required.end())}};
}

}  // namespace pippin::server
