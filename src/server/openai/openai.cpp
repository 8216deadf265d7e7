#include "server/openai/openai.h"

#include <ctime>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "server/chat/model_state.h"
#include "server/http/errors.h"
#include "server/openai/chat_fields.h"
#include "server/openai/chat_parser.h"
#include "server/openai/chat_reply.h"
#include "server/openai/completion_call.h"
#include "server/openai/completion_reply.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

constexpr std::string_view models_path = "/v1/models/";

std::string rfc3339(std::time_t seconds) {
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

// OpenAI's members, then vLLM's, OpenRouter's, Anthropic's and llama.cpp's: each API's clients pass over the others'. What is not known before the
// model has been loaded is left out.
json::object model_object(const std::string& name, std::int64_t created, const ModelStatus& model) {
  json::object object{
      {"id", valid_utf8(name)},         {"object", "model"},    {"created", created},
      {"owned_by", "pippin"},           {"type", "model"},      {"display_name", valid_utf8(name)},
      {"created_at", rfc3339(created)}, {"lifecycle", "active"}};
  if (model.info)
    for (const char* member : {"max_model_len", "context_length", "max_input_tokens"})
      object[member] = model.info->max_context;
  add_model_state(object, model);
  return object;
}

}  // namespace

OpenAi::OpenAi(ChatService& service, SamplingDefaults sampling)
    : service_(service), sampling_(std::move(sampling)), created_(std::time(nullptr)) {}

void OpenAi::add_routes(Router& router) {
  router.add("POST", "/v1/chat/completions",
             {.summary = "Answer a chat",
              .fields = chat_fields,
              .required = {"messages"},
              .answer = R"({"$ref": "#/components/schemas/ChatCompletion"})",
              .streams = true},
             [this](auto exchange) { chat(std::move(exchange)); });
  router.add("POST", "/v1/completions",
             {.summary = "Continue a text",
              .fields = completion_fields,
              .required = {"prompt"},
              .answer = R"({"$ref": "#/components/schemas/Completion"})",
              .streams = true},
             [this](auto exchange) { complete(std::move(exchange)); });
  router.add("GET", "/v1/models",
             {.summary = "The models that are served",
              .answer = R"({"type": "object", "required": ["object", "data"]})"},
             [this](auto exchange) { list_models(*exchange); });
  router.add(
      "GET", "/v1/models/*",
      {.summary = "One model", .answer = R"({"type": "object", "required": ["id", "object"]})"},
      [this](auto exchange) { show_model(*exchange); });
}

void OpenAi::chat(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  ChatCall call = parse_chat(exchange->request().body, sampling_);
  auto make_reply = [usage = call.include_usage, n = call.num_choices,
                     tokens = call.tokens](const ReplyFacts& facts) {
    return std::make_unique<ChatReply>(ChatReply::Options{"chatcmpl-" + facts.request_id,
                                                          facts.model, facts.created, usage,
                                                          facts.audio_tracks, n, tokens});
  };
  service_.answer(std::move(exchange), std::move(call), std::move(make_reply));
}

void OpenAi::complete(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  CompletionCall call = parse_completion(exchange->request().body, sampling_);
  CompletionReply::Options reply;
  reply.include_usage = call.include_usage;
  reply.num_prompts = call.requests.size();
  reply.num_choices = static_cast<std::size_t>(call.num_choices);
  reply.tokens = call.tokens;
  reply.prompt_only = call.prompt_only;
  std::vector<CompletionRequest> echoed;
  if (call.echo) echoed = call.requests;
  auto make_reply = [reply = std::move(reply),
                     echoed = std::move(echoed)](const ReplyFacts& facts) {
    CompletionReply::Options options = reply;
    options.id = "cmpl-" + facts.request_id;
    options.model = facts.model;
    options.created = facts.created;
    for (const CompletionRequest& request : echoed)
      options.echoes.push_back(request.tokens.empty() || !facts.engine
                                   ? request.text
                                   : facts.engine->detokenize(request.tokens));
    return std::make_unique<CompletionReply>(std::move(options));
  };
  service_.complete(std::move(exchange), std::move(call), std::move(make_reply));
}

// ---------------------------------------------------------------------------------------------------------------------
// Models

void OpenAi::list_models(Exchange& exchange) const {
  json::array list;
  const std::vector<ModelStatus> models = service_.models().list();
  for (const ModelStatus& model : models)
    for (const std::string& name : model.model->names)
      list.push_back(model_object(name, created_, model));
  const json::object body{{"object", "list"},
                          {"data", std::move(list)},
                          {"has_more", false},
                          {"first_id", valid_utf8(models.front().model->names.front())},
                          {"last_id", valid_utf8(models.back().model->names.back())}};
  exchange.respond(json_response(200, json::serialize(body)));
}

void OpenAi::show_model(Exchange& exchange) const {
  const std::string name = exchange.request().path.substr(models_path.size());
  const json::object model = model_object(name, created_, service_.models().status(name));
  exchange.respond(json_response(200, json::serialize(model)));
}

}  // namespace pippin::server
