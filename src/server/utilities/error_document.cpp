#include "server/utilities/error_document.h"

#include "server/http/errors.h"
#include "server/schema/error_table.h"

namespace pippin::server {
namespace {

void add_refused_fields(std::string& out, const Router::Route& route) {
  out += "\n### " + route.method + " " + route.path + "\n\n| field | what it may be |\n|---|---|\n";
  for (const Field& field : route.operation.fields())
    if (!field.allowed_text.empty())
      out += "| `" + std::string(field.name) + "` | " + std::string(field.allowed_text) + " |\n";
}

}  // namespace

std::string error_document(const Router& router) {
  std::string out = R"(# Errors

An error is answered as OpenAI's API does:

    {"error": {"message": "'temperature' must be between 0 and 2", "type": "invalid_request_error", "param": "temperature", "code": "invalid_value"}}

`message` is for people, `code` for programs, and `param` names the field to blame: `messages.0.content.1.image_url`, `...video.3` of a frame
in a list, `messages.2` (`input.2` in Responses) where the chat template refuses that message, or `body` where there is no single one. Below
/v1/messages errors have Anthropic's shape instead, below /api Ollama's: {"error": message}. In a stream that has begun an error is its last event: no finish reason, no `[DONE]` and no
`message_stop` follow, and its status stays 200. `response.failed` has the codes `invalid_prompt` (where the status would be 4xx),
`rate_limit_exceeded` and `server_error`.
This file is written from the server's own tables (src/server/schema/error_table.cpp): a test fails where it is not current.

| status | `type` | `code` | when |
|---|---|---|---|
)";
  for (const ErrorCase& error : error_table())
    out += "| " + std::to_string(error.status) + " | " + std::string(error_type(error.status)) +
           " | " + std::string(error.code) + " | " + std::string(error.when) + " |\n";
  out += R"(
## Fields that are taken only as

Fields without influence on the answer are taken as their type says; those that would change it, and are not supported, only with the
value that changes nothing. Anything else is answered 400. Unknown names are listed in the header X-Pippin-Ignored, or refused under
--strict-fields.
)";
  for (const Router::Route& route : router.routes())
    if (route.operation.streams) add_refused_fields(out, route);
  return out;
}

}  // namespace pippin::server
