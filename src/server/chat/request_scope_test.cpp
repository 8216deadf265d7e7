// A request ends once and is told so, though no memory is left to say it.
#include "server/chat/request_scope.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "base/failing_memory_testing.h"

namespace pippin::server {
namespace {

// Notes what it was answered; takes memory for that before anything has changed, as a real one does.
class NotedExchange final : public Exchange {
 public:
  const HttpRequest& request() const override { return request_; }
  void drop_body() override {}
  const Caller& caller() const override { return caller_; }
  RequestRecord& record() override { return record_; }
  void respond(HttpResponse response) override {
    const auto held = std::make_unique<HttpResponse>(std::move(response));
    status_ = held->status;
    ++answers_;
  }
  void start_stream(Headers) override {}
  void keep_alive_with(std::string) override {}
  void write(std::string, std::function<void()>) override {}
  void finish() override {}
  void on_disconnect(std::function<void()> gone) override { gone_ = std::move(gone); }
  bool disconnected() const override { return false; }
  bool started() const override { return answers_ > 0; }

  HttpRequest request_;
  Caller caller_;
  RequestRecord record_;
  std::function<void()> gone_;
  std::atomic<int> status_ = 0, answers_ = 0;
};

struct Scoped {
  explicit Scoped(double timeout_s = 0) {
    exchange->request_.id = "req_0000000000000000, longer than a string holds in itself";
    scope = RequestScope::begin(exchange, timer, timeout_s);
    scope->on_end([this] { ++ended; });
  }

  Timer timer;
  std::shared_ptr<NotedExchange> exchange = std::make_shared<NotedExchange>();
  std::shared_ptr<RequestScope> scope;
  std::atomic<int> ended = 0;
};

TEST(RequestScope, AnErrorIsToldThoughMemoryIsMissing) {
  for (const bool is_bug : {false, true}) {
    const auto count = for_each_allocation([&](std::int64_t number) {
      Scoped one;
      const std::logic_error bug("something that nobody thought of, said in some words");
      bool failed = false;
      {
        const FailingMemory memory(number, FailingMemory::Of::this_thread, 3);
        EXPECT_NO_THROW(one.scope->run([&] {
          if (is_bug) throw bug;
          throw std::bad_alloc();
        }));
        failed = memory.has_failed();
      }
      EXPECT_EQ(one.exchange->answers_, 1);
      EXPECT_TRUE(failed || one.exchange->status_ == (is_bug ? 500 : 503)) << one.exchange->status_;
      EXPECT_EQ(one.ended, 1);
      EXPECT_FALSE(one.scope->wanted());
      return failed;
    });
    EXPECT_GT(count, 5);
  }
}

TEST(RequestScope, ADeadlineIsToldThoughMemoryIsMissing) {
  const auto count = for_each_allocation([](std::int64_t number) {
    Scoped one(0.02);
    const FailingMemory memory(number, FailingMemory::Of::other_threads, 2);
    for (int i = 0; i < 5000 && one.ended == 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(one.exchange->status_, 504);
    EXPECT_EQ(one.exchange->answers_, 1);
    EXPECT_EQ(one.ended, 1);
    return memory.has_failed();
  });
  EXPECT_GT(count, 5);
}

TEST(RequestScope, WhoIsToldMayFail) {
  Scoped one;
  one.scope->on_end([] { throw std::bad_alloc(); });
  EXPECT_NO_THROW(one.scope->fail({Code::unavailable, "it ends"}));
  EXPECT_EQ(one.exchange->status_, 503);
  Scoped other;
  other.scope->on_end([] { throw std::bad_alloc(); });
  EXPECT_NO_THROW(other.exchange->gone_());
}

}  // namespace
}  // namespace pippin::server
