#include "server/utilities/openapi.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "server/schema/error_table.h"
#include "server/schema/field_schemas.h"

namespace pippin::server {
namespace {

// clang-format off
constexpr std::string_view components = R"({
  "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object",
    "required": ["message", "type", "param", "code"], "properties": {"message": {"type": "string"}, "type": {"type": "string"},
    "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}},
  "Message": {"type": "object", "required": ["role", "content"], "properties": {
    "role": {"type": "string", "enum": ["system", "developer", "user", "assistant", "tool"]},
    "content": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Part"}}]},
    "name": {"type": "string"}}},
  "AnthropicMessage": {"type": "object", "required": ["role", "content"], "properties": {
    "role": {"type": "string", "enum": ["user", "assistant"]},
    "content": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items":
      {"type": "object", "required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": {"type": "string", "minLength": 1}}}}]}}},
  "AnthropicError": {"type": "object", "required": ["type", "error"], "properties": {"type": {"const": "error"},
    "error": {"type": "object", "required": ["type", "message"]}}},
  "OllamaMessage": {"type": "object", "required": ["role", "content"], "properties": {
    "role": {"type": "string", "enum": ["system", "user", "assistant", "tool"]}, "content": {"type": "string"}}},
  "OllamaError": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
  "Part": {"anyOf": [
    {"type": "object", "required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": {"type": "string"}}},
    {"type": "object", "required": ["type", "image_url"], "properties": {"type": {"const": "image_url"},
      "image_url": {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}}}},
    {"type": "object", "required": ["type", "video_url"], "properties": {"type": {"const": "video_url"},
      "video_url": {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}}}}]},
  "Tool": {"type": "object", "required": ["type", "function"], "properties": {"type": {"const": "function"},
    "function": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 1},
      "description": {"type": "string"}, "parameters": {"type": "object"}}}}},
  "Usage": {"type": "object", "required": ["prompt_tokens", "completion_tokens", "total_tokens"]},
  "ChatCompletion": {"type": "object", "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {
    "object": {"const": "chat.completion"}, "usage": {"$ref": "#/components/schemas/Usage"},
    "choices": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["index", "message", "logprobs", "finish_reason"]}}}},
  "Completion": {"type": "object", "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {
    "object": {"const": "text_completion"}, "usage": {"$ref": "#/components/schemas/Usage"},
    "choices": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["index", "text", "logprobs", "finish_reason"]}}}}
})";
// clang-format on

json::object content(std::string_view type, json::object schema) {
  return {{type, {{"schema", std::move(schema)}}}};
}

json::object answer_content(const Operation& operation) {
  const std::string_view answer = operation.answer;
  if (!answer.starts_with('{'))
    return content(answer.empty() ? "text/plain" : answer, {{"type", "string"}});
  json::object types = content("application/json", parse_json(answer, "answer").as_object());
  // No type: for some readers a stream is a text, for others its events are what the schema describes.
  if (operation.streams && operation.errors == ErrorShape::ollama)
    types["application/x-ndjson"] = json::object{{"schema", {{"description", "Lines of JSON"}}}};
  else if (operation.streams)
    types["text/event-stream"] = json::object{{"schema", {{"description", "Server-sent events"}}}};
  return types;
}

std::string_view error_schema(const Operation& operation) {
  switch (operation.errors) {
    case ErrorShape::anthropic:
      return "#/components/schemas/AnthropicError";
    case ErrorShape::ollama:
      return "#/components/schemas/OllamaError";
    default:
      return "#/components/schemas/Error";
  }
}

json::object responses(const Operation& operation) {
  json::object out{
      {"200", {{"description", operation.summary}, {"content", answer_content(operation)}}}};
  for (const ErrorCase& error : error_table()) {
    const std::string status = std::to_string(error.status);
    // 5xx are told of, but for faults of the server's own nobody should count on them.
    if (out.contains(status) || error.status == 500) continue;
    out[status] =
        json::object{{"description", error.when},
                     {"content", content("application/json", {{"$ref", error_schema(operation)}})}};
  }
  return out;
}

json::object operation_object(const Operation& operation, std::string_view path) {
  json::object out{{"summary", operation.summary}, {"responses", responses(operation)}};
  if (operation.fields)
    out["requestBody"] = json::object{
        {"required", true},
        {"content", content("application/json",
                            request_schema(path, operation.fields(), operation.required))}};
  if (path.ends_with("{id}"))
    out["parameters"] = json::array{json::object{
        {"name", "id"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}};
  return out;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

}  // namespace

json::object openapi_document(const Router& router) {
  json::object paths;
  for (const Router::Route& route : router.routes()) {
    const bool is_folder = route.path.ends_with("/*");
    const std::string path =
        is_folder ? route.path.substr(0, route.path.size() - 1) + "{id}" : route.path;
    if (!paths.contains(path)) paths[path] = json::object();
    paths[path].as_object()[lower(route.method)] = operation_object(route.operation, path);
  }
  const json::object bearer{{"type", "http"}, {"scheme", "bearer"}};
  const json::object header{{"type", "apiKey"}, {"in", "header"}, {"name", "x-api-key"}};
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "Pippin"}, {"version", PIPPIN_VERSION}}},
          {"paths", std::move(paths)},
          {"components",
           {{"schemas", parse_json(components, "components")},
            {"securitySchemes", {{"bearer", bearer}, {"x-api-key", header}}}}},
          {"security", json::array{json::object(), json::object{{"bearer", json::array()}},
                                   json::object{{"x-api-key", json::array()}}}}};
}

}  // namespace pippin::server
