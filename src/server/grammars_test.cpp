// Requests whose grammars are compiled: none of the server's threads waits for them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/api_testing.h"
#include "server/observe/metrics.h"

namespace pippin::server {
namespace {

using namespace testing;

constexpr int many = 40;

class GrammarsTest : public ApiTest {
 protected:
  GrammarsTest() {
    engine_.holds_grammars_ = true;
    start();
  }

  std::size_t held() {
    std::lock_guard lock(engine_.mutex_);
    return engine_.held_.size();
  }
  void wait_for_held(std::size_t count) {
    for (int i = 0; i < 500 && held() < count; ++i) std::this_thread::sleep_for(milliseconds(10));
    ASSERT_EQ(held(), count);
  }
  void compile_all() {
    std::vector<Engine::Ready> ready;
    {
      std::lock_guard lock(engine_.mutex_);
      ready.swap(engine_.held_);
    }
    for (auto& one : ready) one(nullptr);
  }
  static std::string restricted() { return with(R"(, "guided_regex": "a+")"); }
};

TEST_F(GrammarsTest, OthersAreAnsweredMeanwhile) {
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < many; ++i) {
    clients.push_back(std::make_unique<TestClient>(server_->port()));
    clients.back()->send(chat_request(restricted()));
  }
  wait_for_held(many);
  EXPECT_EQ(chat(with("")).status, 200);  // with two threads for texts
  compile_all();
  for (auto& client : clients) EXPECT_EQ(client->receive().status, 200);
}

TEST_F(GrammarsTest, AreCompiledInTheirClientsTurn) {
  TestClient client(server_->port()), other(server_->port());
  client.send(chat_request(restricted()));
  const std::string body = R"({"prompt": ["a", "b"], "guided_regex": "a+", "max_tokens": 4})";
  other.send("POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: " +
             std::to_string(body.size()) + "\r\n\r\n" + body);
  wait_for_held(2);
  ASSERT_EQ(engine_.prepared_.size(), 2u);
  EXPECT_EQ(engine_.prepared_[0].owner, "127.0.0.1");
  EXPECT_EQ(engine_.prepared_[1].owner, "127.0.0.1");
  EXPECT_NE(engine_.prepared_[0].connection, engine_.prepared_[1].connection);
  compile_all();
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(other.receive().status, 200);
}

TEST_F(GrammarsTest, MayComeWhenTheServiceIsGone) {
  TestClient client(server_->port());
  client.send(chat_request(restricted()));
  wait_for_held(1);
  server_.reset();
  api_.reset();
  compile_all();
}

// The value of a metric of the model's, or of one of its parts.
double metric(const std::string& metrics, const std::string& name, const std::string& label = "") {
  const std::string series = "\npippin:" + name + R"({model_name="tiny")" + label + "} ";
  const auto at = metrics.find(series);
  EXPECT_NE(at, std::string::npos) << series;
  return at == std::string::npos ? -1 : std::stod(metrics.substr(at + series.size()));
}

class GrammarReportTest : public ApiTest {
 protected:
  GrammarReportTest() {
    ApiOptions options;
    options.metrics = &metrics_;
    start(options);
  }
  ~GrammarReportTest() override {
    server_.reset();
    api_.reset();
  }

  Metrics metrics_{"tiny"};
};

TEST_F(GrammarReportTest, MetricsAndTheCachesReportHaveThem) {
  const std::string text = get("/metrics").body;
  EXPECT_EQ(metric(text, "grammar_bytes"), 11000);
  EXPECT_EQ(metric(text, "grammars_waiting"), 6);
  EXPECT_EQ(metric(text, "grammars_compiled_total"), 31);
  EXPECT_EQ(metric(text, "grammars_refused_total"), 5);
  EXPECT_EQ(metric(text, "grammars_busy_total"), 7);
  const auto report = parse_json(get("/v1/cache").body, "body").at("grammars");
  EXPECT_EQ(report, (json::value{{"kept", 4},
                                 {"bytes", 11000},
                                 {"limit_bytes", 90000},
                                 {"waiting", 6},
                                 {"compiled", 31},
                                 {"refused", 5},
                                 {"busy", 7}}));
}

TEST_F(GrammarReportTest, TheMemoryBudgetIsTheSumOfItsParts) {
  const std::string text = get("/metrics").body;
  const auto part = [&](const char* name) {
    return metric(text, "memory_budget_bytes", std::string(",part=\"") + name + "\"");
  };
  EXPECT_EQ(part("grammars"), 90000);
  double sum = 0;
  for (const char* name :
       {"weights", "activations", "grammars", "media", "decoded", "pages", "states", "unused"})
    sum += part(name);
  EXPECT_EQ(sum, static_cast<double>(engine_.stats().memory.budget));
}

}  // namespace
}  // namespace pippin::server
