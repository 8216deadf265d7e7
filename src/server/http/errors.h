// The one place where an error becomes an HTTP status and a body in the API's shape.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "pippin/error.h"
#include "server/http/exchange.h"

namespace pippin::server {

/// The HTTP status of an error's kind.
int status_of(Code code);

/// The type of a status's errors, as OpenAI's are.
std::string_view error_type(int status);

/// {"error": {"message", "type", "param", "code"}}; an empty `param` is null, an empty `code` the status's own
/// (server/schema/error_table). Bytes of `message` that are not UTF-8 are replaced.
std::string error_body(int status, std::string_view message, std::string_view param = "",
                       std::string_view code = "");

/// The body alone, for an error in mid-stream.
std::string error_body(const Error& error);

/// The request that an error answers. Anthropic's and Ollama's shapes have no member for the field to blame, so the message begins with the
/// field where the message doesn't name it.
struct ErrorPlace {
  ErrorShape shape = ErrorShape::openai;
  std::string_view request_id;
};

/// Valid as long as the request or the exchange.
ErrorPlace place_of(const HttpRequest& request);
ErrorPlace place_of(const Exchange& exchange);

HttpResponse error_response(const ErrorPlace& place, int status, std::string_view message,
                            std::string_view param = "", std::string_view code = "");
HttpResponse error_response(const ErrorPlace& place, const Error& error);

/// Anthropic's: {"type": "error", "error": {"type", "message"}, "request_id"}. `type` follows from the status.
std::string anthropic_error_body(int status, std::string_view message, std::string_view request_id);
std::string anthropic_error_body(const Error& error, std::string_view request_id);

/// Ollama's: {"error": message}.
std::string ollama_error_body(std::string_view message);

/// The error's message, for where no member names the field that is to blame.
std::string message_naming_field(const Error& error);

/// The error of a request that failed so, from within a catch. Where there was no memory for it, 503: others go on, and later it may be
/// done. What else is not an Error is a bug: logged with the request's id, answered 500 without details.
Error current_error(const std::string& request_id);

/// Runs `work` and answers the exchange with the error that leaves it, if any (current_error).
void answering_errors(Exchange& exchange, const std::function<void()>& work);

}  // namespace pippin::server
