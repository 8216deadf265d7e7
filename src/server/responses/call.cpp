#include "server/responses/call.h"

#include <cmath>
#include <utility>

#include "server/chat/thinking.h"
#include "server/schema/field_table.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

using namespace field_tests;

bool is_truncation(const json::value& value) { return value == "auto" || value == "disabled"; }

// {"mode", "ttl", "comparison_response_id", "prewarm"}: the last asks for no answer at all.
bool asks_for_no_prewarming(const json::value& value) {
  if (!value.is_object()) return false;
  const json::value* prewarm = value.as_object().if_contains("prewarm");
  return !prewarm || prewarm->is_null() || is_false(*prewarm);
}

// clang-format off
constexpr Field fields[] = {
    // Honoured by parse_responses_call, which checks the values.
    {"model", any, ""}, {"input", any, ""}, {"instructions", any, ""}, {"stream", any, ""}, {"stream_options", any, ""},
    {"max_output_tokens", any, ""}, {"temperature", any, ""}, {"top_p", any, ""},
    {"tools", any, ""}, {"tool_choice", any, ""}, {"parallel_tool_calls", any, ""},
    {"reasoning", any, ""}, {"text", any, ""}, {"include", any, ""}, {"store", any, ""}, {"previous_response_id", any, ""},
    {"cache_salt", any, ""},
    {"truncation", is_truncation, "\"auto\" or \"disabled\""},

    // Without influence on the answer's words.
    {"metadata", is_object, "an object"},
    {"user", is_string, "a string"},
    {"safety_identifier", is_string, "a string"},
    {"service_tier", is_string, "a string"},
    {"prompt_cache_key", is_string, "a string"},
    {"prompt_cache_retention", is_string, "a string"},
    {"prompt_cache_options", asks_for_no_prewarming, "an object without prewarm"},
    {"access_programs", is_object, "an object"},
    {"background_options", is_object, "an object"},
    {"max_tool_calls", is_number, "a number"},  // of tools that the server runs: there are none
    {"client_metadata", is_object, "an object"},

    // That would change the answer.
    {"background", is_false, "false"},
    {"top_logprobs", is_zero, "0"},
    {"conversation", never, "absent (see 'previous_response_id')"},
    {"context_management", is_empty, "empty"},
    {"prompt", never, "absent"},
    {"moderation", never, "absent"},
    {"image", never, "absent"},
};
// clang-format on

// Members that a response repeats as they were sent, and what it says where they were not.
const json::object& repeated_defaults() {
  static const json::object defaults{{"instructions", nullptr},
                                     {"max_output_tokens", nullptr},
                                     {"max_tool_calls", nullptr},
                                     {"metadata", json::object()},
                                     {"parallel_tool_calls", true},
                                     {"previous_response_id", nullptr},
                                     {"prompt_cache_key", nullptr},
                                     {"safety_identifier", nullptr},
                                     {"store", true},
                                     {"tool_choice", "auto"},
                                     {"truncation", "disabled"},
                                     {"user", nullptr}};
  return defaults;
}

// A member that is supported with one value alone.
void refuse_unless(const Members& members, std::string_view key, std::string_view only) {
  if (const auto value = members.string(key); value && *value != only)
    refuse(members.path_of(key), "must be " + std::string(only) +
                                     " (others are not supported), got '" + excerpt(*value) + "'");
}

void parse_reasoning(const Members& body, ResponsesCall& call) {
  json::object repeated{{"effort", nullptr}, {"summary", nullptr}};
  if (const json::object* object = body.object("reasoning")) {
    const Members reasoning(*object, "reasoning");
    refuse_unless(reasoning, "mode", "standard");
    // Which thoughts of earlier turns a model sees again is its chat template's to say.
    refuse_unless(reasoning, "context", "auto");
    json::object kwargs;
    if (const auto effort = reasoning.string("effort")) {
      set_effort(kwargs, *effort, "reasoning.effort");
      repeated["effort"] = *effort;
    }
    if (!kwargs.empty()) call.chat.request.template_kwargs_json = json::serialize(kwargs);
    for (const char* key : {"generate_summary", "summary"})
      if (const auto summary = reasoning.string(key)) {
        if (*summary != "auto" && *summary != "concise" && *summary != "detailed" &&
            *summary != "none")
          refuse(reasoning.path_of(key),
                 "must be auto, concise, detailed or none, got '" + excerpt(*summary) + "'");
        call.summarize = *summary != "none";
        if (call.summarize) repeated["summary"] = *summary;
      }
  }
  call.repeated["reasoning"] = std::move(repeated);
}

ResponseFormat parse_format(const Members& format) {
  const std::string type = required_string(format, "type");
  if (type == "text") return {};
  if (type == "json_object") return {ResponseFormat::Kind::json_object, "", "text.format"};
  if (type != "json_schema")
    refuse(format.path_of("type"),
           "must be text, json_object or json_schema, got '" + excerpt(type) + "'");
  format.boolean("strict");
  pass_over(format, {"name", "description"});
  return {ResponseFormat::Kind::json_schema, json::serialize(required_object(format, "schema")),
          format.path_of("schema")};
}

void parse_text(const Members& body, ResponsesCall& call) {
  json::object repeated{{"format", {{"type", "text"}}}, {"verbosity", "medium"}};
  if (const json::object* object = body.object("text")) {
    const Members text(*object, "text");
    if (const json::object* format = text.object("format")) {
      call.chat.request.format = parse_format(Members(*format, "text.format"));
      repeated["format"] = *format;
    }
    refuse_unless(text, "verbosity", "medium");
  }
  call.repeated["text"] = std::move(repeated);
}

void parse_include(const Members& body, ResponsesCall& call) {
  const json::array* include = body.array("include");
  for (std::size_t i = 0; include && i < include->size(); ++i) {
    const json::value& what = (*include)[i];
    if (!what.is_string()) refuse(at("include", i), "must be a string");
    if (what == "reasoning.encrypted_content")
      call.encrypt = true;
    else if (what == "message.output_text.logprobs")
      refuse(at("include", i), "can't be message.output_text.logprobs here (not supported)");
    // All others add to results of tools that the server runs: there are none.
  }
}

// 0.6f as 0.6.
double rounded(float value) { return std::round(static_cast<double>(value) * 1e6) / 1e6; }

void parse_sampling(const Members& body, const SamplingOptions& defaults, ResponsesCall& call) {
  SamplingOptions& sampling = call.chat.request.sampling;
  sampling = defaults;
  sampling.temperature = number_in(body, "temperature", 0, 2, sampling.temperature);
  sampling.top_p = number_in(body, "top_p", 0, 1, sampling.top_p);
  call.repeated["temperature"] = rounded(sampling.temperature);
  call.repeated["top_p"] = rounded(sampling.top_p);
  if (sampling.top_p == 0) {
    // The least that "the smallest set reaching 0" can mean: the most likely token.
    sampling.top_p = 1;
    sampling.top_k = 1;
  }
  if (const auto limit = body.integer("max_output_tokens")) {
    if (*limit < 1) refuse("max_output_tokens", "must be at least 1");
    call.chat.request.stop.max_tokens = *limit;
  }
}

void parse_streaming(const Members& body, ChatCall& call) {
  call.stream = body.boolean("stream").value_or(false);
  const json::object* options = body.object("stream_options");
  if (!options) return;
  if (!call.stream) refuse("stream_options", "is only allowed when 'stream' is true");
  // Padding against eavesdroppers; without influence.
  Members(*options, "stream_options").boolean("include_obfuscation");
}

json::object user_message(const json::string& text) {
  const json::array content{{{"type", "input_text"}, {"text", text}}};
  return {{"type", "message"}, {"role", "user"}, {"content", content}};
}

void parse_input(const Members& body, const std::string& id, ResponsesCall& call) {
  const json::value& input = required(body, "input");
  if (input.is_string())
    call.input.push_back(user_message(input.as_string()));
  else if (input.is_array())
    call.input = input.as_array();
  else
    refuse("input", "must be a string or an array of items");
  if (call.input.empty() && call.previous_response_id.empty()) refuse("input", "must not be empty");
  for (std::size_t i = 0; i < call.input.size(); ++i) {
    object_at(call.input[i], at("input", i));
    json::object& item = call.input[i].as_object();
    if (!item.contains("type")) item["type"] = "message";
    if (const auto* given = item.if_contains("id"); !given || !given->is_string())
      item["id"] = "item_" + id + "_" + std::to_string(i);
  }
}

}  // namespace

std::span<const Field> responses_fields() { return fields; }

ResponsesCall parse_responses_call(std::string_view text, const std::string& id,
                                   const SamplingDefaults& defaults) {
  const RequestBody request(text);
  const Members body(request.object());
  ResponsesCall call;
  call.chat.ignored = check_fields(request.object(), fields);
  call.chat.model = body.string("model").value_or("");
  for (const auto& [key, fallback] : repeated_defaults()) {
    const json::value* sent = body.find(key);
    call.repeated[key] = sent ? *sent : fallback;
  }
  call.previous_response_id = body.string("previous_response_id").value_or("");
  body.string("instructions");
  call.chat.truncate = call.repeated.at("truncation") == "auto";
  call.store = body.boolean("store").value_or(true);
  call.chat.request.cache_salt = parse_cache_salt(body);
  parse_streaming(body, call.chat);
  parse_sampling(body, defaults.of(call.chat.model), call);
  ResponsesTools tools = parse_responses_tools(body, call.chat);
  call.repeated["tools"] = std::move(tools.repeated);
  call.namespaces = std::move(tools.namespaces);
  parse_reasoning(body, call);
  parse_text(body, call);
  parse_include(body, call);
  parse_input(body, id, call);
  request.add_unread(call.chat.ignored);
  return call;
}

void read_items(ResponsesCall& call, const json::array& earlier, FindItem find) {
  const MemberLog log;
  ParsedMessages parsed;
  const json::value& instructions = call.repeated.at("instructions");
  if (instructions.is_string() && !instructions.as_string().empty())
    parsed.messages.push_back(
        {"system", {{std::string(instructions.as_string()), nullptr}}, "", "instructions"});
  ItemReader reader(parsed, std::move(find));
  for (std::size_t i = 0; i < earlier.size(); ++i)
    reader.read(earlier[i], at("previous_response_id", i));
  for (std::size_t i = 0; i < call.input.size(); ++i) {
    reader.resolve(call.input[i], at("input", i));
    reader.read(call.input[i], at("input", i));
  }
  reader.finish();
  const json::array& last = call.input.empty() ? earlier : call.input;
  if (!last.empty() && is_unfinished(Members(last.back().as_object())))
    call.chat.request.prompt_end = PromptEnd::last_message;
  call.chat.request.messages = std::move(parsed.messages);
  call.chat.request.field = "input";
  call.chat.media = std::move(parsed.media);
  for (std::size_t i = 0; i < call.input.size(); ++i)
    for (std::string& path : log.unread(call.input[i], at("input", i)))
      call.chat.ignored.push_back(std::move(path));
}

}  // namespace pippin::server
