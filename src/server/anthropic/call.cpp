#include "server/anthropic/call.h"

#include <limits>
#include <utility>

#include "server/anthropic/messages.h"
#include "server/anthropic/tools.h"
#include "server/chat/thinking.h"
#include "server/chat/tool_wish.h"
#include "server/schema/field_table.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

using namespace field_tests;

constexpr std::size_t max_stop_sequences = 64;

bool is_fallbacks(const json::value& value) { return value.is_array() || value == "default"; }

// clang-format off
constexpr Field fields[] = {
    // Honoured by parse_messages_call, which checks the values.
    {"model", any, ""}, {"messages", any, ""}, {"system", any, ""}, {"max_tokens", any, ""}, {"stream", any, ""},
    {"stop_sequences", any, ""}, {"temperature", any, ""}, {"top_p", any, ""}, {"top_k", any, ""},
    {"thinking", any, ""}, {"tools", any, ""}, {"tool_choice", any, ""}, {"output_config", any, ""},
    {"context_management", any, ""}, {"output_format", any, ""}, {"cache_salt", any, ""},

    // Without influence on the answer's words.
    {"metadata", is_object, "an object"},
    {"service_tier", is_string, "a string"},
    {"inference_geo", is_string, "a string"},
    {"user_profile_id", is_string, "a string"},
    {"workspace_id", is_string, "a string"},
    {"diagnostics", is_object, "an object"},
    {"speed", is_string, "a string"},
    {"cache_control", is_object, "an object"},  // all prompts are cached
    {"billing_policy", is_object, "an object"},
    // What to do where Anthropic's models decline: nothing here does.
    {"fallbacks", is_fallbacks, "a list or \"default\""},
    {"fallback_credit_token", is_object, "an object"},

    // That would change the answer.
    {"container", never, "absent"},
    {"thread", never, "absent"},
    {"compaction", never, "absent"},
    {"mcp_servers", is_empty, "empty"},
};
// clang-format on

StopOptions parse_stop(const Members& body, bool to_count) {
  StopOptions stop;
  const auto limit = body.integer("max_tokens");
  if (!limit && !to_count) refuse_absent(body, "max_tokens");
  if (limit && *limit < 0) refuse("max_tokens", "must be at least 0");
  // 0 is for reading a prompt ahead; the engine always answers a token.
  if (limit) stop.max_tokens = std::max<std::int64_t>(*limit, 1);
  const json::array* sequences = body.array("stop_sequences");
  if (!sequences) return stop;
  if (sequences->size() > max_stop_sequences)
    refuse("stop_sequences",
           "must have at most " + std::to_string(max_stop_sequences) + " strings");
  for (const json::value& sequence : *sequences) {
    if (!sequence.is_string() || sequence.as_string().empty())
      refuse("stop_sequences", "must be an array of strings that are not empty");
    stop.strings.emplace_back(sequence.as_string());
  }
  return stop;
}

SamplingOptions parse_sampling(const Members& body, SamplingOptions sampling) {
  sampling.temperature = number_in(body, "temperature", 0, 2, sampling.temperature);
  sampling.top_p = number_in(body, "top_p", 0, 1, sampling.top_p);
  const std::int64_t top_k = body.integer_or("top_k", sampling.top_k);
  if (top_k < 0) refuse("top_k", "must be at least 0 (0: all)");
  sampling.top_k = static_cast<int>(std::min<std::int64_t>(top_k, std::numeric_limits<int>::max()));
  if (sampling.top_p == 0) {
    // The least that "the smallest set reaching 0" can mean: the most likely token.
    sampling.top_p = 1;
    sampling.top_k = 1;
  }
  return sampling;
}

void parse_thinking(const Members& body, json::object& kwargs, MessagesCall& call) {
  const json::object* object = body.object("thinking");
  if (!object) return set_thinking(kwargs, false);
  const Members thinking(*object, "thinking");
  // It says what to do where a signature is wrong: none is looked at.
  pass_over(thinking, {"block_binding"});
  const std::string type = required_string(thinking, "type");
  if (type != "enabled" && type != "adaptive" && type != "disabled")
    refuse("thinking.type", "must be enabled, adaptive or disabled, got '" + excerpt(type) + "'");
  set_thinking(kwargs, type != "disabled");
  const auto budget = thinking.integer("budget_tokens");
  if (type == "enabled" && !budget) refuse_absent(thinking, "budget_tokens");
  if (budget && *budget < 1) refuse("thinking.budget_tokens", "must be at least 1");
  if (type != "disabled") call.chat.request.thinking_budget = budget;
  const std::string display = thinking.string("display").value_or("summarized");
  if (display != "summarized" && display != "omitted")
    refuse("thinking.display", "must be summarized or omitted, got '" + excerpt(display) + "'");
  call.omit_thinking = display == "omitted";
}

// {"type": "json_schema", "schema": {...}}
ResponseFormat parse_format(const json::object& object, const std::string& path) {
  const Members format(object, path);
  const std::string type = required_string(format, "type");
  if (type != "json_schema")
    refuse(format.path_of("type"), "must be json_schema, got '" + excerpt(type) + "'");
  return {ResponseFormat::Kind::json_schema, json::serialize(required_object(format, "schema")),
          format.path_of("schema")};
}

void parse_output_config(const Members& body, json::object& kwargs, ChatCall& call) {
  const json::object* object = body.object("output_config");
  if (!object) return;
  const Members config(*object, "output_config");
  if (config.find("task_budget"))
    refuse("output_config.task_budget",
           "is not supported (no chat template can tell a model of it)");
  if (const auto effort = config.string("effort"))
    set_effort(kwargs, *effort, "output_config.effort");
  if (const json::object* format = config.object("format"))
    call.request.format = parse_format(*format, "output_config.format");
}

// Edits of what the prompt has: of these only the one is taken that templates do anyway.
void check_context_management(const Members& body) {
  const json::object* object = body.object("context_management");
  if (!object) return;
  const Members management(*object, "context_management");
  const json::array* edits = management.array("edits");
  for (std::size_t i = 0; edits && i < edits->size(); ++i) {
    const std::string path = at("context_management.edits", i);
    const Members edit(object_at((*edits)[i], path), path);
    const std::string type = required_string(edit, "type");
    if (type != "clear_thinking_20251015")
      refuse(edit.path_of("type"),
             "must be clear_thinking_20251015 (others are not supported), got '" + excerpt(type) +
                 "'");
    pass_over(edit, {"keep"});  // templates keep the last turn's
  }
}

ToolWish parse_choice(const Members& choice) {
  const std::string type = required_string(choice, "type");
  if (type == "auto") return {};
  if (type == "none") return {ToolWish::Kind::none};
  if (type == "any") return {ToolWish::Kind::required};
  if (type == "tool") return {ToolWish::Kind::required, {required_string(choice, "name")}};
  refuse(choice.path_of("type"), "must be auto, any, tool or none, got '" + excerpt(type) + "'");
}

AnthropicTools parse_tools(const Members& body, ChatCall& call) {
  const json::array* list = body.array("tools");
  if (!list) return {};
  AnthropicTools tools = parse_anthropic_tools(*list);
  call.request.tools_json = tools.json;
  call.request.template_tools_json = tools.template_json;
  call.request.tool_choice.strict = any_strict(*list);
  for (std::size_t i = 0; i < list->size(); ++i)
    call.tool_fields.emplace(list->at(i).at("name").as_string(), at("tools", i) + ".input_schema");
  return tools;
}

void parse_tool_choice(const Members& body, ChatCall& call) {
  const json::object* object = body.object("tool_choice");
  if (!object) return;
  const Members choice(*object, "tool_choice");
  apply(parse_choice(choice), "tool_choice", call.request);
  call.request.parallel_tool_calls = !choice.boolean("disable_parallel_tool_use").value_or(false);
}

}  // namespace

std::span<const Field> messages_fields() { return fields; }

MessagesCall parse_messages_call(std::string_view text, const SamplingDefaults& defaults,
                                 bool to_count) {
  const RequestBody request(text);
  const Members body(request.object());
  MessagesCall call;
  ChatCall& chat = call.chat;
  chat.ignored = check_fields(request.object(), fields);
  chat.model = body.string("model").value_or("");
  chat.stream = body.boolean("stream").value_or(false);
  chat.request.cache_salt = parse_cache_salt(body);
  chat.request.stop = parse_stop(body, to_count);
  call.prompt_only = body.integer_or("max_tokens", 1) == 0;
  if (call.prompt_only && chat.stream)
    refuse("max_tokens", "must be at least 1 when 'stream' is true");
  chat.request.sampling = parse_sampling(body, defaults.of(chat.model));
  json::object kwargs;
  parse_thinking(body, kwargs, call);
  parse_output_config(body, kwargs, chat);
  // The name that output_config.format had before.
  if (const json::object* format = body.object("output_format")) {
    if (chat.request.format.kind != ResponseFormat::Kind::text)
      refuse("output_format", "and 'output_config.format' exclude each other");
    chat.request.format = parse_format(*format, "output_format");
  }
  check_context_management(body);
  chat.request.template_kwargs_json = json::serialize(kwargs);
  const AnthropicTools tools = parse_tools(body, chat);
  parse_tool_choice(body, chat);
  ParsedMessages parsed = parse_anthropic_messages(request, tools);
  chat.request.prompt_end = prompt_end_of(parsed);
  chat.request.messages = std::move(parsed.messages);
  chat.media = std::move(parsed.media);
  request.add_unread(chat.ignored);
  return call;
}

}  // namespace pippin::server
