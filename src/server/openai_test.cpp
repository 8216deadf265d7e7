#include "server/openai.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "base/thread_pool.h"
#include "pippin/error.h"
#include "server/http.h"
#include "server/http_test_client.h"

namespace pippin::server {
namespace {

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

class ScriptSource final : public EventSource {
 public:
  explicit ScriptSource(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  ~ScriptSource() override { script_->drop(); }
  std::optional<ChatEvent> poll() override { return script_->poll(); }
  bool finished() const override { return script_->finished(); }
  void when_ready(std::function<void()> ready) override { script_->when_ready(std::move(ready)); }

 private:
  std::shared_ptr<Script> script_;
};

// An engine that answers as the test says, or with the pieces "Hel", "lo", " world".
class FakeBackend final : public Backend {
 public:
  std::unique_ptr<EventSource> chat(ChatRequest request) override {
    std::lock_guard lock(mutex_);
    last_ = std::move(request);
    if (error_) throw *error_;
    auto script = std::exchange(next_, nullptr);
    if (!script) {
      script = std::make_shared<Script>();
      for (const char* text : {"Hel", "lo", " world"}) script->push({text, {}, {}});
      script->push({"!", FinishReason::length, {7, 4, 3, 2}});
    }
    return std::make_unique<ScriptSource>(std::move(script));
  }
  ModelInfo info() const override {
    ModelInfo info;
    info.name = "tiny";
    info.max_context = 512;
    info.video_sampling = video_sampling_;
    return info;
  }
  EngineStats stats() const override {
    EngineStats stats;
    stats.healthy = healthy_;
    stats.pages_total = 9;
    stats.pages_free = 5;
    stats.pages_cached = 3;
    stats.page_bytes = 100;
    stats.media_cache_bytes = 77;
    stats.prefix_diverged = 2;
    stats.disk.damaged = 1;
    return stats;
  }
  ClearedCaches clear_caches() override {
    if (error_) throw *error_;
    return {3, 2, 5000, 4000};
  }

  std::mutex mutex_;
  ChatRequest last_;
  std::optional<Error> error_;
  std::shared_ptr<Script> next_;
  std::atomic<bool> healthy_ = true;
  std::optional<VideoSampling> video_sampling_{VideoSampling{}};
};

class OpenAiTest : public ::testing::Test {
 protected:
  void start(OpenAiOptions options = {}) {
    api_.emplace(backend_, std::move(options), workers_, loaders_);
    Router router;
    api_->add_routes(router);
    HttpOptions http;
    http.port = 0;
    server_.emplace(http, workers_);
    server_->start(std::move(router));
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

  FakeBackend backend_;
  ThreadPool workers_{2};
  ThreadPool loaders_{2};
  std::optional<OpenAi> api_;
  std::optional<HttpServer> server_;
};

TEST_F(OpenAiTest, AnswersWhole) {
  start();
  const TestResponse response = chat(with(R"(, "max_tokens": 9)"));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.headers.at("content-type"), "application/json");
  const json::value answer = parse_json(response.body, "body");
  EXPECT_EQ(answer.at("object"), "chat.completion");
  EXPECT_EQ(answer.at("model"), "tiny");
  EXPECT_EQ(answer.at("choices").at(0).at("message").at("content"), "Hello world!");
  EXPECT_EQ(answer.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(answer.at("usage").at("total_tokens"), 11);
  EXPECT_EQ(answer.at("usage").at("prompt_tokens_details").at("cached_tokens"), 3);
  EXPECT_EQ(answer.at("usage").at("prompt_tokens_details").at("media_cached"), 2);
  EXPECT_EQ(backend_.last_.stop.max_tokens, 9);
}

TEST_F(OpenAiTest, StreamsTheSame) {
  start();
  const TestResponse response = chat(with(R"(, "stream": true)"));
  EXPECT_EQ(response.headers.at("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
  const auto events = events_of(response.body);
  EXPECT_EQ(events.front().at("choices").at(0).at("delta").at("role"), "assistant");
  EXPECT_EQ(events.back().at("choices").at(0).at("finish_reason"), "length");
  std::string text;
  for (const auto& event : events) {
    EXPECT_EQ(event.at("object"), "chat.completion.chunk");
    EXPECT_EQ(event.at("id"), events.front().at("id"));
    EXPECT_FALSE(event.as_object().contains("usage"));
    const json::object& delta = event.at("choices").at(0).at("delta").as_object();
    if (delta.contains("content")) text += delta.at("content").as_string();
  }
  EXPECT_EQ(text, "Hello world!");
}

TEST_F(OpenAiTest, StreamsUsageWhenAsked) {
  start();
  const auto events =
      events_of(chat(with(R"(, "stream": true, "stream_options": {"include_usage": true})")).body);
  EXPECT_TRUE(events.back().at("choices").as_array().empty());
  EXPECT_EQ(events.back().at("usage").at("completion_tokens"), 4);
  EXPECT_EQ(events.back().at("usage").at("prompt_tokens_details").at("media_cached"), 2);
  for (std::size_t i = 0; i + 1 < events.size(); ++i) EXPECT_TRUE(events[i].at("usage").is_null());
}

std::shared_ptr<Script> script_of_calls() {
  auto script = std::make_shared<Script>();
  const auto push = [&](std::string reasoning, std::optional<ToolCallDelta> call) {
    script->push({"", {}, {}, std::move(reasoning), std::move(call)});
  };
  push("Two ", {});
  push("calls.", {});
  push("", ToolCallDelta{0, "call_a", "f", ""});
  push("", ToolCallDelta{0, "", "", R"({"x": )"});
  push("", ToolCallDelta{0, "", "", "1}"});
  push("", ToolCallDelta{1, "call_b", "g", "{}"});
  script->push({"", FinishReason::tool_calls, {}});
  return script;
}

TEST_F(OpenAiTest, AnswersWithCallsAndReasoning) {
  start();
  backend_.next_ = script_of_calls();
  const json::value answer = parse_json(chat(with("")).body, "body");
  const json::value& choice = answer.at("choices").at(0);
  EXPECT_EQ(choice.at("finish_reason"), "tool_calls");
  EXPECT_TRUE(choice.at("message").at("content").is_null());
  EXPECT_EQ(choice.at("message").at("reasoning"), "Two calls.");
  EXPECT_EQ(choice.at("message").at("reasoning_content"), "Two calls.");
  EXPECT_EQ(choice.at("message").at("tool_calls"), parse_json(R"([
      {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
      {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{}"}}])",
                                                              "expected"));
}

TEST_F(OpenAiTest, StreamsCallsAndReasoning) {
  start();
  backend_.next_ = script_of_calls();
  const auto events = events_of(chat(with(R"(, "stream": true)")).body);
  ASSERT_EQ(events.size(), 8u);
  const auto delta = [&](std::size_t i) { return events[i].at("choices").at(0).at("delta"); };
  EXPECT_EQ(delta(1),
            parse_json(R"({"reasoning": "Two ", "reasoning_content": "Two "})", "expected"));
  EXPECT_EQ(delta(3), parse_json(R"({"tool_calls": [{"index": 0, "id": "call_a", "type": "function",
      "function": {"name": "f", "arguments": ""}}]})",
                                 "expected"));
  EXPECT_EQ(
      delta(5),
      parse_json(R"({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]})", "expected"));
  EXPECT_EQ(delta(6).at("tool_calls").at(0).at("index"), 1);
  EXPECT_EQ(events[7].at("choices").at(0).at("finish_reason"), "tool_calls");
}

TEST_F(OpenAiTest, SendsEachPieceAsItArrives) {
  start();
  auto script = backend_.next_ = std::make_shared<Script>();
  TestClient client(server_->port());
  client.send(chat_request(with(R"(, "stream": true)")));
  for (const char* text : {"one", "two", "three"}) {
    script->push({text, {}, {}});
    EXPECT_NE(client.receive_until("\n\n\r\n").find("data: "), std::string::npos);
    if (std::string(text) != "one") continue;
  }
  script->push({"", FinishReason::stop, {}});
  const std::string rest = client.receive_until("0\r\n\r\n");
  EXPECT_NE(rest.find("[DONE]"), std::string::npos);
}

TEST_F(OpenAiTest, CancelsWhenTheClientLeaves) {
  start();
  for (const char* stream : {"true", "false"}) {
    auto script = std::make_shared<Script>();
    backend_.next_ = script;
    TestClient client(server_->port());
    client.send(chat_request(with(std::string(R"(, "stream": )") + stream)));
    if (std::string(stream) == "true") client.receive_until("assistant");
    std::this_thread::sleep_for(milliseconds(50));
    script->push({"x", {}, {}});
    client.close();
    EXPECT_TRUE(script->dropped()) << stream;
  }
}

TEST_F(OpenAiTest, TellsOfAFailureInMidStream) {
  start();
  auto script = backend_.next_ = std::make_shared<Script>();
  script->push({"begun", {}, {}});
  script->fail(Error(Code::unavailable, "a step failed"));
  const auto events = events_of(chat(with(R"(, "stream": true)")).body);
  EXPECT_EQ(events.at(1).at("choices").at(0).at("delta").at("content"), "begun");
  EXPECT_EQ(events.back().at("error").at("message"), "a step failed");

  script = backend_.next_ = std::make_shared<Script>();
  script->push({"begun", {}, {}});
  script->fail(Error(Code::unavailable, "a step failed"));
  EXPECT_EQ(chat(with("")).status, 503);
}

TEST_F(OpenAiTest, PassesOnTheEnginesErrors) {
  start();
  backend_.error_ =
      Error(Code::invalid_argument, "prompt of 600 tokens is longer than the context", "messages");
  TestResponse response = chat(with(R"(, "stream": true)"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response).at("param"), "messages");
  backend_.error_ = Error(Code::resource_exhausted, "full");
  response = chat(with(""));
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers.at("retry-after"), "1");
}

TEST_F(OpenAiTest, KnowsItsModels) {
  OpenAiOptions options;
  options.model_names = {"one", "org/two"};
  options.model_aliases = {"uno"};
  start(options);
  EXPECT_EQ(chat(R"({"model": "org/two", "messages": [{"role": "user", "content": "hi"}]})").status,
            200);
  EXPECT_EQ(chat(R"({"model": "uno", "messages": [{"role": "user", "content": "hi"}]})").status,
            200);
  const TestResponse unknown = chat(with(""));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(error_of(unknown).at("param"), "model");
  EXPECT_EQ(error_of(unknown).at("code"), "model_not_found");
  const json::value list = parse_json(get("/v1/models").body, "body");
  EXPECT_EQ(list.at("data").at(0).at("id"), "one");
  EXPECT_EQ(list.at("data").at(1).at("max_model_len"), 512);
  EXPECT_EQ(parse_json(get("/v1/models/org/two").body, "body").at("id"), "org/two");
  EXPECT_EQ(parse_json(get("/v1/models/org%2Ftwo").body, "body").at("id"), "org/two");
  EXPECT_EQ(get("/v1/models/three").status, 404);
}

TEST_F(OpenAiTest, RefusesCompressedRequests) {
  start();
  const std::string body = with("");
  EXPECT_EQ(send("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Encoding: "
                 "gzip\r\nContent-Length: " +
                 std::to_string(body.size()) + "\r\n\r\n" + body)
                .status,
            415);
}

TEST_F(OpenAiTest, QuotesLittleOfWhatWasSent) {
  start();
  const TestResponse response =
      chat(R"({"messages": [{"role": ")" + std::string(100'000, 'x') + R"(", "content": ""}]})");
  EXPECT_EQ(response.status, 400);
  EXPECT_LT(response.body.size(), 1000u);
}

TEST_F(OpenAiTest, ReportsHealth) {
  start();
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(parse_json(get("/health").body, "body").at("pages").at("free"), 5);
  backend_.healthy_ = false;
  const TestResponse response = get("/health");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(parse_json(response.body, "body").at("status"), "unhealthy");
}

TEST_F(OpenAiTest, ReportsTheCaches) {
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

TEST_F(OpenAiTest, ClearsTheCaches) {
  start();
  const std::string request = "DELETE /v1/cache HTTP/1.1\r\nHost: h\r\n\r\n";
  const json::value report = parse_json(send(request).body, "body");
  EXPECT_EQ(report.at("pages"), 3);
  EXPECT_EQ(report.at("media"), 2);
  EXPECT_EQ(report.at("freed_bytes"), 1000);
  backend_.error_ = Error(Code::unavailable, "stopping");
  EXPECT_EQ(send(request).status, 503);
}

const std::string agents_request =
    R"({"messages": [{"role": "system", "content": "x-anthropic-billing-header: cc_version=1; cch=0;\nBe."},
                     {"role": "user", "content": "hi"}]})";

TEST_F(OpenAiTest, RemovesVolatileLinesAndCountsThem) {
  start();
  EXPECT_EQ(chat(agents_request).status, 200);
  EXPECT_EQ(backend_.last_.messages.at(0).content.at(0).text, "Be.");
  EXPECT_EQ(parse_json(get("/v1/cache").body, "body").at("volatile_lines_removed"), 1);
}

TEST_F(OpenAiTest, LeavesVolatileLinesWhenToldTo) {
  OpenAiOptions options;
  options.canonical_prompts = false;
  start(options);
  EXPECT_EQ(chat(agents_request).status, 200);
  EXPECT_TRUE(backend_.last_.messages.at(0).content.at(0).text.starts_with("x-anthropic"));
  EXPECT_EQ(parse_json(get("/v1/cache").body, "body").at("volatile_lines_removed"), 0);
}

TEST_F(OpenAiTest, ListsUnknownFieldsInAHeader) {
  start();
  const TestResponse response = chat(with(R"(, "tempature": 1, "a\r\nSet-Cookie: b": 2)"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("x-pippin-ignored"), "tempature, a%0D%0ASet-Cookie%3A%20b");
  EXPECT_FALSE(chat(with("")).headers.contains("x-pippin-ignored"));
  EXPECT_EQ(chat(with(R"(, "stream": true, "x": 1)")).headers.at("x-pippin-ignored"), "x");
}

TEST_F(OpenAiTest, RefusesUnknownFieldsWhenStrict) {
  OpenAiOptions options;
  options.strict_fields = true;
  start(options);
  const TestResponse response = chat(with(R"(, "tempature": 1)"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response).at("param"), "tempature");
  EXPECT_EQ(chat(with(R"(, "user": "me")")).status, 200);
}

// A 2 x 1 picture: red, blue.
const std::string bmp_url =
    "data:image/"
    "bmp;base64,Qk0+AAAAAAAAADYAAAAoAAAAAgAAAAEAAAABABgAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAD//"
    "wAAAAA=";

std::string with_picture(const std::string& url) {
  return R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"},
      {"type": "image_url", "image_url": {"url": ")" +
         url + R"("}}]}]})";
}

TEST_F(OpenAiTest, GivesTheEnginePixels) {
  start();
  const TestResponse response = chat(with_picture(bmp_url));
  ASSERT_EQ(response.status, 200) << response.body;
  const auto& content = backend_.last_.messages.at(0).content;
  ASSERT_EQ(content.size(), 2u);
  EXPECT_EQ(content[0].text, "what?");
  ASSERT_TRUE(content[1].image);
  EXPECT_EQ(*content[1].image, (Pixels{1, 2, {255, 0, 0, 0, 0, 255}}));
}

TEST_F(OpenAiTest, NamesThePictureThatIsWrong) {
  OpenAiOptions options;
  options.media.image.max_pixels = 1;
  start(options);
  for (const std::string url : {"data:image/png;base64,AAAA", "nonsense", "file:///etc/passwd",
                                "http://169.254.169.254/x", "ftp://x/y"}) {
    const TestResponse response = chat(with_picture(url));
    EXPECT_EQ(response.status, 400) << url;
    EXPECT_EQ(error_of(response).at("param"), "messages.0.content.1.image_url") << url;
  }
  EXPECT_EQ(chat(with_picture(bmp_url)).status, 413);
}

TEST_F(OpenAiTest, LimitsTheSumOfPictures) {
  OpenAiOptions options;
  options.media.max_pixels = 3;
  start(options);
  const std::string part = R"({"type": "image_url", "image_url": {"url": ")" + bmp_url + R"("}})";
  const TestResponse response =
      chat(R"({"messages": [{"role": "user", "content": [)" + part + "," + part + "]}]}");
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(error_of(response).at("param"), "messages.0.content.1.image_url");
}

TEST_F(OpenAiTest, ShrinksPicturesOfLowDetail) {
  start();
  // 600 x 1 pixels, PBM-like in a BMP without padding questions: made here, so that the sizes are seen.
  const int width = 600;
  std::string bmp("BM", 2);
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bmp += static_cast<char>(i < 4 ? value >> (8 * i) & 255 : 0);
  };
  put(54 + width * 3, 4), put(0, 4), put(54, 4), put(40, 4), put(width, 4), put(1, 4), put(1, 2),
      put(24, 2), put(0, 24);
  bmp += std::string(width * 3, '\x40');
  std::string url = "data:image/bmp,";
  for (const char byte : bmp) {
    char text[4];
    std::snprintf(text, sizeof(text), "%%%02X", static_cast<unsigned char>(byte));
    url += text;
  }
  const auto ask = [&](const std::string& detail) {
    const TestResponse response = chat(
        R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ")" +
        url + R"(", "detail": ")" + detail + R"("}}]}]})");
    EXPECT_EQ(response.status, 200) << response.body;
    return backend_.last_.messages.at(0).content.at(0).image->width;
  };
  EXPECT_EQ(ask("high"), 600);
  EXPECT_EQ(ask("low"), 512);
}

std::string clip_url(const std::string& name) {
  return "file:" + std::string(PIPPIN_SOURCE_DIR) + "/src/media/testdata/video/" + name;
}

OpenAiOptions with_clips() {
  OpenAiOptions options;
  options.fetch.media_root = std::string(PIPPIN_SOURCE_DIR) + "/src/media/testdata/video";
  return options;
}

std::string with_part(const std::string& part, const std::string& members = "") {
  return R"({"messages": [{"role": "user", "content": [)" + part + "]}]" + members + "}";
}

TEST_F(OpenAiTest, GivesTheEngineSampledFrames) {
  start(with_clips());
  const auto seconds = [&](const std::string& part, const std::string& members = "") {
    const TestResponse response = chat(with_part(part, members));
    EXPECT_EQ(response.status, 200) << response.body;
    return backend_.last_.messages.at(0).content.at(0).video->seconds;
  };
  using Seconds = std::vector<double>;
  // Twenty frames in two seconds. First as the model samples, then as the request says.
  const std::string url = R"("url": ")" + clip_url("h264.mp4") + R"(")";
  const std::string plain = R"({"type": "video_url", "video_url": {)" + url + "}}";
  EXPECT_EQ(seconds(plain), (Seconds{0, 0.6, 1.3, 1.9}));
  EXPECT_EQ(seconds(R"({"type": "video_url", "video_url": {)" + url + R"(, "max_frames": 2}})"),
            (Seconds{0, 1.9}));
  EXPECT_EQ(seconds(R"({"type": "video_url", "fps": 3, "video_url": {)" + url + "}}").size(), 6u);
  const std::string kwargs = R"(, "mm_processor_kwargs": {"num_frames": 3})";
  EXPECT_EQ(seconds(plain, kwargs).size(), 3u);
  EXPECT_EQ(
      seconds(R"({"type": "video", "fps": 5, "video": ")" + clip_url("h264.mp4") + R"("})", kwargs)
          .size(),
      10u);
}

TEST_F(OpenAiTest, TakesAVideoAsPictures) {
  start();
  const auto video = [&](const std::string& part) {
    const TestResponse response = chat(with_part(part));
    EXPECT_EQ(response.status, 200) << response.body;
    return *backend_.last_.messages.at(0).content.at(0).video;
  };
  const std::string pictures = "[\"" + bmp_url + "\", \"" + bmp_url + "\", \"" + bmp_url + "\"]";
  const Video listed = video(R"({"type": "video", "fps": 4, "video": )" + pictures + "}");
  EXPECT_EQ(listed.seconds, (std::vector<double>{0, 0.25, 0.5}));
  EXPECT_EQ(listed.frames[2], (Pixels{1, 2, {255, 0, 0, 0, 0, 255}}));
  // vLLM's form: the frames' base64 in one URL (of whatever format they are), at the model's own rate.
  const std::string base64 = bmp_url.substr(bmp_url.find(',') + 1);
  const Video joined =
      video(R"({"type": "video_url", "video_url": {"url": "data:video/jpeg;base64,)" + base64 +
            "," + base64 + R"("}})");
  EXPECT_EQ(joined.seconds, (std::vector<double>{0, 0.5}));
  EXPECT_EQ(joined.frames[0], listed.frames[0]);
}

TEST_F(OpenAiTest, SaysThatAudioIsIgnored) {
  start(with_clips());
  const auto details = [&](const std::string& name) {
    const TestResponse response = chat(
        with_part(R"({"type": "video_url", "video_url": {"url": ")" + clip_url(name) + R"("}})"));
    EXPECT_EQ(response.status, 200) << response.body;
    return parse_json(response.body, "body").at("usage").at("prompt_tokens_details").as_object();
  };
  EXPECT_EQ(details("h264.mp4").at("ignored_audio_tracks"), 1);
  EXPECT_FALSE(details("vp9.webm").contains("ignored_audio_tracks"));
}

TEST_F(OpenAiTest, NamesTheVideoThatIsWrong) {
  OpenAiOptions options = with_clips();
  options.media.video.max_frames = 10;
  start(options);
  const auto refused = [&](const std::string& part, int status) {
    const TestResponse response = chat(with_part(part));
    EXPECT_EQ(response.status, status) << response.body;
    return std::string(error_of(response).at("param").as_string());
  };
  const auto of_url = [](const std::string& url) {
    return R"({"type": "video_url", "video_url": {"url": ")" + url + R"("}})";
  };
  const std::string field = "messages.0.content.0.video_url";
  EXPECT_EQ(refused(of_url(clip_url("h264.mp4")), 413), field);
  EXPECT_EQ(refused(of_url(clip_url("missing.mp4")), 400), field);
  EXPECT_EQ(refused(of_url(bmp_url), 400), field);
  EXPECT_EQ(refused(of_url("data:video/jpeg;base64,"), 400), field);
  EXPECT_EQ(refused(R"({"type": "video", "video": ["nonsense"]})", 400),
            "messages.0.content.0.video");
  backend_.video_sampling_.reset();
  EXPECT_EQ(refused(of_url(clip_url("vp8.webm")), 400), field);
}

}  // namespace
}  // namespace pippin::server
