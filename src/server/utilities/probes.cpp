#include "server/utilities/probes.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "server/http/exchange.h"
#include "server/schema/utf8.h"
#include "server/utilities/model_routes.h"

namespace pippin::server {
namespace {

constexpr std::string_view lm_studio_path = "/api/v0/models/";

std::string props(const ModelStatus& model) {
  const ModelInfo info = model.info.value_or(ModelInfo());
  return json::serialize(
      json::object{{"default_generation_settings", {{"n_ctx", info.max_context}}},
                   {"model_alias", valid_utf8(model.model->names.front())},
                   {"modalities", {{"vision", info.takes_images}, {"audio", false}}},
                   {"build_info", std::string("pippin ") + PIPPIN_VERSION}});
}

json::object lm_studio_model(const std::string& name, const ModelStatus& model) {
  const bool loaded = model.state == ModelStatus::State::loaded;
  json::object object{{"id", valid_utf8(name)},
                      {"object", "model"},
                      {"type", model.info && model.info->takes_images ? "vlm" : "llm"},
                      {"publisher", ""},
                      {"compatibility_type", "safetensors"},
                      {"state", loaded ? "loaded" : "not-loaded"}};
  if (model.info) {
    object["arch"] = valid_utf8(model.info->model_type);
    object["max_context_length"] = model.info->max_context;
    if (loaded) object["loaded_context_length"] = model.info->max_context;
  }
  return object;
}

std::string lm_studio_models(const std::vector<ModelStatus>& models) {
  json::array list;
  for (const ModelStatus& model : models)
    for (const std::string& name : model.model->names) list.push_back(lm_studio_model(name, model));
  return json::serialize(json::object{{"object", "list"}, {"data", std::move(list)}});
}

}  // namespace

void add_probes(Router& router, const ChatService& service) {
  router.add("GET", "/props", {.summary = "What llama.cpp's server tells of its model"},
             [&](auto exchange) {
               const std::string model = model_in(exchange->request().query);
               exchange->respond(json_response(200, props(service.models().status(model))));
             });
  router.add("GET", "/api/v0/models",
             {.summary = "The models that are served, in LM Studio's words",
              .answer = R"({"type": "object", "required": ["object", "data"]})"},
             [&](auto exchange) {
               exchange->respond(json_response(200, lm_studio_models(service.models().list())));
             });
  router.add("GET", "/api/v0/models/*",
             {.summary = "One model, in LM Studio's words",
              .answer = R"({"type": "object", "required": ["id", "object"]})"},
             [&](auto exchange) {
               const std::string name = exchange->request().path.substr(lm_studio_path.size());
               const ModelStatus model = service.models().status(name);
               exchange->respond(json_response(200, json::serialize(lm_studio_model(name, model))));
             });
}

}  // namespace pippin::server
