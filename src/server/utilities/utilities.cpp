#include "server/utilities/utilities.h"

#include <utility>

#include "base/json.h"
#include "server/schema/utf8.h"
#include "server/utilities/calls.h"
#include "server/utilities/model_routes.h"
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

std::string token_list(const std::vector<std::int32_t>& tokens, const Engine& engine,
                       bool with_strings) {
  json::object out{{"count", tokens.size()},
                   {"max_model_len", engine.info().max_context},
                   {"tokens", json::array(tokens.begin(), tokens.end())}};
  if (with_strings) {
    json::array strings;
    for (const auto token : tokens) strings.emplace_back(valid_utf8(engine.token_bytes(token)));
    out["token_strs"] = std::move(strings);
  }
  return json::serialize(out);
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
  add_probes(router, service_);
  add_model_routes(router, service_.models());
  // Both tell of all routes, these two among them.
  const auto all = std::make_shared<Router>();
  const auto document = std::make_shared<std::string>();
  router.add("GET", "/v1/capabilities",
             {.summary = "What is supported for this model", .answer = capabilities_schema},
             [this, all](auto exchange) {
               exchange->respond(
                   json_response(200, capabilities(*all, model_in(exchange->request().query))));
             });
  router.add("GET", "/openapi.json", {.summary = "This document"},
             [document](auto exchange) { exchange->respond(json_response(200, *document)); });
  for (const Router::Route& route : router.routes())
    all->add(route.method, route.path, route.operation, {});
  *document = json::serialize(openapi_document(router));
}

void Utilities::tokenize(std::shared_ptr<Exchange> exchange) const {
  if (refuse_compressed(*exchange)) return;
  TokenizeCall call = parse_tokenize(exchange->request().body);
  const auto ignored = call.chat ? call.chat->ignored : call.ignored;
  const auto tell = [exchange, ignored, with_strings = call.with_strings](
                        const std::vector<std::int32_t>& tokens, const Engine& engine) {
    respond(*exchange, ignored, token_list(tokens, engine, with_strings));
  };
  if (call.chat) {
    return service_.render(exchange, std::move(*call.chat),
                           [tell](const RenderedPrompt& prompt, const Engine& engine) {
                             tell(prompt.tokens, engine);
                           });
  }
  service_.check(call.model, call.ignored);
  const std::string model = call.model;
  service_.post(exchange, model, [tell, call = std::move(call)](const ModelUsePtr& use) {
    const Engine& engine = use->engine();
    tell(engine.tokenize(call.text, call.add_special), engine);
  });
}

void Utilities::detokenize(std::shared_ptr<Exchange> exchange) const {
  if (refuse_compressed(*exchange)) return;
  DetokenizeCall call = parse_detokenize(exchange->request().body);
  service_.check(call.model, call.ignored);
  const std::string model = call.model;
  service_.post(exchange, model, [exchange, call = std::move(call)](const ModelUsePtr& use) {
    const std::string text = valid_utf8(use->engine().detokenize(call.tokens));
    respond(*exchange, call.ignored,
            json::serialize(json::object{{"prompt", text}, {"content", text}}));
  });
}

void Utilities::apply_template(std::shared_ptr<Exchange> exchange) const {
  if (refuse_compressed(*exchange)) return;
  ChatCall call = parse_apply_template(exchange->request().body);
  const auto tell = [exchange, ignored = call.ignored](const RenderedPrompt& prompt,
                                                       const Engine&) {
    respond(*exchange, ignored, json::serialize(json::object{{"prompt", valid_utf8(prompt.text)}}));
  };
  service_.render(exchange, std::move(call), tell);
}

// Little is known about a model that has not been loaded yet: it may take everything.
std::string Utilities::capabilities(const Router& router, const std::string& model) const {
  const ModelStatus status = service_.models().status(model);
  const ModelInfo info = status.info.value_or(ModelInfo());
  json::array inputs{"text", "image", "video"};
  if (status.info) inputs = inputs_of(info);
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
                   {"model", valid_utf8(status.model->names.front())},
                   {"model_type", valid_utf8(info.model_type)},
                   {"device", info.device},
                   {"max_model_len", info.max_context},
                   {"modalities", {{"input", std::move(inputs)}, {"output", json::array{"text"}}}},
                   {"tool_parser", info.tool_parser},
                   {"reasoning_parser", info.reasoning_parser},
                   {"warnings", warnings_of(info)},
                   {"reasoning_switches", std::move(switches)},
                   {"routes", std::move(routes)},
                   {"fields", std::move(fields)}});
}

}  // namespace pippin::server
