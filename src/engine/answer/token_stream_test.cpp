#include "engine/answer/token_stream.h"

#include <gtest/gtest.h>

#include <thread>

namespace pippin::engine {
namespace {

TEST(TokenStream, GivesTokensInOrderThenTheEnd) {
  TokenStream stream;
  EXPECT_FALSE(stream.poll());
  stream.push(3);
  stream.push(4);
  stream.finish(FinishReason::length);
  EXPECT_EQ(stream.next()->token, 3);
  EXPECT_EQ(stream.poll()->token, 4);
  EXPECT_EQ(stream.next()->finish, FinishReason::length);
  EXPECT_FALSE(stream.poll());
  EXPECT_FALSE(stream.next());  // does not wait past the end
}

TEST(TokenStream, IsHeldUntilItsReaderHasCaughtUp) {
  TokenStream stream;
  stream.stall_at(4);
  int wakes = 0;
  stream.on_wake([&] { ++wakes; });
  for (int i = 0; i < 3; ++i) stream.push(i);
  EXPECT_FALSE(stream.stalled());
  stream.push(3);
  EXPECT_TRUE(stream.stalled());
  stream.poll();
  EXPECT_TRUE(stream.stalled());
  EXPECT_EQ(wakes, 0);
  stream.next();
  EXPECT_FALSE(stream.stalled());
  EXPECT_EQ(wakes, 1);
  stream.poll();
  EXPECT_EQ(wakes, 1);
}

TEST(TokenStream, IsNeverHeldWithoutAMark) {
  TokenStream stream;
  for (int i = 0; i < 10000; ++i) stream.push(i);
  EXPECT_FALSE(stream.stalled());
}

TEST(TokenStream, AnErrorComesAfterWhatWasPushed) {
  TokenStream stream;
  stream.push(3);
  stream.fail(Error(Code::unavailable, "broken"));
  EXPECT_EQ(stream.next()->token, 3);
  EXPECT_THROW(stream.next(), Error);
  EXPECT_FALSE(stream.next());
}

TEST(TokenStream, CallsTheReaderOnceWhenSomethingIsThere) {
  TokenStream stream;
  int calls = 0;
  stream.when_ready([&] { ++calls; });
  EXPECT_EQ(calls, 0);
  stream.push(1);
  stream.push(2);
  EXPECT_EQ(calls, 1);
  stream.when_ready([&] { ++calls; });  // at once: two tokens are waiting
  EXPECT_EQ(calls, 2);
}

TEST(TokenStream, CancelWakesTheEngine) {
  TokenStream stream;
  int wakes = 0;
  stream.on_wake([&] { ++wakes; });
  EXPECT_FALSE(stream.cancelled());
  stream.cancel();
  EXPECT_TRUE(stream.cancelled());
  EXPECT_EQ(wakes, 1);
}

TEST(TokenStream, CrossesThreads) {
  TokenStream stream;
  std::thread writer([&] {
    for (int i = 0; i < 10000; ++i) stream.push(i);
    stream.finish(FinishReason::stop);
  });
  int expected = 0;
  while (const auto event = stream.next()) {
    if (event->finish) break;
    ASSERT_EQ(event->token, expected++);
  }
  writer.join();
  EXPECT_EQ(expected, 10000);
}

}  // namespace
}  // namespace pippin::engine
