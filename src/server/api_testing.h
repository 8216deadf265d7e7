// All APIs over a fake engine. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/json.h"
#include "base/thread_pool.h"
#include "pippin/error.h"
#include "server/api.h"
#include "server/http/server.h"
#include "server/http/test_client.h"

namespace pippin::server::testing {

using std::chrono::milliseconds;

// What the test and one answer of the fake engine share: the test pushes events, the server takes them.
class Script {
 public:
  void push(ChatEvent event) {
    std::unique_lock lock(mutex_);
    events_.push_back(std::move(event));
    notify(std::move(lock));
  }
  void fail(Error error) {
    std::unique_lock lock(mutex_);
    error_ = std::move(error);
    notify(std::move(lock));
  }
  std::optional<ChatEvent> poll() {
    std::lock_guard lock(mutex_);
    if (events_.empty() && error_) throw *error_;
    if (events_.empty()) return {};
    ChatEvent event = std::move(events_.front());
    events_.pop_front();
    finished_ = event.finish.has_value();
    return event;
  }
  bool finished() {
    std::lock_guard lock(mutex_);
    return finished_;
  }
  void when_ready(std::function<void()> ready) {
    std::unique_lock lock(mutex_);
    ready_ = std::move(ready);
    if (!events_.empty() || error_) notify(std::move(lock));
  }
  void drop() {
    dropped_.set_value();
    std::unique_lock lock(mutex_);
    ready_ = {};
  }
  bool dropped() {
    return dropped_.get_future().wait_for(std::chrono::seconds(5)) == std::future_status::ready;
  }

 private:
  void notify(std::unique_lock<std::mutex> lock) {
    auto ready = std::exchange(ready_, {});
    lock.unlock();
    if (ready) ready();
  }

  std::mutex mutex_;
  std::deque<ChatEvent> events_;
  std::optional<Error> error_;
  std::function<void()> ready_;
  bool finished_ = false;
  std::promise<void> dropped_;
};

class ScriptStream final : public ChatStream {
 public:
  explicit ScriptStream(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  ~ScriptStream() override { script_->drop(); }
  std::optional<ChatEvent> next() override { return script_->poll(); }  // the server never waits
  std::optional<ChatEvent> poll() override { return script_->poll(); }
  bool finished() const override { return script_->finished(); }
  void when_ready(std::function<void()> ready) override { script_->when_ready(std::move(ready)); }
  AnswerTimes times() const override {
    const auto at = [](int s) { return AnswerTimes::Time{} + std::chrono::seconds(s); };
    return {at(1), at(2), at(3), at(4)};
  }

 private:
  std::shared_ptr<Script> script_;
};

inline ModelInfo tiny_model() {
  ModelInfo info;
  info.name = "tiny";
  info.max_context = 512;
  info.takes_images = true;
  info.video_sampling = VideoSampling{};
  return info;
}

// An engine that answers as the test says, or with the pieces "Hel", "lo", " world".
class FakeEngine : public Engine {
 public:
  ChatStreams chat(ChatRequest request, int num_choices) override {
    std::lock_guard lock(mutex_);
    last_ = std::move(request);
    if (error_) throw *error_;
    return answers(num_choices);
  }
  ChatStreams complete(CompletionRequest request, int num_choices) override {
    std::lock_guard lock(mutex_);
    completions_.push_back(std::move(request));
    if (error_) throw *error_;
    return answers(num_choices);
  }
  void prepare(const ChatRequest& request, Ready ready) const override {
    note_prepared(request.client, std::move(ready));
  }
  void prepare(const CompletionRequest& request, Ready ready) const override {
    note_prepared(request.client, std::move(ready));
  }
  // As a tokenizer whose tokens are bytes.
  std::vector<std::int32_t> tokenize(const std::string& text, bool add_special) const override {
    std::vector<std::int32_t> tokens(text.begin(), text.end());
    if (add_special) tokens.insert(tokens.begin(), 1);
    return tokens;
  }
  std::string detokenize(const std::vector<std::int32_t>& tokens) const override {
    return {tokens.begin(), tokens.end()};
  }
  std::string token_bytes(std::int32_t token) const override {
    return std::string(1, static_cast<char>(token));
  }
  RenderedPrompt render(const ChatRequest& request) const override {
    std::lock_guard lock(mutex_);
    last_ = request;
    const std::string text = request.messages.at(0).content.at(0).text;
    return {text, tokenize(text, false)};
  }
  std::int64_t count_tokens(const ChatRequest& request) const override {
    std::lock_guard lock(mutex_);
    last_ = request;
    return 7;
  }
  const ModelInfo& info() const override { return info_; }
  EngineStats stats() const override {
    EngineStats stats;
    stats.healthy = healthy_;
    if (!stats.healthy) stats.trouble = "no memory";
    stats.pages_total = 9;
    stats.pages_free = 5;
    stats.pages_cached = 3;
    stats.page_bytes = 100;
    stats.memory.decoded = decoded_bytes_;
    stats.media_cache_bytes = 77;
    stats.prefix_diverged = 2;
    stats.disk.damaged = 1;
    stats.grammars = {.kept = 4,
                      .bytes = 11000,
                      .limit_bytes = 90000,
                      .waiting = 6,
                      .compiled = 31,
                      .refused = 5,
                      .busy = 7};
    stats.memory.grammars = stats.grammars.limit_bytes;
    stats.memory.budget = std::int64_t{1} << 30;
    return stats;
  }
  ClearedCaches clear_caches() override {
    if (error_) throw *error_;
    return {.pages = 3, .media = 2, .grammars = 4, .resident_before = 5000, .resident_after = 4000};
  }

  // Ready at once, or when the test says so.
  void note_prepared(const Client& client, Ready ready) const {
    {
      std::lock_guard lock(mutex_);
      prepared_.push_back(client);
      if (holds_grammars_) return held_.push_back(std::move(ready));
    }
    ready(nullptr);
  }

  ChatStreams answers(int num_choices) {
    ChatStreams streams;
    for (int i = 0; i < num_choices; ++i) {
      auto script = std::exchange(next_, nullptr);
      if (!script) {
        script = std::make_shared<Script>();
        for (const char* text : {"Hel", "lo", " world"}) script->push({text, {}, {}});
        script->push({"!", FinishReason::length, {7, 4, 3, 2}});
      }
      streams.push_back(std::make_unique<ScriptStream>(std::move(script)));
    }
    return streams;
  }

  mutable std::mutex mutex_;
  mutable ChatRequest last_;
  mutable std::vector<Client> prepared_;  ///< for whom grammars were asked for
  mutable std::vector<Ready> held_;       ///< grammars that are being compiled
  bool holds_grammars_ = false;
  std::vector<CompletionRequest> completions_;
  std::optional<Error> error_;
  std::shared_ptr<Script> next_;
  std::atomic<bool> healthy_ = true;
  ModelInfo info_ = tiny_model();
  std::int64_t decoded_bytes_ = std::int64_t{256} << 20;
};

class ApiTest : public ::testing::Test {
 protected:
  void start(ApiOptions options = {}) {
    api_.emplace(engine_, std::move(options), workers_, loaders_);
    Router router;
    api_->add_routes(router);
    HttpOptions http;
    http.port = 0;
    http.keep_alive_interval = keep_alive_;
    server_.emplace(http, workers_);
    server_->start(std::move(router), {}, gate_);
  }

  TestResponse get(const std::string& path) {
    return send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
  }

  static std::string chat_request(const std::string& body) {
    return "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  static std::string with(const std::string& members) {
    return R"({"model": "tiny", "messages": [{"role": "user", "content": "hi"}])" + members + "}";
  }

  TestResponse chat(const std::string& body) { return send(chat_request(body)); }

  TestResponse send(const std::string& bytes) {
    TestClient client(server_->port());
    client.send(bytes);
    return client.receive();
  }

  static json::object error_of(const TestResponse& response) {
    return parse_json(response.body, "body").as_object().at("error").as_object();
  }

  // The JSON of each event before [DONE], which must be the last.
  static std::vector<json::value> events_of(const std::string& body) {
    std::vector<json::value> events;
    std::string_view rest = body;
    while (!rest.empty()) {
      const std::size_t end = rest.find("\n\n");
      const std::string_view event = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
      EXPECT_TRUE(event.starts_with("data: ")) << event;
      if (event == "data: [DONE]") {
        EXPECT_TRUE(rest.empty());
        return events;
      }
      events.push_back(parse_json(event.substr(6), "event"));
    }
    return events;
  }

  Gate gate_;  ///< of the next start()
  milliseconds keep_alive_ = HttpOptions().keep_alive_interval;
  FakeEngine engine_;
  ThreadPool workers_{2};
  ThreadPool loaders_{2};
  std::optional<Api> api_;
  std::optional<HttpServer> server_;
};

}  // namespace pippin::server::testing
