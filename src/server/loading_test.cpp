// Requests for models that are not loaded yet, through the APIs.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/api_testing.h"
#include "server/models/pool.h"

namespace pippin::server {
namespace {

using namespace testing;
using namespace std::chrono_literals;

class Loading : public ApiTest {
 protected:
  ~Loading() override {
    server_.reset();
    api_.reset();
  }

  // "tiny" is loaded when the test says so, or fails then.
  void serve(double stream_patience_s = 5) {
    ServedModel model;
    model.names = {"tiny"};
    model.load = [this](const MemoryShare&, const Engine::Progress&) -> std::unique_ptr<Engine> {
      load_.get_future().wait_for(5s);
      if (fails_) throw Error(Code::invalid_argument, "it is broken");
      return std::make_unique<FakeEngine>();
    };
    ServedModel other;
    other.names = {"other"};
    other.load = [](const MemoryShare&, const Engine::Progress&) {
      return std::make_unique<FakeEngine>();
    };
    std::vector<ServedModel> models;
    models.push_back(std::move(model));
    models.push_back(std::move(other));
    pool_.emplace(std::move(models), PoolOptions{.takes_keep_alive = true});
    ApiOptions options;
    options.stream_patience_s = stream_patience_s;
    api_.emplace(*pool_, std::move(options), workers_, loaders_);
    Router router;
    api_->add_routes(router);
    HttpOptions http;
    http.port = 0;
    http.keep_alive_interval = 20ms;
    server_.emplace(http, workers_);
    server_->start(std::move(router), {}, gate_);
  }
  std::future<TestResponse> ask(std::string body) {
    return std::async(std::launch::async,
                      [this, body = std::move(body)] { return chat(with(body)); });
  }
  static std::string with_model(const std::string& model, const std::string& members = "") {
    return R"({"model": ")" + model + R"(", "messages": [{"role": "user", "content": "hi"}])" +
           members + "}";
  }
  TestResponse post(const std::string& path, const std::string& body) {
    return send("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  std::promise<void> load_;
  std::atomic<bool> fails_ = false;
  std::optional<ModelPool> pool_;
};

TEST_F(Loading, ARequestWaitsForItsModel) {
  serve();
  auto asked = ask("");
  EXPECT_EQ(asked.wait_for(100ms), std::future_status::timeout);
  const auto models = parse_json(get("/v1/models").body, "body").at("data").as_array();
  EXPECT_EQ(models.at(0).at("status").at("value"), "loading");
  EXPECT_EQ(models.at(0).at("requests").at("waiting"), 1);
  EXPECT_FALSE(models.at(0).as_object().contains("max_model_len")) << "it is not known yet";
  load_.set_value();
  const TestResponse response = asked.get();
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.body.find("Hello world!"), std::string::npos) << response.body;
  EXPECT_EQ(parse_json(get("/v1/models/tiny").body, "body").at("max_model_len"), 512);
}

TEST_F(Loading, AStreamThatWaitsIsKeptAlive) {
  serve(0.05);
  auto asked = ask(R"(, "stream": true, "colour": "red")");
  EXPECT_EQ(asked.wait_for(200ms), std::future_status::timeout);
  load_.set_value();
  const TestResponse response = asked.get();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("x-pippin-ignored"), "colour");
  EXPECT_TRUE(response.body.starts_with(": ")) << response.body.substr(0, 60);
  EXPECT_NE(response.body.find("\"Hel\""), std::string::npos) << response.body;
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
}

TEST_F(Loading, AStreamThatIsSoonThereBeginsAsEver) {
  serve(5);
  auto asked = ask(R"(, "stream": true)");
  load_.set_value();
  const TestResponse response = asked.get();
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.body.starts_with("data: ")) << response.body.substr(0, 60);
  EXPECT_GE(events_of(response.body).size(), 5u);
}

TEST_F(Loading, ALoadThatFailsIsAStatusOrTheStreamsLastEvent) {
  serve(0.05);
  fails_ = true;
  auto whole = ask("");
  auto stream = ask(R"(, "stream": true)");
  EXPECT_EQ(stream.wait_for(200ms), std::future_status::timeout);
  load_.set_value();
  const TestResponse refused = whole.get();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(error_of(refused).at("code"), "model_unavailable");
  EXPECT_EQ(error_of(refused).at("param"), "model");
  const TestResponse streamed = stream.get();
  EXPECT_EQ(streamed.status, 200);
  EXPECT_NE(streamed.body.find("it is broken"), std::string::npos) << streamed.body;
  EXPECT_EQ(streamed.body.find("[DONE]"), std::string::npos);
}

TEST_F(Loading, ADeadlineIsKeptWhileItLoads) {
  serve(0.05);
  const TestResponse late = chat(with(R"(, "timeout": 0.1)"));
  EXPECT_EQ(late.status, 504);
  const TestResponse streamed = chat(with(R"(, "timeout": 0.2, "stream": true)"));
  EXPECT_EQ(streamed.status, 200);
  EXPECT_NE(streamed.body.find("timeout"), std::string::npos) << streamed.body;
  load_.set_value();
}

TEST_F(Loading, OthersAreNotHeldUp) {
  serve();
  auto asked = ask("");
  const TestResponse unknown = chat(with_model("third"));
  EXPECT_EQ(unknown.status, 404);
  load_.set_value();
  EXPECT_EQ(asked.get().status, 200);
  EXPECT_EQ(chat(with_model("other")).status, 200);
}

TEST_F(Loading, KeepAliveIsADuration) {
  serve();
  load_.set_value();
  const auto ask_for = [&](const std::string& keep_alive) {
    return post("/api/chat",
                with_model("tiny", R"(, "stream": false, "keep_alive": )" + keep_alive));
  };
  const auto unloads_in = [&]() -> std::optional<double> {
    const auto at = pool_->status("tiny").unloads_at;
    if (!at) return {};
    return static_cast<double>(*at - std::time(nullptr));
  };
  for (const auto& [text, seconds] :
       std::vector<std::pair<std::string, double>>{{"300", 300},
                                                   {R"("5m")", 300},
                                                   {R"("1h30m")", 5400},
                                                   {R"("90s")", 90},
                                                   {R"("120")", 120}}) {
    EXPECT_EQ(ask_for(text).status, 200) << text;
    ASSERT_TRUE(unloads_in()) << text;
    EXPECT_NEAR(*unloads_in(), seconds, 2) << text;
  }
  for (const char* text : {"-1", R"("-1m")", R"("-1")"}) {
    EXPECT_EQ(ask_for(text).status, 200) << text;
    EXPECT_FALSE(unloads_in()) << text;
    EXPECT_EQ(pool_->status("tiny").state, ModelStatus::State::loaded);
  }
  for (const char* text : {R"("soon")", R"("5 minutes")", R"("")", R"("-")", "true", R"("5mm")"})
    EXPECT_EQ(ask_for(text).status, 400) << text;
  EXPECT_EQ(ask_for("0").status, 200);
  for (int i = 0; i < 3000 && pool_->status("tiny").state != ModelStatus::State::unloaded; ++i)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(pool_->status("tiny").state, ModelStatus::State::unloaded);
}

}  // namespace
}  // namespace pippin::server
