#include "server/http/errors.h"

#include <exception>
#include <new>

#include "base/json.h"
#include "base/log.h"
#include "server/schema/error_table.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

std::string_view anthropic_type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

// Anthropic's shape has no member for the field, so the message says it.
std::string naming(std::string_view param, std::string_view message) {
  const std::string field(param);
  const bool named = param.empty() || message.find("'" + field + "'") != std::string_view::npos;
  return (named ? "" : field + ": ") + std::string(message);
}

// Clients act on these codes, whatever the message says.
std::string_view code_of(const Error& error) {
  if (error.code() == Code::not_found && error.field() == "model") return "model_not_found";
  if (error.code() == Code::unavailable && error.field() == "model") return "model_unavailable";
  if (error.code() == Code::context_exceeded) return "context_length_exceeded";
  if (error.code() == Code::resource_exhausted) return "queue_full";
  if (error.code() == Code::deadline_exceeded) return "timeout";
  return "";
}

json::value or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return json::string(valid_utf8(text));
}

}  // namespace

std::string_view error_type(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

int status_of(Code code) {
  switch (code) {
    case Code::invalid_argument:
    case Code::context_exceeded:
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
  error["type"] = error_type(status);
  error["param"] = or_null(param);
  error["code"] = or_null(code.empty() ? default_code(status) : code);
  return json::serialize(json::object{{"error", std::move(error)}});
}

std::string error_body(const Error& error) {
  return error_body(status_of(error.code()), error.what(), error.field(), code_of(error));
}

std::string anthropic_error_body(int status, std::string_view message,
                                 std::string_view request_id) {
  const json::object error{{"type", anthropic_type_of(status)}, {"message", valid_utf8(message)}};
  return json::serialize(
      json::object{{"type", "error"}, {"error", error}, {"request_id", valid_utf8(request_id)}});
}

std::string anthropic_error_body(const Error& error, std::string_view request_id) {
  return anthropic_error_body(status_of(error.code()), message_naming_field(error), request_id);
}

std::string ollama_error_body(std::string_view message) {
  return json::serialize(json::object{{"error", valid_utf8(message)}});
}

std::string message_naming_field(const Error& error) { return naming(error.field(), error.what()); }

ErrorPlace place_of(const HttpRequest& request) { return {request.error_shape, request.id}; }
ErrorPlace place_of(const Exchange& exchange) { return place_of(exchange.request()); }

HttpResponse error_response(const ErrorPlace& place, int status, std::string_view message,
                            std::string_view param, std::string_view code) {
  const auto body = [&] {
    switch (place.shape) {
      case ErrorShape::anthropic:
        return anthropic_error_body(status, naming(param, message), place.request_id);
      case ErrorShape::ollama:
        return ollama_error_body(naming(param, message));
      default:
        return error_body(status, message, param, code);
    }
  };
  HttpResponse response = json_response(status, body());
  if (place.shape == ErrorShape::anthropic)
    response.headers.add("Request-Id", std::string(place.request_id));
  if (status == 429 || status == 503) response.headers.add("Retry-After", "1");
  return response;
}

HttpResponse error_response(const ErrorPlace& place, const Error& error) {
  return error_response(place, status_of(error.code()), error.what(), error.field(),
                        code_of(error));
}

Error current_error(const std::string& request_id) {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    spdlog::warn("[http] {}: no memory is left for it", request_id);
    return {Code::unavailable, "the server has no memory left for this request; try again"};
  } catch (const std::exception& bug) {
    spdlog::error("[http] {} failed: {}", request_id, bug.what());
    return {Code::internal,
            "internal error; the server's log says more under request id " + request_id};
  }
}

void answering_errors(Exchange& exchange, const std::function<void()>& work) {
  try {
    work();
  } catch (...) {
    exchange.respond(error_response(place_of(exchange), current_error(exchange.request().id)));
  }
}

}  // namespace pippin::server
