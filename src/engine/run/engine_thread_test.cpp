// Several engines on the one thread that calls MLX.
#include "engine/run/engine_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/memory.h"
#include "base/sanitized.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;
using std::chrono::milliseconds;

Config on_cpu() { return {.how = How::cpu_int8}; }

// ---- engines side by side

TEST(EngineThread, EnginesOfAProcessShareIt) {
  std::thread::id first, second;
  const auto note = [](std::thread::id& id) {
    return [&id](const StepRecord&) { id = std::this_thread::get_id(); };
  };
  Config one = on_cpu(), two = {.how = How::mlx};
  one.on_step = note(first);
  two.on_step = note(second);
  const auto a = make_loop(one), b = make_loop(two);
  answer(*a, make_sequence(20, 1));
  answer(*b, make_sequence(20, 1));
  idle_stats(*a);
  idle_stats(*b);
  EXPECT_EQ(first, second);
  EXPECT_NE(first, std::thread::id());
  EXPECT_NE(first, std::this_thread::get_id());
}

TEST(EngineThread, AnswersAreThoseOfAnEngineAlone) {
  const Config configs[] = {on_cpu(), {.how = How::mlx}, {.how = How::cpu_kv8}};
  std::vector<std::vector<std::vector<std::int32_t>>> expected;
  for (const auto& config : configs) {
    const auto loop = make_loop(config);
    for (unsigned i = 0; i < 4; ++i)
      expected.emplace_back().push_back(answer(*loop, make_sequence(20 + static_cast<int>(i), i)));
  }
  std::vector<std::unique_ptr<Loop>> loops;
  for (const auto& config : configs) loops.push_back(make_loop(config));
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (const auto& loop : loops)
    for (unsigned i = 0; i < 4; ++i) {
      sequences.push_back(make_sequence(20 + static_cast<int>(i), i));
      loop->submit(sequences.back());
    }
  for (std::size_t i = 0; i < sequences.size(); ++i)
    EXPECT_EQ(read_all(*sequences[i]), expected[i].front()) << i;
}

TEST(EngineThread, AnEngineThatFailsOrGoesLeavesOthersAlone) {
  const auto expected = answer(*make_loop(on_cpu()), make_sequence(20, 1));
  const auto sound = make_loop(on_cpu());
  auto failing = make_loop({.before_step = [] { throw std::bad_alloc(); }});
  const auto first = make_sequence(20, 1);
  sound->submit(first);
  EXPECT_THROW(answer(*failing, make_sequence(20, 1)), Error);
  failing.reset();
  EXPECT_EQ(read_all(*first), expected);
  EXPECT_EQ(answer(*sound, make_sequence(20, 1)), expected);
}

// By a bug: its neighbour does not.
TEST(EngineThread, AnEngineThatGivesUpLeavesOthersAlone) {
  const auto sound = make_loop(on_cpu());
  const auto failing =
      make_loop({.on_step = [](const StepRecord&) { throw std::logic_error("a bug"); }});
  EXPECT_THROW(answer(*failing, make_sequence(20, 1)), Error);
  EXPECT_EQ(answer(*sound, make_sequence(20, 1)).size(), 12u);
  EXPECT_FALSE(failing->stats().healthy);
  EXPECT_TRUE(sound->stats().healthy);
}

// ---- loads

TEST(EngineThread, ALoadsErrorComesBackAndTheThreadGoesOn) {
  EngineThread thread;
  EXPECT_THROW(thread.call([] { throw std::runtime_error("no such model"); }), std::runtime_error);
  bool ran = false;
  thread.call([&] { ran = true; });
  EXPECT_TRUE(ran);
}

class Counting final : public EngineThread::Tenant {
 public:
  bool turn() override {
    ++turns;
    return busy;
  }
  std::optional<EngineThread::Clock::time_point> rests_until() const override { return until; }

  std::atomic<int> turns = 0;
  std::atomic<bool> busy = true;
  std::optional<EngineThread::Clock::time_point> until;
};

// As parts of 5 ms: a turn after each fifth.
TEST(EngineThread, ALoadGivesTurnsBetweenItsParts) {
  EngineThread thread;
  Counting tenant;
  thread.call([&] { thread.add(tenant); });
  int before = 0, after = 0;
  thread.call([&] {
    before = tenant.turns;
    for (int part = 0; part < 30; ++part) {
      std::this_thread::sleep_for(milliseconds(5));
      thread.let_others_work();
    }
    after = tenant.turns;
  });
  thread.remove(tenant);
  EXPECT_GE(after - before, 4);
  EXPECT_LE(after - before, 6) << "a load gets on, too";
}

TEST(EngineThread, RestsUntilItIsWokenOrTheTimeHasCome) {
  EngineThread thread;
  Counting tenant;
  tenant.busy = false;
  thread.call([&] { thread.add(tenant); });
  std::this_thread::sleep_for(milliseconds(50));
  const int resting = tenant.turns;
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(tenant.turns, resting);
  thread.call([&] { tenant.until = EngineThread::Clock::now() + milliseconds(100); });
  const int before = tenant.turns;
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_GT(tenant.turns, before) << "its time has come";
  thread.remove(tenant);
}

// Tokens of A arrive while B loads again and again, each time in parts that take up to 30 ms: no gap is longer than some parts, where a
// whole load takes longer than that.
TEST(EngineThread, StreamsGoOnWhileAnotherModelLoads) {
  const auto thread = EngineThread::of_process();
  const auto a = make_loop(on_cpu());
  const auto sequence = make_sequence(20, 1);
  sequence->max_tokens = 400;
  sequence->end_tokens.clear();
  std::atomic<bool> loading = true;
  std::thread loader([&] {
    thread->call([&] {
      for (int part = 0; part < 30; ++part) {
        std::this_thread::sleep_for(milliseconds(30));
        thread->let_others_work();
      }
    });
    loading = false;
  });
  a->submit(sequence);
  auto last = std::chrono::steady_clock::now();
  std::chrono::duration<double, std::milli> longest{0};
  int during = 0;
  while (const auto event = sequence->output->next()) {
    const auto now = std::chrono::steady_clock::now();
    longest = std::max<std::chrono::duration<double, std::milli>>(longest, now - last);
    last = now;
    if (loading) ++during;
    if (event->finish) break;
  }
  loader.join();
  EXPECT_GE(during, 20) << "of 30 parts";
  EXPECT_LT(longest.count(), 500);
}

// ---- loaded and unloaded

TEST(EngineThread, ManyLoadsLeaveNothingBehind) {
  const auto stays = make_loop(on_cpu());  // the thread, too
  const auto once = [] {
    const auto loop = make_loop(on_cpu());
    EXPECT_EQ(answer(*loop, make_sequence(20, 1)).size(), 12u);
    const auto stats = idle_stats(*loop);
    EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
  };
  const int times = sanitized ? 5 : 50;
  for (int i = 0; i < 2 * times / 5; ++i) once();
  trim_heap();
  const auto before = resident_bytes();
  for (int i = 0; i < times; ++i) once();
  trim_heap();
  if (sanitized) return;  // which keeps freed memory
  EXPECT_LT(resident_bytes() - before, 4 << 20);
}

}  // namespace
}  // namespace pippin::engine
