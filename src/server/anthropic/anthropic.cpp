#include "server/anthropic/anthropic.h"

#include <utility>

#include "base/json.h"
#include "server/anthropic/call.h"
#include "server/anthropic/reply.h"
#include "text/parsers/call_id.h"

namespace pippin::server {

void Anthropic::add_routes(Router& router) {
  router.add(
      "POST", "/v1/messages",
      {.summary = "Answer a chat, in Anthropic's words",
       .fields = messages_fields,
       .required = {"messages", "max_tokens"},
       .answer =
           R"({"type": "object", "required": ["id", "type", "role", "content", "model", "usage"]})",
       .streams = true,
       .errors = ErrorShape::anthropic},
      [this](auto exchange) { answer(std::move(exchange)); });
  router.add("POST", "/v1/messages/count_tokens",
             {.summary = "The number of tokens of a chat",
              .fields = messages_fields,
              .required = {"messages"},
              .answer = R"({"type": "object", "required": ["input_tokens"]})",
              .errors = ErrorShape::anthropic},
             [this](auto exchange) { count_tokens(std::move(exchange)); });
}

void Anthropic::answer(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  MessagesCall call = parse_messages_call(exchange->request().body, sampling_);
  auto make_reply = [stops = call.chat.request.stop.strings, omit = call.omit_thinking,
                     prompt_only = call.prompt_only](const ReplyFacts& facts) {
    return std::make_unique<AnthropicReply>(
        AnthropicReply::Options{"msg_" + text::random_letters(24), facts.request_id, facts.model,
                                stops, omit, prompt_only});
  };
  Headers headers{{"Request-Id", exchange->request().id}};
  service_.answer(std::move(exchange), std::move(call.chat), std::move(make_reply),
                  std::move(headers));
}

void Anthropic::count_tokens(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  MessagesCall call = parse_messages_call(exchange->request().body, sampling_, true);
  const auto tell = [exchange, ignored = call.chat.ignored](std::int64_t count) {
    HttpResponse response =
        json_response(200, json::serialize(json::object{{"input_tokens", count}}));
    response.headers.add("Request-Id", exchange->request().id);
    report_ignored(ignored, exchange->request().id, response.headers);
    exchange->respond(std::move(response));
  };
  service_.count_tokens(exchange, std::move(call.chat), tell);
}

}  // namespace pippin::server
