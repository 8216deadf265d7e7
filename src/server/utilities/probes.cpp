#include "server/utilities/probes.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "server/http/exchange.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

constexpr std::string_view lm_studio_path = "/api/v0/models/";

std::string props(const Engine& engine, const ChatService& service) {
  const ModelInfo& info = engine.info();
  return json::serialize(
      json::object{{"default_generation_settings", {{"n_ctx", info.max_context}}},
                   {"model_alias", valid_utf8(service.model_names().front())},
                   {"modalities", {{"vision", info.takes_images}, {"audio", false}}},
                   {"build_info", std::string("pippin ") + PIPPIN_VERSION}});
}

json::object lm_studio_model(const std::string& name, const ModelInfo& info) {
  return {{"id", valid_utf8(name)},
          {"object", "model"},
          {"type", info.takes_images ? "vlm" : "llm"},
          {"publisher", ""},
          {"arch", valid_utf8(info.model_type)},
          {"compatibility_type", "safetensors"},
          {"state", "loaded"},
          {"max_context_length", info.max_context},
          {"loaded_context_length", info.max_context}};
}

std::string lm_studio_models(const Engine& engine, const ChatService& service) {
  json::array list;
  for (const std::string& name : service.model_names())
    list.push_back(lm_studio_model(name, engine.info()));
  return json::serialize(json::object{{"object", "list"}, {"data", std::move(list)}});
}

}  // namespace

void add_probes(Router& router, const Engine& engine, const ChatService& service) {
  router.add("GET", "/props", {.summary = "What llama.cpp's server tells of its model"},
             [&](auto exchange) { exchange->respond(json_response(200, props(engine, service))); });
  router.add("GET", "/api/v0/models",
             {.summary = "The models that are served, in LM Studio's words",
              .answer = R"({"type": "object", "required": ["object", "data"]})"},
             [&](auto exchange) {
               exchange->respond(json_response(200, lm_studio_models(engine, service)));
             });
  router.add("GET", "/api/v0/models/*",
             {.summary = "One model, in LM Studio's words",
              .answer = R"({"type": "object", "required": ["id", "object"]})"},
             [&](auto exchange) {
               const std::string name = exchange->request().path.substr(lm_studio_path.size());
               service.check_model(name);
               exchange->respond(
                   json_response(200, json::serialize(lm_studio_model(name, engine.info()))));
             });
}

}  // namespace pippin::server
