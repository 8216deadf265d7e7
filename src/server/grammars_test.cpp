// Requests whose grammars are compiled: none of the server's threads waits for them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/api_testing.h"

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

}  // namespace
}  // namespace pippin::server
