#include "server/errors.h"

#include <exception>

#include "base/json.h"
#include "base/log.h"
#include "server/utf8.h"

namespace pippin::server {
namespace {

std::string_view type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

// Clients act on these codes, whatever the message says.
std::string_view code_of(const Error& error) {
  if (error.code() == Code::not_found && error.field() == "model") return "model_not_found";
  if (error.code() == Code::resource_exhausted) return "queue_full";
  if (error.code() == Code::deadline_exceeded) return "timeout";
  return "";
}

json::value or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return json::string(valid_utf8(text));
}

}  // namespace

int status_of(Code code) {
  switch (code) {
    case Code::invalid_argument:
      return 400;
    case Code::not_found:
      return 404;
    case Code::payload_too_large:
      return 413;
    case Code::resource_exhausted:
      return 429;
    case Code::cancelled:
      return 499;  // nginx's "client closed request"; nobody is left to read it
    case Code::deadline_exceeded:
      return 504;
    case Code::unavailable:
      return 503;
    case Code::internal:
      return 500;
  }
  return 500;
}

std::string error_body(int status, std::string_view message, std::string_view param,
                       std::string_view code) {
  json::object error;
  error["message"] = valid_utf8(message);
  error["type"] = type_of(status);
  error["param"] = or_null(param);
  error["code"] = or_null(code);
  return json::serialize(json::object{{"error", std::move(error)}});
}

std::string error_body(const Error& error) {
  return error_body(status_of(error.code()), error.what(), error.field(), code_of(error));
}

HttpResponse error_response(int status, std::string_view message, std::string_view param,
                            std::string_view code) {
  HttpResponse response = json_response(status, error_body(status, message, param, code));
  if (status == 429 || status == 503) response.headers.add("Retry-After", "1");
  return response;
}

HttpResponse error_response(const Error& error) {
  return error_response(status_of(error.code()), error.what(), error.field(), code_of(error));
}

void answering_errors(Exchange& exchange, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    exchange.respond(error_response(error));
  } catch (const std::exception& bug) {
    spdlog::error("[http] {} failed: {}", exchange.request().id, bug.what());
    exchange.respond(error_response(
        500,
        "internal error; the server's log says more under request id " + exchange.request().id));
  }
}

}  // namespace pippin::server
