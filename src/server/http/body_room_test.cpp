// The bodies of all requests have a limit together.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/thread_pool.h"
#include "server/http/server.h"
#include "server/http/test_client.h"

namespace pippin::server {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t mb = 1 << 20;

std::string head(const std::string& path, std::size_t size) {
  return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(size) +
         "\r\n\r\n";
}

std::string post(const std::string& path, std::size_t size) {
  return head(path, size) + std::string(size, 'x');
}

class BodyRoom : public ::testing::Test {
 protected:
  void SetUp() override {
    HttpOptions options;
    options.port = 0;
    options.max_body_bytes = mb;
    options.max_bodies_bytes = mb;
    options.body_room_timeout = milliseconds(300);
    server_.emplace(options, pool_);
    Router router;
    router.add("POST", "/size", [](auto exchange) {
      exchange->respond({200, {}, std::to_string(exchange->request().body.size())});
    });
    router.add("POST", "/hold", [this](auto exchange) { hold(std::move(exchange)); });
    router.add("POST", "/drop", [this](auto exchange) {
      exchange->drop_body();
      hold(std::move(exchange));
    });
    server_->start(std::move(router));
  }
  void TearDown() override { release(); }

  void hold(std::shared_ptr<Exchange> exchange) {
    const std::lock_guard lock(mutex_);
    held_.push_back(std::move(exchange));
  }

  void release() {
    std::deque<std::shared_ptr<Exchange>> held;
    {
      const std::lock_guard lock(mutex_);
      held.swap(held_);
    }
    for (const auto& exchange : held) exchange->respond({200, {}, "held"});
  }

  void wait_until(const std::function<bool()>& holds) {
    for (int i = 0; i < 500 && !holds(); ++i) std::this_thread::sleep_for(milliseconds(10));
    EXPECT_TRUE(holds());
  }
  std::size_t num_held() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  BodyStats stats() { return server_->bodies(); }

  TestResponse once(const std::string& request) {
    TestClient client(server_->port());
    client.send(request);
    return client.receive();
  }

  ThreadPool pool_{2};
  std::mutex mutex_;
  std::deque<std::shared_ptr<Exchange>> held_;
  std::optional<HttpServer> server_;
};

TEST_F(BodyRoom, IsSharedAndGivenBack) {
  TestClient first(server_->port());
  first.send(post("/hold", mb - 1000));
  wait_until([&] { return num_held() == 1; });
  EXPECT_GT(stats().bytes, static_cast<std::int64_t>(mb - 100'000));
  EXPECT_EQ(stats().limit, static_cast<std::int64_t>(mb));

  const TestResponse refused = once(post("/size", mb / 2));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  EXPECT_EQ(stats().refused, 1);
  for (const std::size_t size : {10u, 60'000u})  // short requests always get in
    EXPECT_EQ(once(post("/size", size)).body, std::to_string(size));

  release();
  EXPECT_EQ(first.receive().body, "held");
  EXPECT_EQ(once(post("/size", mb / 2)).body, std::to_string(mb / 2));
  wait_until([&] { return stats().bytes == 0; });
}

TEST_F(BodyRoom, IsWaitedFor) {
  TestClient first(server_->port()), second(server_->port());
  first.send(post("/hold", mb - 1000));
  wait_until([&] { return num_held() == 1; });
  std::thread sender([&] { second.send(post("/size", mb / 2)); });
  std::this_thread::sleep_for(milliseconds(100));
  release();
  sender.join();
  EXPECT_EQ(second.receive().body, std::to_string(mb / 2));
  EXPECT_EQ(stats().refused, 0);
}

TEST_F(BodyRoom, ReturnsOnceABodyIsRead) {
  TestClient first(server_->port());
  first.send(post("/drop", mb - 1000));
  wait_until([&] { return num_held() == 1; });
  EXPECT_EQ(stats().bytes, 0);
  EXPECT_EQ(once(post("/size", mb / 2)).status, 200);
}

TEST_F(BodyRoom, IsTakenByWhatHasCome) {
  std::deque<TestClient> idle;
  for (int i = 0; i < 20; ++i) {
    idle.emplace_back(server_->port());
    idle.back().send(head("/size", mb) + std::string(100, 'x'));
  }
  EXPECT_EQ(once(post("/size", mb)).status, 200);
  TestClient gone(server_->port());
  gone.send(head("/size", mb) + std::string(mb / 2, 'x'));
  wait_until([&] { return stats().bytes > 0; });
  gone.close();
  wait_until([&] { return stats().bytes == 0; });
}

}  // namespace
}  // namespace pippin::server
