#include "server/api.h"

#include <gtest/gtest.h>

#include <utility>

#include "server/api_testing.h"
#include "server/observe/metrics.h"

namespace pippin::server {
namespace {

using namespace testing;

TEST_F(ApiTest, ReportsHealth) {
  start();
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(parse_json(get("/health").body, "body").at("pages").at("free"), 5);
  engine_.healthy_ = false;
  const TestResponse response = get("/health");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(parse_json(response.body, "body").at("status"), "unhealthy");
  EXPECT_EQ(parse_json(response.body, "body").at("reason"), "no memory");
}

TEST_F(ApiTest, ReportsTheCaches) {
  start();
  const json::value report = parse_json(get("/v1/cache").body, "body");
  EXPECT_EQ(report.at("pages").at("in_use"), 1);
  EXPECT_EQ(report.at("pages").at("cached_bytes"), 300);
  EXPECT_EQ(report.at("pages").at("limit_bytes"), 900);
  EXPECT_EQ(report.at("media").at("bytes"), 77);
  EXPECT_EQ(report.at("prompts").at("diverged"), 2);
  EXPECT_EQ(report.at("disk").at("misses").at("damaged"), 1);
  EXPECT_GT(report.at("resident_bytes").as_int64(), 1 << 20);
}

TEST_F(ApiTest, ClearsTheCaches) {
  start();
  const std::string request = "DELETE /v1/cache HTTP/1.1\r\nHost: h\r\n\r\n";
  const json::value report = parse_json(send(request).body, "body");
  EXPECT_EQ(report.at("pages"), 3);
  EXPECT_EQ(report.at("media"), 2);
  EXPECT_EQ(report.at("grammars"), 4);
  EXPECT_EQ(report.at("freed_bytes"), 1000);
  engine_.error_ = Error(Code::unavailable, "stopping");
  EXPECT_EQ(send(request).status, 503);
}

TEST_F(ApiTest, OnlyAnAdminClearsTheCaches) {
  gate_ = [](const HttpRequest& head) {
    Admission admission;
    admission.caller = {"key", head.headers.get("X-Admin").has_value()};
    return admission;
  };
  start();
  const TestResponse refused = send("DELETE /v1/cache HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(error_of(refused).at("code"), "admin_key_needed");
  EXPECT_EQ(send("DELETE /v1/cache HTTP/1.1\r\nHost: h\r\nX-Admin: 1\r\n\r\n").status, 200);
}

TEST_F(ApiTest, WhoShowsNoKeyLearnsTheHealthAlone) {
  gate_ = [](const HttpRequest& head) {
    Admission admission;
    admission.caller = {std::string(head.headers.get("X-Api-Key").value_or("")), false};
    return admission;
  };
  start();
  EXPECT_EQ(get("/health").body, R"({"status":"ok"})");
  engine_.healthy_ = false;
  EXPECT_EQ(get("/health").status, 503);
  EXPECT_EQ(get("/health").body, R"({"status":"unhealthy"})");
  const TestResponse known = send("GET /health HTTP/1.1\r\nHost: h\r\nX-Api-Key: k\r\n\r\n");
  EXPECT_EQ(parse_json(known.body, "body").at("reason"), "no memory");
}

TEST_F(ApiTest, SaltsPartTheCaches) {
  const auto salt = [&](const std::string& path, const std::string& body) {
    const TestResponse response = send("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                                       std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_FALSE(response.headers.contains("x-pippin-ignored")) << path;
    std::lock_guard lock(engine_.mutex_);
    return path == "/v1/completions" ? engine_.completions_.back().cache_salt
                                     : engine_.last_.cache_salt;
  };
  const std::string messages = R"("messages": [{"role": "user", "content": "hi"}])";
  const std::pair<const char*, std::string> bodies[] = {
      {"/v1/chat/completions", messages},
      {"/v1/completions", R"("prompt": "hi")"},
      {"/v1/messages", R"("max_tokens": 5, )" + messages},
      {"/v1/responses", R"("input": "hi")"}};
  const auto plain = [](const std::string& members) {
    return R"({"model": "tiny", )" + members + "}";
  };
  const auto salted = [](const std::string& members) {
    return R"({"model": "tiny", "cache_salt": "s", )" + members + "}";
  };
  start();
  for (const auto& [path, members] : bodies) {
    EXPECT_EQ(salt(path, plain(members)), "");
    EXPECT_EQ(salt(path, salted(members)), "s");
  }
  const TestResponse refused = chat(with(R"(, "cache_salt": "")"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(error_of(refused).at("param"), "cache_salt");
  server_.reset();
  gate_ = [](const HttpRequest&) {
    Admission admission;
    admission.caller.id = "key";
    return admission;
  };
  ApiOptions options;
  options.cache_per_key = true;
  start(options);
  for (const auto& [path, members] : bodies) {
    EXPECT_EQ(salt(path, plain(members)), "key:");
    EXPECT_EQ(salt(path, salted(members)), "key:s");
  }
}

// Requests of the key in X-Key; root is an admin.
Gate by_header() {
  return [](const HttpRequest& head) {
    Admission admission;
    admission.caller.id = head.headers.get("X-Key").value_or("");
    admission.caller.admin = admission.caller.id == "root";
    return admission;
  };
}

TEST_F(ApiTest, KeysThatAreApartShareNoDecodedPicture) {
  const std::string picture =
      R"({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,Qk06AAAAAAAAADYAAAAoAAAAAQAAAAEAAAABABgAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAA////AA=="}})";
  const std::string body = R"({"messages": [{"role": "user", "content": [)" + picture + "]}]}";
  const auto ask = [&](const std::string& key) {
    const TestResponse response =
        send("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nX-Key: " + key +
             "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_EQ(response.status, 200) << response.body;
    const TestResponse report = send("GET /v1/cache HTTP/1.1\r\nHost: h\r\nX-Key: root\r\n\r\n");
    return parse_json(report.body, "report").at("decoded").at("kept").as_int64();
  };
  for (const bool apart : {false, true}) {
    server_.reset();
    gate_ = by_header();
    ApiOptions options;
    options.cache_per_key = apart;
    start(options);
    EXPECT_EQ(ask("a"), 1);
    EXPECT_EQ(ask("a"), 1);
    EXPECT_EQ(ask("b"), apart ? 2 : 1);
  }
}

TEST_F(ApiTest, KeysThatAreApartSeeNoSums) {
  const auto status = [&](const std::string& path, const std::string& key) {
    return send("GET " + path + " HTTP/1.1\r\nHost: h\r\nX-Key: " + key + "\r\n\r\n").status;
  };
  const auto health = [&](const std::string& key) {
    return send("GET /health HTTP/1.1\r\nHost: h\r\nX-Key: " + key + "\r\n\r\n").body;
  };
  Metrics metrics("tiny");
  for (const bool apart : {false, true}) {
    server_.reset();
    gate_ = by_header();
    ApiOptions options;
    options.cache_per_key = apart;
    options.metrics = &metrics;
    start(options);
    for (const char* path : {"/v1/cache", "/metrics"}) {
      EXPECT_EQ(status(path, "root"), 200) << path;
      EXPECT_EQ(status(path, "a"), apart ? 403 : 200) << path;
    }
    EXPECT_NE(health("root").find("tokens"), std::string::npos);
    EXPECT_EQ(health("a").find("tokens") == std::string::npos, apart) << health("a");
    const auto capabilities = [&](const std::string& key) {
      return send("GET /v1/capabilities HTTP/1.1\r\nHost: h\r\nX-Key: " + key + "\r\n\r\n").body;
    };
    EXPECT_EQ(capabilities("a"), capabilities("b"));
  }
}

TEST_F(ApiTest, MessagesKnowTheirFields) {
  start();
  const auto fields = [&](const std::string& path, const std::string& body) {
    const TestResponse response = send("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                                       std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_EQ(response.status, 200) << response.body;
    std::string all = engine_.last_.field + ":";
    for (const Message& message : engine_.last_.messages) all += " " + message.field;
    return all;
  };
  EXPECT_EQ(
      fields(
          "/v1/chat/completions",
          R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]})"),
      "messages: messages.0 messages.1");
  EXPECT_EQ(
      fields("/v1/responses", R"({"instructions": "s", "input": [{"role": "user", "content": "u"},
                {"type": "reasoning", "summary": []}, {"role": "assistant", "content": "a"},
                {"role": "user", "content": "v"}]})"),
      "input: instructions input.0 input.1 input.3");
  EXPECT_EQ(
      fields("/v1/messages",
             R"({"max_tokens": 4, "system": "s", "messages": [{"role": "user", "content": "u"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i", "content": "r"},
                                             {"type": "text", "text": "t"}]}]})"),
      "messages: system messages.0 messages.1 messages.2 messages.2");
}

}  // namespace
}  // namespace pippin::server
