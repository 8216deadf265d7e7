// What a route takes and answers, declared once, where the route is added. The OpenAPI document, /v1/capabilities and
// docs/errors.md read the declaration.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "server/schema/field_table.h"

namespace pippin::server {

/// The shape of a route's error bodies.
enum class ErrorShape {
  openai,     ///< {"error": {"message", "type", "param", "code"}}
  anthropic,  ///< {"type": "error", "error": {"type", "message"}, "request_id"}
  ollama,     ///< {"error": message}
};

struct Operation {
  std::string_view summary = {};
  /// The fields of the request's body. Null: the request has no body.
  std::span<const Field> (*fields)() = nullptr;
  /// The fields that a request can't do without.
  std::vector<std::string_view> required = {};
  /// The JSON Schema of the answer's body; or the media type of a text. Empty: the body is plain text.
  std::string_view answer = R"({"type": "object"})";
  /// Whether a model answers, on wish as a stream.
  bool streams = false;
  ErrorShape errors = ErrorShape::openai;
};

}  // namespace pippin::server
