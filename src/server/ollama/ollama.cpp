#include "server/ollama/ollama.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/digest.h"
#include "base/json.h"
#include "server/http/errors.h"
#include "server/ollama/call.h"
#include "server/ollama/reply.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

// Of Ollama, whose API this is: clients ask whether the server is new enough for them.
constexpr std::string_view version_body = R"({"version":"0.12.11"})";

std::string time_of(std::int64_t seconds) {
  return ollama_time(std::chrono::system_clock::from_time_t(static_cast<std::time_t>(seconds)));
}

// Of the name and the size: stable, and another one for another model.
std::string digest_of(const std::string& name, const ModelInfo& info) {
  const std::string text = name + "\n" + std::to_string(info.weight_bytes);
  return to_hex(blake3({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
}

std::string size_text(std::int64_t parameters) {
  const double count = static_cast<double>(parameters);
  return count >= 1e9 ? fmt::format("{:.1f}B", count / 1e9) : fmt::format("{:.0f}M", count / 1e6);
}

std::string bits_text(const ModelInfo& info) {
  const double bits = 8.0 * static_cast<double>(info.weight_bytes) /
                      static_cast<double>(std::max<std::int64_t>(info.num_parameters, 1));
  return fmt::format("{:.1f} bits", bits);
}

json::object details_of(const ModelInfo& info) {
  return {{"parent_model", ""},
          {"format", "safetensors"},
          {"family", info.model_type},
          {"families", json::array{info.model_type}},
          {"parameter_size", size_text(info.num_parameters)},
          {"quantization_level", bits_text(info)}};
}

json::object model_object(const std::string& name, const ModelStatus& model) {
  ModelInfo unknown;  // before the first load
  unknown.weight_bytes = model.model->weight_bytes;
  const ModelInfo& info = model.info ? *model.info : unknown;
  return {{"name", valid_utf8(name)},
          {"model", valid_utf8(name)},
          {"size", info.weight_bytes},
          {"digest", digest_of(name, info)},
          {"details", model.info ? details_of(info) : json::object{{"format", "safetensors"}}}};
}

json::array capabilities_of(const ModelInfo& info) {
  json::array list{"completion"};
  if (info.takes_images) list.emplace_back("vision");
  if (info.tool_parser != "none") list.emplace_back("tools");
  if (info.reasoning_parser != "none") list.emplace_back("thinking");
  return list;
}

Operation answering(std::string_view summary, std::span<const Field> (*fields)(),
                    std::string_view answer) {
  return {.summary = summary,
          .fields = fields,
          .required = {"model"},
          .answer = answer,
          .streams = true,
          .errors = ErrorShape::ollama};
}

Operation asking(std::string_view summary, std::string_view answer) {
  return {.summary = summary, .answer = answer, .errors = ErrorShape::ollama};
}

}  // namespace

Ollama::Ollama(ChatService& service, SamplingDefaults sampling)
    : service_(service), sampling_(std::move(sampling)), created_(std::time(nullptr)) {}

void Ollama::add_routes(Router& router) {
  router.add(
      "POST", "/api/chat",
      answering("Answer a chat, in Ollama's words", ollama_chat_fields,
                R"({"type": "object", "required": ["model", "created_at", "message", "done"]})"),
      [this](auto exchange) { chat(std::move(exchange)); });
  router.add(
      "POST", "/api/generate",
      answering("Answer a prompt, in Ollama's words", ollama_generate_fields,
                R"({"type": "object", "required": ["model", "created_at", "response", "done"]})"),
      [this](auto exchange) { generate(std::move(exchange)); });
  Operation show =
      asking("What Ollama tells of a model",
             R"({"type": "object", "required": ["details", "model_info", "capabilities"]})");
  show.fields = ollama_show_fields;
  router.add("POST", "/api/show", std::move(show),
             [this](auto exchange) { this->show(std::move(exchange)); });
  router.add("GET", "/api/tags",
             asking("The models that are there, in Ollama's words",
                    R"({"type": "object", "required": ["models"]})"),
             [this](auto exchange) { list(*exchange); });
  router.add("GET", "/api/ps",
             asking("The models that are loaded, in Ollama's words",
                    R"({"type": "object", "required": ["models"]})"),
             [this](auto exchange) { list_running(*exchange); });
  router.add(
      "GET", "/api/version",
      asking("The version of Ollama's API", R"({"type": "object", "required": ["version"]})"),
      [](auto exchange) { exchange->respond(json_response(200, std::string(version_body))); });
}

void Ollama::chat(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  OllamaChat call = parse_ollama_chat(exchange->request().body, sampling_);
  if (call.only_loads) return load(std::move(exchange), OllamaReply::Kind::chat, call.chat);
  auto make_reply = [logprobs = call.chat.tokens.logprobs](const ReplyFacts& facts) {
    return std::make_unique<OllamaReply>(OllamaReply::Kind::chat, facts.model, logprobs);
  };
  service_.answer(std::move(exchange), std::move(call.chat), std::move(make_reply));
}

// No answer is asked for: the model shall be loaded, or unloaded.
void Ollama::load(std::shared_ptr<Exchange> exchange, OllamaReply::Kind kind,
                  const ChatCall& call) {
  service_.check(call.model, call.ignored);
  ModelPool& models = service_.models();
  const bool keeps = models.takes_keep_alive() && exchange->caller().admin;
  const std::string name = models.find(call.model).names.front();
  if (call.keep_alive_s == 0.0 && keeps) {
    if (!models.find(name).pinned) models.unload(name);
    return exchange->respond(json_response(200, ollama_loaded(kind, name, "unload")));
  }
  service_.post(exchange, name,
                [exchange, kind, keeps, keep = call.keep_alive_s](const ModelUsePtr& model) {
                  if (keep && keeps) model->keep_for(*keep);
                  exchange->respond(json_response(200, ollama_loaded(kind, model->name(), "load")));
                });
}

void Ollama::generate(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  OllamaGenerate call = parse_ollama_generate(exchange->request().body, sampling_);
  if (call.only_loads) return load(std::move(exchange), OllamaReply::Kind::generate, call.chat);
  const bool logprobs = call.text ? call.text->tokens.logprobs : call.chat.tokens.logprobs;
  auto make_reply = [logprobs](const ReplyFacts& facts) {
    return std::make_unique<OllamaReply>(OllamaReply::Kind::generate, facts.model, logprobs);
  };
  if (call.text)
    service_.complete(std::move(exchange), std::move(*call.text), std::move(make_reply));
  else
    service_.answer(std::move(exchange), std::move(call.chat), std::move(make_reply));
}

void Ollama::list(Exchange& exchange) const {
  json::array models;
  for (const ModelStatus& model : service_.models().list())
    for (const std::string& name : model.model->names) {
      json::object object = model_object(name, model);
      object["modified_at"] = time_of(created_);
      models.push_back(std::move(object));
    }
  exchange.respond(
      json_response(200, json::serialize(json::object{{"models", std::move(models)}})));
}

void Ollama::list_running(Exchange& exchange) const {
  json::array models;
  for (const ModelStatus& model : service_.models().list()) {
    if (model.state != ModelStatus::State::loaded) continue;
    json::object object = model_object(model.model->names.front(), model);
    object["expires_at"] = model.unloads_at ? time_of(*model.unloads_at) : "9999-12-31T23:59:59Z";
    object["size_vram"] = model.info->device == "gpu" ? model.info->weight_bytes : 0;
    object["context_length"] = model.info->max_context;
    models.push_back(std::move(object));
  }
  exchange.respond(
      json_response(200, json::serialize(json::object{{"models", std::move(models)}})));
}

// What it tells is known once the model has been loaded.
void Ollama::show(std::shared_ptr<Exchange> exchange) {
  const std::string name = parse_ollama_show(exchange->request().body);
  const ModelStatus model = service_.models().status(name);
  if (model.info) return exchange->respond(json_response(200, shown(*model.info)));
  service_.post(exchange, name, [this, exchange](const ModelUsePtr& use) {
    exchange->respond(json_response(200, shown(use->engine().info())));
  });
}

std::string Ollama::shown(const ModelInfo& info) const {
  const json::object model_info{{"general.architecture", info.model_type},
                                {"general.parameter_count", info.num_parameters},
                                {info.model_type + ".context_length", info.max_context}};
  return json::serialize(json::object{{"modelfile", ""},
                                      {"parameters", ""},
                                      {"template", ""},
                                      {"details", details_of(info)},
                                      {"model_info", model_info},
                                      {"capabilities", capabilities_of(info)},
                                      {"modified_at", time_of(created_)}});
}

}  // namespace pippin::server
