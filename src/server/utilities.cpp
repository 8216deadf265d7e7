#include "server/utilities.h"

#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "server/anthropic/call.h"
#include "server/openai/chat_fields.h"
#include "server/openai/chat_parser.h"
#include "server/openai/completion_call.h"
#include "server/openapi.h"
#include "server/request_json.h"
#include "server/responses/call.h"
#include "server/utf8.h"

namespace pippin::server {
namespace {

using namespace field_tests;

// clang-format off
constexpr Field of_tokenize[] = {
    {"model", any, ""}, {"prompt", any, ""}, {"content", any, ""}, {"messages", any, ""},
    {"add_special_tokens", any, ""}, {"add_special", any, ""}, {"return_token_strs", any, ""},
    {"tools", any, ""}, {"chat_template_kwargs", any, ""}, {"mm_processor_kwargs", any, ""},
    {"add_generation_prompt", is_true, "true"},
    {"continue_final_message", is_false, "false"},
    {"chat_template", never, "absent"},
    {"parse_special", is_true, "true"},
    {"with_pieces", is_false, "false (see 'return_token_strs')"},
};
constexpr Field of_detokenize[] = {{"model", any, ""}, {"tokens", any, ""}};
constexpr Field of_template[] = {
    {"model", any, ""}, {"messages", any, ""}, {"tools", any, ""}, {"chat_template_kwargs", any, ""},
    {"mm_processor_kwargs", any, ""}, {"reasoning_effort", any, ""},
    {"add_generation_prompt", is_true, "true"},
    {"continue_final_message", is_false, "false"},
    {"chat_template", never, "absent"},
};
// clang-format on

// The chat of a body that has other fields beside it.
ChatCall chat_of(const json::object& body) {
  json::object chat;
  for (const char* name : {"model", "messages", "tools", "chat_template_kwargs",
                           "mm_processor_kwargs", "reasoning_effort"})
    if (const auto* value = body.if_contains(name)) chat[name] = *value;
  return parse_chat(json::serialize(chat));
}

std::vector<std::int32_t> parse_tokens(const Members& body) {
  const json::array* list = body.array("tokens");
  if (!list) refuse("tokens", "is missing");
  std::vector<std::int32_t> tokens;
  for (const json::value& id : *list) {
    const bool fits = id.is_int64() && id.as_int64() >= 0 &&
                      id.as_int64() <= std::numeric_limits<std::int32_t>::max();
    if (!fits) refuse("tokens", "must be an array of token ids");
    tokens.push_back(static_cast<std::int32_t>(id.as_int64()));
  }
  return tokens;
}

json::array names_of(std::span<const Field> fields) {
  json::array names;
  for (const Field& field : fields)
    if (field.allowed != never) names.emplace_back(field.name);
  return names;
}

json::array inputs_of(const ModelInfo& info) {
  json::array inputs{"text"};
  if (info.takes_images) inputs.emplace_back("image");
  if (info.video_sampling) inputs.emplace_back("video");
  return inputs;
}

}  // namespace

std::span<const Field> tokenize_fields() { return of_tokenize; }
std::span<const Field> detokenize_fields() { return of_detokenize; }
std::span<const Field> template_fields() { return of_template; }

void Utilities::add_routes(Router& router) {
  router.add("POST", "/tokenize", [this](auto exchange) { tokenize(std::move(exchange)); });
  router.add("POST", "/detokenize", [this](auto exchange) { detokenize(std::move(exchange)); });
  router.add("POST", "/apply-template",
             [this](auto exchange) { apply_template(std::move(exchange)); });
  const std::string version = json::serialize(json::object{{"version", PIPPIN_VERSION}});
  router.add("GET", "/version",
             [version](auto exchange) { exchange->respond(json_response(200, version)); });
  // Both tell of all routes, these two among them.
  const auto abilities = std::make_shared<std::string>(),
             document = std::make_shared<std::string>();
  router.add("GET", "/v1/capabilities",
             [abilities](auto exchange) { exchange->respond(json_response(200, *abilities)); });
  router.add("GET", "/openapi.json",
             [document](auto exchange) { exchange->respond(json_response(200, *document)); });
  *abilities = capabilities(router);
  *document = json::serialize(openapi_document(router));
}

void Utilities::tokenize(std::shared_ptr<Exchange> exchange) const {
  if (refuse_compressed(*exchange)) return;
  const json::object object = parse_body(exchange->request().body);
  check_fields(object, of_tokenize);
  const Members body(object);
  service_.check_model(body.string("model").value_or(""));
  const auto prompt = body.string(body.find("content") ? "content" : "prompt");
  if (!prompt) return tokenize_chat(std::move(exchange), object);
  if (body.find("messages")) refuse("messages", "can't be there beside a prompt");
  const bool special = body.boolean("add_special_tokens")
                           .value_or(body.boolean("add_special").value_or(!body.find("content")));
  const bool with_strings = body.boolean("return_token_strs").value_or(false);
  service_.post(exchange, [this, exchange, text = *prompt, special, with_strings] {
    exchange->respond(
        json_response(200, token_list(backend_.tokenize(text, special), with_strings)));
  });
}

void Utilities::tokenize_chat(std::shared_ptr<Exchange> exchange, const json::object& body) const {
  if (!body.contains("messages")) refuse("prompt", "is missing");
  const Members members(body);
  // A rendered template has its own.
  if (members.boolean("add_special_tokens").value_or(false))
    refuse("add_special_tokens", "must be false for messages");
  const bool with_strings = members.boolean("return_token_strs").value_or(false);
  service_.render(exchange, chat_of(body), [this, exchange, with_strings](RenderedPrompt prompt) {
    exchange->respond(json_response(200, token_list(prompt.tokens, with_strings)));
  });
}

std::string Utilities::token_list(const std::vector<std::int32_t>& tokens,
                                  bool with_strings) const {
  json::object out{{"count", tokens.size()},
                   {"max_model_len", backend_.info().max_context},
                   {"tokens", json::array(tokens.begin(), tokens.end())}};
  if (with_strings) {
    json::array strings;
    for (const auto token : tokens) strings.emplace_back(valid_utf8(backend_.token_bytes(token)));
    out["token_strs"] = std::move(strings);
  }
  return json::serialize(out);
}

void Utilities::detokenize(std::shared_ptr<Exchange> exchange) const {
  if (refuse_compressed(*exchange)) return;
  const json::object object = parse_body(exchange->request().body);
  check_fields(object, of_detokenize);
  const Members body(object);
  service_.check_model(body.string("model").value_or(""));
  service_.post(exchange, [this, exchange, tokens = parse_tokens(body)] {
    const std::string text = valid_utf8(backend_.detokenize(tokens));
    exchange->respond(
        json_response(200, json::serialize(json::object{{"prompt", text}, {"content", text}})));
  });
}

void Utilities::apply_template(std::shared_ptr<Exchange> exchange) const {
  if (refuse_compressed(*exchange)) return;
  const json::object body = parse_body(exchange->request().body);
  check_fields(body, of_template);
  service_.render(exchange, chat_of(body), [exchange](RenderedPrompt prompt) {
    exchange->respond(
        json_response(200, json::serialize(json::object{{"prompt", valid_utf8(prompt.text)}})));
  });
}

std::string Utilities::capabilities(const Router& router) const {
  const ModelInfo info = backend_.info();
  json::array routes;
  for (const Router::Route& route : router.routes())
    routes.emplace_back(route.method + " " + route.path);
  json::array switches;
  for (const std::string& name : info.thinking_switches) switches.emplace_back(name);
  return json::serialize(
      json::object{{"object", "capabilities"},
                   {"server", {{"name", "pippin"}, {"version", PIPPIN_VERSION}}},
                   {"model", valid_utf8(service_.model_names().front())},
                   {"model_type", valid_utf8(info.model_type)},
                   {"device", info.device},
                   {"max_model_len", info.max_context},
                   {"modalities", {{"input", inputs_of(info)}, {"output", json::array{"text"}}}},
                   {"tool_parser", info.tool_parser},
                   {"reasoning_parser", info.reasoning_parser},
                   {"reasoning_switches", std::move(switches)},
                   {"routes", std::move(routes)},
                   {"fields",
                    {{"/v1/chat/completions", names_of(chat_fields())},
                     {"/v1/completions", names_of(completion_fields())},
                     {"/v1/responses", names_of(responses_fields())},
                     {"/v1/messages", names_of(messages_fields())}}}});
}

}  // namespace pippin::server
