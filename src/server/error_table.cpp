#include "server/error_table.h"

#include <algorithm>
#include <iterator>

#include "server/anthropic/call.h"
#include "server/errors.h"
#include "server/openai/chat_fields.h"
#include "server/openai/completion_call.h"
#include "server/responses/call.h"

namespace pippin::server {
namespace {

// clang-format off
constexpr ErrorCase errors[] = {
    {400, "invalid_value", "The request is malformed, a field has a wrong type or value or is not supported; `param` names the field"},
    {400, "context_length_exceeded", "The prompt is longer than the model's context; the message begins with 'prompt is too long'"},
    {401, "invalid_api_key", "No API key, or an unknown one"},
    {403, "host_not_allowed", "The Host header is no name of this server: this machine's, or one of --allowed-host"},
    {403, "origin_not_allowed", "The request comes from a web page of another site, which --cors-origin does not list"},
    {403, "admin_key_needed", "Only a key of --admin-key may do this"},
    {404, "not_found", "There is no such route, file or stored object, or the object is another API key's"},
    {404, "model_not_found", "The request names a model that is not served"},
    {405, "method_not_allowed", "The route is there, but not for this method; see the Allow header"},
    {408, "request_timeout", "The request took too long to arrive"},
    {413, "payload_too_large", "The body, a picture or a video is over its limit"},
    {415, "unsupported_media_type", "The body is compressed, or its Content-Type is not application/json"},
    {417, "expectation_failed", "An Expect header other than 100-continue"},
    {429, "queue_full", "As many requests wait as may, as many grammars wait to be compiled, or grammars take all memory that they may; try again after Retry-After"},
    {429, "rate_limit_exceeded", "The API key has used up its requests a minute, or its requests at once; try again after Retry-After"},
    {431, "header_too_large", "The request's header is over its limit"},
    {500, "internal_error", "A fault of the server's own; the log says more under the request's id"},
    {501, "not_implemented", "A Transfer-Encoding other than chunked"},
    {503, "unavailable", "The server is starting, stopping or full, or a step of the engine failed; try again after Retry-After"},
    {504, "timeout", "The answer had not ended within the request's `timeout` or the server's --request-timeout"},
};
// clang-format on

void add_refused_fields(std::string& out, std::string_view route, std::span<const Field> fields) {
  out += "\n### " + std::string(route) + "\n\n| field | what it may be |\n|---|---|\n";
  for (const Field& field : fields)
    if (!field.allowed_text.empty())
      out += "| `" + std::string(field.name) + "` | " + std::string(field.allowed_text) + " |\n";
}

}  // namespace

std::span<const ErrorCase> error_table() { return errors; }

std::string_view default_code(int status) {
  const auto found = std::find_if(std::begin(errors), std::end(errors),
                                  [status](const ErrorCase& e) { return e.status == status; });
  return found == std::end(errors) ? "" : found->code;
}

std::string error_document() {
  std::string out = R"(# Errors

An error is answered as OpenAI's API does:

    {"error": {"message": "'temperature' must be between 0 and 2", "type": "invalid_request_error", "param": "temperature", "code": "invalid_value"}}

`message` is for people, `code` for programs, and `param` names the field to blame: `messages.0.content.1.image_url`, or `body` where
there is no single one. Below /v1/messages errors have Anthropic's shape instead. In a stream that has begun an error is its last event.
This file is written from the server's own tables (src/server/error_table.cpp): a test fails where it is not current.

| status | `type` | `code` | when |
|---|---|---|---|
)";
  for (const ErrorCase& error : errors)
    out += "| " + std::to_string(error.status) + " | " + std::string(error_type(error.status)) +
           " | " + std::string(error.code) + " | " + std::string(error.when) + " |\n";
  out += R"(
## Fields that are taken only as

Fields without influence on the answer are taken as their type says; those that would change it, and are not supported, only with the
value that changes nothing. Anything else is answered 400. Unknown names are listed in the header X-Pippin-Ignored, or refused under
--strict-fields.
)";
  add_refused_fields(out, "POST /v1/chat/completions", chat_fields());
  add_refused_fields(out, "POST /v1/completions", completion_fields());
  add_refused_fields(out, "POST /v1/responses", responses_fields());
  add_refused_fields(out, "POST /v1/messages", messages_fields());
  return out;
}

}  // namespace pippin::server
