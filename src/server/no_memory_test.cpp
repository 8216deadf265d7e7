// Each allocation that the server makes for a request fails once: the request gets its answer or 503, and nothing else changes. This
// program's operator new does it.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <thread>

#include "base/log.h"
#include "server/api_testing.h"

namespace {

// Allocations until one fails; negative: none does.
std::atomic<std::int64_t> allocations_left{-1};
// The test's own thread, the client.
thread_local bool is_client = false;

bool fails_now() {
  return !is_client && allocations_left.load(std::memory_order_relaxed) >= 0 &&
         allocations_left.fetch_sub(1) == 0;
}

}  // namespace

// Not inlined: GCC would take malloc for another operator's memory.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* memory = fails_now() ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace pippin::server {
namespace {

using namespace testing;

constexpr std::int64_t never = -1, plenty = 1'000'000'000;

const std::string bmp_url =
    "data:image/bmp;base64,Qk0+AAAAAAAAADYAAAAoAAAAAgAAAAEAAAABABgAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAD//wAAAAA=";

class NoMemory : public ApiTest {
 protected:
  NoMemory() {
    init_default_log();  // as a server does at its start
    is_client = true;
    gate_ = [this](const HttpRequest&) {
      Admission admission;
      admission.held = slot_;
      return admission;
    };
    start();
  }
  ~NoMemory() override {
    allocations_left = never;
    is_client = false;
  }

  static std::string post(const std::string& path, const std::string& body) {
    return "POST " + path +
           " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
  }

  TestResponse send_failing(const std::string& request, std::int64_t allocation) {
    TestClient client(server_->port());
    allocations_left = allocation;
    client.send(request);
    TestResponse response = client.receive();
    allocations_left = never;
    return response;
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
    allocations_left = plenty;
    send(request);
    const std::int64_t count = plenty - allocations_left.exchange(never);
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

}  // namespace
}  // namespace pippin::server
