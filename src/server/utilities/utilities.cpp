#include "server/utilities/utilities.h"

#include <utility>

#include "base/json.h"
#include "server/schema/utf8.h"
#include "server/utilities/calls.h"
#include "server/utilities/openapi.h"
#include "server/utilities/probes.h"

namespace pippin::server {
namespace {

// Schemas of answers.
constexpr std::string_view tokens_schema =
    R"({"type": "object", "required": ["count", "max_model_len", "tokens"], "properties":
        {"count": {"type": "integer"}, "tokens": {"type": "array", "items": {"type": "integer"}}}})";
constexpr std::string_view text_schema = R"({"type": "object", "required": ["prompt", "content"]})";
constexpr std::string_view prompt_schema = R"({"type": "object", "required": ["prompt"]})";
constexpr std::string_view version_schema = R"({"type": "object", "required": ["version"]})";
constexpr std::string_view capabilities_schema =
    R"({"type": "object", "required": ["routes", "fields", "modalities"]})";

json::array names_of(std::span<const Field> fields) {
  json::array names;
  for (const Field& field : fields)
    if (field.allowed != field_tests::never) names.emplace_back(field.name);
  return names;
}

json::array inputs_of(const ModelInfo& info) {
  json::array inputs{"text"};
  if (info.takes_images) inputs.emplace_back("image");
  if (info.video_sampling) inputs.emplace_back("video");
  return inputs;
}

// What a client would be surprised by.
json::array warnings_of(const ModelInfo& info) {
  json::array warnings;
  if (!info.tool_parser_warning.empty()) warnings.emplace_back(info.tool_parser_warning);
  return warnings;
}

void respond(Exchange& exchange, const std::vector<std::string>& ignored, std::string body) {
  HttpResponse response = json_response(200, std::move(body));
  report_ignored(ignored, exchange.request().id, response.headers);
  exchange.respond(std::move(response));
}

}  // namespace

void Utilities::add_routes(Router& router) {
  router.add("POST", "/tokenize",
             {.summary = "The tokens of a text or a chat",
              .fields = tokenize_fields,
              .answer = tokens_schema},
             [this](auto exchange) { tokenize(std::move(exchange)); });
  router.add("POST", "/detokenize",
             {.summary = "The text of tokens",
              .fields = detokenize_fields,
              .required = {"tokens"},
              .answer = text_schema},
             [this](auto exchange) { detokenize(std::move(exchange)); });
  router.add("POST", "/apply-template",
             {.summary = "The prompt of a chat",
              .fields = template_fields,
              .required = {"messages"},
              .answer = prompt_schema},
             [this](auto exchange) { apply_template(std::move(exchange)); });
  const std::string version = json::serialize(json::object{{"version", PIPPIN_VERSION}});
  router.add("GET", "/version", {.summary = "The server's version", .answer = version_schema},
             [version](auto exchange) { exchange->respond(json_response(200, version)); });
  add_probes(router, engine_, service_);
  // Both tell of all routes, these two among them.
  const auto abilities = std::make_shared<std::string>(),
             document = std::make_shared<std::string>();
  router.add("GET", "/v1/capabilities",
             {.summary = "What is supported for this model", .answer = capabilities_schema},
             [abilities](auto exchange) { exchange->respond(json_response(200, *abilities)); });
  router.add("GET", "/openapi.json", {.summary = "This document"},
             [document](auto exchange) { exchange->respond(json_response(200, *document)); });
  *abilities = capabilities(router);
  *document = json::serialize(openapi_document(router));
}

void Utilities::tokenize(std::shared_ptr<Exchange> exchange) const {
  if (refuse_compressed(*exchange)) return;
  TokenizeCall call = parse_tokenize(exchange->request().body);
  const auto ignored = call.chat ? call.chat->ignored : call.ignored;
  const auto tell = [this, exchange, ignored,
                     with_strings = call.with_strings](const auto& tokens) {
    respond(*exchange, ignored, token_list(tokens, with_strings));
  };
  if (call.chat)
    return service_.render(exchange, std::move(*call.chat),
                           [tell](const RenderedPrompt& prompt) { tell(prompt.tokens); });
  service_.check(call.model, call.ignored);
  service_.post(exchange, [this, tell, call = std::move(call)] {
    tell(engine_.tokenize(call.text, call.add_special));
  });
}

std::string Utilities::token_list(const std::vector<std::int32_t>& tokens,
                                  bool with_strings) const {
  json::object out{{"count", tokens.size()},
                   {"max_model_len", engine_.info().max_context},
                   {"tokens", json::array(tokens.begin(), tokens.end())}};
  if (with_strings) {
    json::array strings;
    for (const auto token : tokens) strings.emplace_back(valid_utf8(engine_.token_bytes(token)));
    out["token_strs"] = std::move(strings);
  }
  return json::serialize(out);
}

void Utilities::detokenize(std::shared_ptr<Exchange> exchange) const {
  if (refuse_compressed(*exchange)) return;
  DetokenizeCall call = parse_detokenize(exchange->request().body);
  service_.check(call.model, call.ignored);
  service_.post(exchange, [this, exchange, call = std::move(call)] {
    const std::string text = valid_utf8(engine_.detokenize(call.tokens));
    respond(*exchange, call.ignored,
            json::serialize(json::object{{"prompt", text}, {"content", text}}));
  });
}

void Utilities::apply_template(std::shared_ptr<Exchange> exchange) const {
  if (refuse_compressed(*exchange)) return;
  ChatCall call = parse_apply_template(exchange->request().body);
  const auto tell = [exchange, ignored = call.ignored](const RenderedPrompt& prompt) {
    respond(*exchange, ignored, json::serialize(json::object{{"prompt", valid_utf8(prompt.text)}}));
  };
  service_.render(exchange, std::move(call), tell);
}

std::string Utilities::capabilities(const Router& router) const {
  const ModelInfo info = engine_.info();
  json::array routes;
  json::object fields;
  for (const Router::Route& route : router.routes()) {
    routes.emplace_back(route.method + " " + route.path);
    if (route.operation.streams) fields[route.path] = names_of(route.operation.fields());
  }
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
                   {"warnings", warnings_of(info)},
                   {"reasoning_switches", std::move(switches)},
                   {"routes", std::move(routes)},
                   {"fields", std::move(fields)}});
}

}  // namespace pippin::server
