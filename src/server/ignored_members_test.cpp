// Nothing is dropped in silence: a member that an API does not know is told in X-Pippin-Ignored, or refused under --strict-fields, at
// every depth of every API's requests.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/api_testing.h"

namespace pippin::server::testing {
namespace {

struct Asked {
  const char* path;
  const char* body;
};

constexpr const char* picture =
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+"
    "M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

// PICTURE stands for the one above.
constexpr Asked requests[] = {
    {"/v1/chat/completions",
     R"({"model": "tiny", "stream_options": {"include_usage": true}, "stream": true,
      "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "PICTURE"}}]},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "done"}]}],
      "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
      "tool_choice": {"type": "function", "function": {"name": "f"}}})"},
    {"/v1/chat/completions", R"({"model": "tiny", "messages": [{"role": "user", "content": "hi"}],
      "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}})"},
    {"/v1/chat/completions", R"({"model": "tiny", "messages": [{"role": "user", "content": "hi"}],
      "tools": [{"type": "function", "function": {"name": "f"}}],
      "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}},
      "structured_outputs": {"regex": "a"}})"},
    {"/v1/completions",
     R"({"model": "tiny", "prompt": "hi", "stream": true, "stream_options": {"include_usage": true},
      "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}})"},
    {"/v1/responses",
     R"({"model": "tiny", "stream": true, "stream_options": {"include_obfuscation": false},
      "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "PICTURE"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "well"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "done"}]}],
      "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}},
                {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}]}],
      "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
      "reasoning": {"effort": "low"},
      "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}}})"},
    {"/v1/responses",
     R"({"model": "tiny", "input": "hi", "tools": [{"type": "function", "name": "f"}],
      "tool_choice": {"type": "function", "name": "f"}})"},
    {"/v1/messages", R"({"model": "tiny", "max_tokens": 9,
      "system": [{"type": "text", "text": "be brief"}],
      "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"},
          {"type": "image", "source": {"type": "url", "url": "PICTURE"}},
          {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}, "citations": {"enabled": false}},
          {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "found"}]}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "so", "signature": ""}, {"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "done"}]}]}],
      "tools": [{"name": "f", "input_schema": {"type": "object"}}],
      "tool_choice": {"type": "tool", "name": "f"}, "thinking": {"type": "enabled", "budget_tokens": 1024}})"},
    {"/v1/messages",
     R"({"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
      "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
      "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}})"},
    {"/api/chat",
     R"({"model": "tiny", "stream": false, "options": {"temperature": 0, "num_ctx": 512},
      "messages": [
        {"role": "user", "content": "hi", "images": ["PICTURE"]},
        {"role": "assistant", "content": "", "thinking": "so", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
        {"role": "tool", "tool_name": "f", "content": "done"}],
      "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]})"},
    {"/api/generate",
     R"({"model": "tiny", "stream": false, "prompt": "hi", "system": "s", "options": {"seed": 1}})"},
};

// What is passed on as it is, and read by nobody here.
bool is_free(const std::string& key) {
  return key == "parameters" || key == "input_schema" || key == "schema" || key == "input" ||
         key == "arguments";
}

// The paths of all objects; "" is the body.
void objects_in(const json::value& value, const std::string& path,
                std::vector<std::string>& found) {
  if (const auto* list = value.if_array())
    for (std::size_t i = 0; i < list->size(); ++i)
      objects_in((*list)[i], path + "." + std::to_string(i), found);
  const auto* object = value.if_object();
  if (!object) return;
  found.push_back(path);
  for (const auto& member : *object)
    if (const std::string key(member.key()); !is_free(key) || member.value().is_array())
      objects_in(member.value(), path.empty() ? key : path + "." + key, found);
}

json::value& object_at_path(json::value& value, const std::string& path) {
  json::value* at = &value;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const std::string key = path.substr(begin, end - begin);
    at = at->is_array() ? &at->as_array().at(std::stoul(key)) : &at->as_object().at(key);
    begin = end + 1;
  }
  return *at;
}

std::string body_of(const Asked& asked) {
  std::string body = asked.body;
  if (const auto at = body.find("PICTURE"); at != std::string::npos) body.replace(at, 7, picture);
  return body;
}

class IgnoredMembers : public ApiTest {
 protected:
  TestResponse post(const std::string& path, const std::string& body) {
    return send("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  static std::string ignored(const TestResponse& response) {
    const auto found = response.headers.find("x-pippin-ignored");
    return found == response.headers.end() ? "" : found->second;
  }

  // Calls `each` for every object of every request, with that member more in it.
  template <class Each>
  void with_unknown_members(const Each& each) {
    for (const Asked& asked : requests) {
      const json::value body = parse_json(body_of(asked), "body");
      std::vector<std::string> paths;
      objects_in(body, "", paths);
      ASSERT_GE(paths.size(), 2u);
      for (const std::string& path : paths) {
        json::value changed = body;
        object_at_path(changed, path).as_object()["zz_new"] = json::object{{"deep", 1}};
        each(asked, path.empty() ? "zz_new" : path + ".zz_new", json::serialize(changed));
      }
    }
  }
};

TEST_F(IgnoredMembers, AreToldAtEveryDepth) {
  start();
  for (const Asked& asked : requests) {
    const TestResponse response = post(asked.path, body_of(asked));
    EXPECT_EQ(response.status, 200) << asked.path << response.body;
    EXPECT_EQ(ignored(response), "") << asked.body;
  }
  with_unknown_members([&](const Asked& asked, const std::string& field, const std::string& body) {
    const TestResponse response = post(asked.path, body);
    const std::string where = std::string(asked.path) + " " + field;
    if (response.status == 400) {  // kept to strictly, by name
      EXPECT_NE(response.body.find(field), std::string::npos) << where << ": " << response.body;
      return;
    }
    EXPECT_EQ(response.status, 200) << where << ": " << response.body;
    EXPECT_EQ(ignored(response), field) << where;
  });
}

TEST_F(IgnoredMembers, AreRefusedUnderStrictFields) {
  ApiOptions options;
  options.strict_fields = true;
  start(options);
  with_unknown_members([&](const Asked& asked, const std::string& field, const std::string& body) {
    const TestResponse response = post(asked.path, body);
    EXPECT_EQ(response.status, 400) << asked.path << " " << field;
    EXPECT_NE(response.body.find("'" + field + "'"), std::string::npos) << response.body;
  });
}

}  // namespace
}  // namespace pippin::server::testing
