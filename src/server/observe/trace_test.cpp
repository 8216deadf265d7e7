#include "server/observe/trace.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <utility>

#include "base/failing_memory_testing.h"
#include "base/json.h"
#include "pippin/error.h"

namespace pippin::server {
namespace {

using std::chrono::microseconds;
using Time = StepRecord::Time;

class TraceTest : public ::testing::Test {
 protected:
  ~TraceTest() override { std::filesystem::remove(file_); }

  json::array events() {
    std::ifstream in(file_);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return parse_json(text, "trace").as_array();
  }

  StepRecord step(int begin) const {
    const auto at = [&](int us) { return base_ + microseconds(begin + us); };
    StepRecord record;
    record.number = begin;
    record.decode_rows = 3;
    record.prefill_rows = 40;
    record.pictures = 1;
    record.begun = at(0);
    record.planned = at(10);
    record.encoded = at(110);
    record.laid_out = at(120);
    record.computed = at(420);
    record.ended = at(450);
    return record;
  }

  RequestRecord request(int begin, const std::string& id) const {
    const auto at = [&](int us) { return base_ + microseconds(begin + us); };
    RequestRecord record;
    record.id = id;
    record.status = 200;
    record.begun = at(0);
    record.times = {at(5), at(40), at(300), at(600)};
    record.ended = at(650);
    record.finish = FinishReason::stop;
    return record;
  }

  const Time base_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  const std::filesystem::path file_ =
      std::filesystem::temp_directory_path() /
      ("pippin_trace_" +
       std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
};

struct Span {
  double begin, end;
};

bool inside(const Span& inner, const Span& outer) {
  return inner.begin >= outer.begin - 1e-3 && inner.end <= outer.end + 1e-3;
}

TEST_F(TraceTest, StagesLieInsideTheirSteps) {
  {
    TraceWriter trace(file_);
    for (int i = 0; i < 100; ++i) trace.add(step(1000 * i));
  }
  std::optional<Span> outer;
  int steps = 0, stages = 0;
  for (const auto& event : events()) {
    if (event.at("ph") != "X") continue;
    const double begin = event.at("ts").to_number<double>();
    const Span span{begin, begin + event.at("dur").to_number<double>()};
    if (event.at("name") == "step") {
      EXPECT_EQ(event.at("args").at("decode_rows"), 3);
      EXPECT_EQ(event.at("args").at("prefill_rows"), 40);
      outer = span;
      ++steps;
    } else {
      ASSERT_TRUE(outer);
      EXPECT_TRUE(inside(span, *outer)) << event;
      ++stages;
    }
  }
  EXPECT_EQ(steps, 100);
  EXPECT_EQ(stages, 500);
}

const std::string long_id = "a request whose id is longer than a string holds in itself";

// Of the engine's thread, which may come to no harm.
TEST_F(TraceTest, WhatThereIsNoMemoryForIsLeftOut) {
  const auto count = for_each_allocation([&](std::int64_t number) {
    TraceWriter trace(file_);
    const auto known = request(0, long_id);
    const FailingMemory memory(number);
    for (int i = 0; i < 2000; ++i) trace.add(step(i));  // more than it has room for ahead
    trace.add(known);
    return memory.has_failed();
  });
  EXPECT_GE(count, 3);
  EXPECT_GT(events().size(), 2000u);
}

TEST_F(TraceTest, WithoutMemoryItsWriterGoesOnToTheEnd) {
  const auto count = for_each_allocation([&](std::int64_t number) {
    TraceWriter trace(file_);
    trace.add(step(0));
    trace.add(request(0, long_id));
    const FailingMemory memory(number, FailingMemory::Of::other_threads);
    trace.close();
    EXPECT_GE(events().size(), 3u) << "it ends as a trace has to";
    return memory.has_failed();
  });
  EXPECT_GT(count, 5);
}

// Each begins while the one before it is computed.
TEST_F(TraceTest, StepsThatOverlapTakeTurnsOnTwoTracks) {
  {
    TraceWriter trace(file_);
    for (int i = 0; i < 100; ++i) {
      auto overlapping = step(300 * i);
      overlapping.ahead = i % 10 != 0;
      trace.add(overlapping);
    }
  }
  std::map<std::int64_t, double> end;
  std::int64_t track = 0;
  int steps = 0;
  for (const auto& event : events()) {
    if (event.at("ph") != "X" || event.at("name") != "step") continue;
    const double begin = event.at("ts").to_number<double>();
    const auto before = std::exchange(track, event.at("tid").to_number<std::int64_t>());
    const bool ahead = event.at("args").at("ahead").as_bool();
    EXPECT_EQ(ahead, steps++ % 10 != 0);
    if (ahead) {
      EXPECT_NE(track, before);
      EXPECT_GE(begin, end[track]);
    } else {
      EXPECT_EQ(track, 1);
    }
    end[track] = begin + event.at("dur").to_number<double>();
  }
  EXPECT_EQ(steps, 100);
}

TEST_F(TraceTest, RequestsSpansNest) {
  RequestRecord early = request(100, "left \"early\"\n");
  early.times.first_token = early.times.last_token = {};  // left while its prompt was read
  early.finish.reset();
  {
    TraceWriter trace(file_);
    trace.add(request(0, "a"));
    trace.add(early);
  }
  std::map<std::int64_t, std::vector<std::string>> open;
  std::map<std::int64_t, double> last;
  std::map<std::string, int> seen;
  for (const auto& event : events()) {
    if (event.at("ph") != "b" && event.at("ph") != "e") continue;
    const auto id = event.at("id").as_int64();
    const std::string name(event.at("name").as_string());
    const double ts = event.at("ts").to_number<double>();
    EXPECT_GE(ts, last[id]) << event;
    if (event.at("ph") == "b") {
      open[id].push_back(name);
      ++seen[name];
    } else {
      ASSERT_FALSE(open[id].empty());
      EXPECT_EQ(open[id].back(), name);
      open[id].pop_back();
    }
    last[id] = name == "request" && event.at("ph") == "e" ? 1e300 : ts;
  }
  for (const auto& [id, names] : open) EXPECT_TRUE(names.empty()) << id;
  EXPECT_EQ(seen,
            (std::map<std::string, int>{
                {"request", 2}, {"prepare", 2}, {"queued", 2}, {"prefill", 2}, {"decode", 1}}));
}

TEST_F(TraceTest, IsValidAtItsLimit) {
  {
    TraceWriter trace(file_, {.max_bytes = 4000});
    for (int i = 0; i < 100; ++i) trace.add(step(1000 * i));
  }
  EXPECT_LE(std::filesystem::file_size(file_), 4010u);
  EXPECT_EQ(events().front().at("ph"), "M");
}

TEST_F(TraceTest, LeavesOutWhatComesTooFast) {
  {
    TraceWriter trace(file_, {.max_waiting = 10});
    for (int i = 0; i < 10000; ++i) trace.add(step(1000 * i));
  }
  EXPECT_LT(events().size(), 70'000u);
}

TEST_F(TraceTest, SaysWhereItCannotWrite) {
  EXPECT_THROW(TraceWriter("/no/such/folder/trace.json"), Error);
}

}  // namespace
}  // namespace pippin::server
