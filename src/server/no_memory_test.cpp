// Each allocation that the server makes for a request fails once: the request gets its answer or 503, and nothing else changes.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "base/failing_memory_testing.h"
#include "base/log.h"
#include "server/api_testing.h"

namespace pippin::server {
namespace {

using namespace testing;

constexpr std::int64_t plenty = 1'000'000'000;

const std::string bmp_url =
    "data:image/bmp;base64,Qk0+AAAAAAAAADYAAAAoAAAAAgAAAAEAAAABABgAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAD//wAAAAA=";

class NoMemory : public ApiTest {
 protected:
  NoMemory() {
    init_default_log();  // as a server does at its start
    gate_ = [this](const HttpRequest&) {
      Admission admission;
      admission.held = slot_;
      return admission;
    };
    start();
  }
  static std::string post(const std::string& path, const std::string& body) {
    return "POST " + path +
           " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
  }

  TestResponse send_failing(const std::string& request, std::int64_t allocation,
                            std::int64_t in_a_row = 1) {
    TestClient client(server_->port());
    const FailingMemory memory(allocation, FailingMemory::Of::other_threads, in_a_row);
    client.send(request);
    return client.receive();
  }

  std::int64_t num_allocations(const std::string& request) {
    const FailingMemory memory(plenty, FailingMemory::Of::other_threads);
    send(request);
    return memory.num_seen();
  }

  // Exchanges are let go of soon after their answer.
  void expect_no_slot_held() {
    for (int i = 0; i < 500 && slot_.use_count() > 1; ++i)
      std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(slot_.use_count(), 1) << "requests still hold their slots";
  }

  // `whole` is in every answer that is one; `failed` in a stream that ends with an error.
  void expect_one_fails(const std::string& request, const std::string& whole,
                        const std::string& failed) {
    const TestResponse plain =
        send_failing(request, plenty);  // warms what is kept for later requests
    ASSERT_EQ(plain.status, 200) << plain.body;
    ASSERT_NE(plain.body.find(whole), std::string::npos) << plain.body;
    const std::int64_t count = num_allocations(request);
    ASSERT_GT(count, 50);
    int refused = 0, closed = 0;
    for (std::int64_t i = 0; i < count; i += 1 + count / 250) {
      const TestResponse response = send_failing(request, i);
      if (response.status == 503 || response.status == 0) {
        ++(response.status == 503 ? refused : closed);
        continue;
      }
      EXPECT_EQ(response.status, 200) << "allocation " << i << ": " << response.body;
      const bool says = response.body.find(whole) != std::string::npos ||
                        (!failed.empty() && response.body.find(failed) != std::string::npos) ||
                        (!failed.empty() && !response.complete);  // a stream that is cut off
      EXPECT_TRUE(says) << "allocation " << i << ": " << response.body;
    }
    EXPECT_GT(refused, 10) << "of " << count << " allocations";
    EXPECT_LE(closed, 12) << "more than it takes to accept a connection";
    EXPECT_EQ(send(request).status, 200);
    expect_no_slot_held();
  }

  std::shared_ptr<void> slot_ = std::make_shared<int>();
};

TEST_F(NoMemory, IsItsOwnRequestsErrorInAChat) {
  expect_one_fails(post("/v1/chat/completions", with("")), "Hello world!", "");
}

TEST_F(NoMemory, IsItsOwnRequestsErrorInAStream) {
  expect_one_fails(post("/v1/chat/completions", with(R"(, "stream": true)")), "[DONE]",
                   "\"error\"");
}

TEST_F(NoMemory, IsItsOwnRequestsErrorWithAPictureForAnthropic) {
  const std::string data = bmp_url.substr(bmp_url.find(',') + 1);
  expect_one_fails(
      post(
          "/v1/messages",
          R"({"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image",
              "source": {"type": "base64", "media_type": "image/bmp", "data": ")" +
              data + R"("}}]}]})"),
      "Hello world!", "");
}

TEST_F(NoMemory, IsItsOwnRequestsErrorInAStoredResponse) {
  expect_one_fails(
      post("/v1/responses", R"({"input": "hi", "tools": [{"type": "function", "name": "f",
      "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}]})"),
      "Hello world!", "");
}

TEST_F(NoMemory, IsItsOwnRequestsErrorInACompletion) {
  expect_one_fails(post("/v1/completions", R"({"prompt": ["a", "b"], "max_tokens": 4})"),
                   "Hello world!", "");
}

// So that the error itself can't be told at first.
TEST_F(NoMemory, EndsEachRequestWhereItsErrorNeedsSomeToo) {
  for (const std::string& body : {with(""), with(R"(, "stream": true)")}) {
    const std::string request = post("/v1/chat/completions", body);
    send(request);
    const std::int64_t count = num_allocations(request);
    int refused = 0;
    for (std::int64_t i = 0; i < count; i += 1 + count / 80) {
      const TestResponse response = send_failing(request, i, 4);
      refused += response.status == 503;
      EXPECT_TRUE(response.status == 200 || response.status == 503 || response.status == 0)
          << "allocation " << i << ": " << response.status << " " << response.body;
    }
    EXPECT_GT(refused, 0) << "of " << count;
    expect_no_slot_held();
    EXPECT_EQ(send(request).status, 200);
  }
}

// A connection that has to go goes, though the server hears of it when memory is missing.
TEST(NoMemoryForConnections, KeepsNoneThatHasToGo) {
  init_default_log();
  ThreadPool workers(2);
  HttpOptions options;
  options.port = 0;
  options.max_headers_per_address = 2;
  Router router;
  router.add("GET", "/hello", [](auto exchange) { exchange->respond(json_response(200, "{}")); });
  HttpServer server(options, workers);
  server.start(std::move(router), {});
  const std::string hello = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";
  const auto count = for_each_allocation([&](std::int64_t number) {
    TestClient oldest(server.port()), older(server.port());
    bool failed = false;
    {
      TestClient newest(server.port());
      const FailingMemory memory(number, FailingMemory::Of::other_threads);
      newest.send(hello);
      newest.receive();
      failed = memory.has_failed();
    }
    // Of three that wait one goes.
    TestClient next(server.port()), last(server.port());
    EXPECT_TRUE(oldest.closed());
    last.send(hello);
    EXPECT_EQ(last.receive().status, 200);
    return failed;
  });
  EXPECT_GT(count, 10);
}

}  // namespace
}  // namespace pippin::server
