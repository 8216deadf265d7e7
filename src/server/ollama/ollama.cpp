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

json::object model_object(const std::string& name, const ModelInfo& info) {
  return {{"name", valid_utf8(name)},
          {"model", valid_utf8(name)},
          {"size", info.weight_bytes},
          {"digest", digest_of(name, info)},
          {"details", details_of(info)}};
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

Ollama::Ollama(Engine& engine, ChatService& service, const SamplingOptions& sampling)
    : engine_(engine), service_(service), sampling_(sampling), created_(std::time(nullptr)) {}

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
             [this](auto exchange) { this->show(*exchange); });
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
  if (call.only_loads) {
    service_.check(call.chat.model, call.chat.ignored);
    return exchange->respond(
        json_response(200, ollama_loaded(OllamaReply::Kind::chat, service_.model_names().front())));
  }
  auto make_reply = [logprobs = call.chat.tokens.logprobs](const ReplyFacts& facts) {
    return std::make_unique<OllamaReply>(OllamaReply::Kind::chat, facts.model, logprobs);
  };
  service_.answer(std::move(exchange), std::move(call.chat), std::move(make_reply));
}

void Ollama::generate(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  OllamaGenerate call = parse_ollama_generate(exchange->request().body, sampling_);
  if (call.only_loads) {
    service_.check(call.chat.model, call.chat.ignored);
    return exchange->respond(json_response(
        200, ollama_loaded(OllamaReply::Kind::generate, service_.model_names().front())));
  }
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
  for (const std::string& name : service_.model_names()) {
    json::object model = model_object(name, engine_.info());
    model["modified_at"] = time_of(created_);
    models.push_back(std::move(model));
  }
  exchange.respond(
      json_response(200, json::serialize(json::object{{"models", std::move(models)}})));
}

// It is never unloaded.
void Ollama::list_running(Exchange& exchange) const {
  const ModelInfo& info = engine_.info();
  json::object model = model_object(service_.model_names().front(), info);
  model["expires_at"] = "9999-12-31T23:59:59Z";
  model["size_vram"] = info.device == "gpu" ? info.weight_bytes : 0;
  model["context_length"] = info.max_context;
  exchange.respond(
      json_response(200, json::serialize(json::object{{"models", json::array{std::move(model)}}})));
}

void Ollama::show(Exchange& exchange) const {
  service_.check_model(parse_ollama_show(exchange.request().body));
  const ModelInfo& info = engine_.info();
  const json::object model_info{{"general.architecture", info.model_type},
                                {"general.parameter_count", info.num_parameters},
                                {info.model_type + ".context_length", info.max_context}};
  const json::object body{{"modelfile", ""},
                          {"parameters", ""},
                          {"template", ""},
                          {"details", details_of(info)},
                          {"model_info", model_info},
                          {"capabilities", capabilities_of(info)},
                          {"modified_at", time_of(created_)}};
  exchange.respond(json_response(200, json::serialize(body)));
}

}  // namespace pippin::server
