// Which models are loaded, when, and which go for them: with engines that are none.
#include "server/models/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/api_testing.h"

namespace pippin::server {
namespace {

using namespace std::chrono_literals;
using testing::FakeEngine;

constexpr std::int64_t mb = std::int64_t{1} << 20;

// Takes what it is told to, and counts those that are there.
class CountedEngine final : public FakeEngine {
 public:
  CountedEngine(std::atomic<int>& alive, std::int64_t bytes) : alive_(alive), bytes_(bytes) {
    ++alive_;
  }
  ~CountedEngine() override { --alive_; }
  EngineStats stats() const override {
    EngineStats stats;
    stats.memory.weights = bytes_;
    return stats;
  }

 private:
  std::atomic<int>& alive_;
  const std::int64_t bytes_;
};

class Pool : public ::testing::Test {
 protected:
  ServedModel model(const std::string& name, std::int64_t weight_bytes = 100 * mb) {
    ServedModel model;
    model.names = {name};
    model.aliases = {"path/of/" + name};
    model.weight_bytes = weight_bytes;
    model.load = [this, name, weight_bytes](const MemoryShare& share,
                                            const Engine::Progress& tell) {
      shares_[name] = share;
      ++loads_[name];
      for (int i = 0; i < parts_; ++i) {
        std::this_thread::sleep_for(1ms);
        tell(i / 100.0);
      }
      if (fails_) throw Error(Code::invalid_argument, "no config.json");
      if (share.budget < needs_) throw Error(Code::invalid_argument, "too little", "memory_bytes");
      return std::make_unique<CountedEngine>(alive_, takes_all_ ? share.budget : weight_bytes);
    };
    return model;
  }

  void start(std::vector<ServedModel> models, PoolOptions options = {}) {
    pool_.emplace(std::move(models), options);
  }

  struct Outcome {
    ModelUsePtr use;
    std::optional<Error> error;
  };
  std::future<Outcome> ask(const std::string& name, std::function<bool()> wanted = {}) {
    auto told = std::make_shared<std::promise<Outcome>>();
    auto outcome = told->get_future();
    pool_->use(
        name, std::move(wanted), [told](ModelUsePtr use) { told->set_value({std::move(use), {}}); },
        [told](const Error& error) { told->set_value({nullptr, error}); });
    return outcome;
  }
  ModelUsePtr use(const std::string& name) {
    auto outcome = ask(name);
    EXPECT_EQ(outcome.wait_for(5s), std::future_status::ready) << name;
    return outcome.get().use;
  }
  bool is_loaded(const std::string& name) {
    return pool_->status(name).state == ModelStatus::State::loaded;
  }
  bool comes(const std::function<bool()>& what) {
    for (int i = 0; i < 3000 && !what(); ++i) std::this_thread::sleep_for(1ms);
    return what();
  }

  std::atomic<int> alive_ = 0;
  std::map<std::string, int> loads_;  // by the pool's thread, read when it rests
  std::map<std::string, MemoryShare> shares_;
  std::atomic<int> parts_ = 1;
  std::atomic<bool> fails_ = false;
  std::atomic<bool> takes_all_ = false;  // engines use their budgets up, as MemoryBudget does
  std::atomic<std::int64_t> needs_ = 0;  // bytes that an engine's budget must have
  std::optional<ModelPool> pool_;
};

// ---- by name

TEST_F(Pool, AModelIsLoadedWhenItIsAskedForAndOnce) {
  start({model("a"), model("b")});
  EXPECT_EQ(alive_, 0);
  std::vector<std::future<Outcome>> asked;
  parts_ = 20;
  for (int i = 0; i < 50; ++i) asked.push_back(ask("b"));
  std::vector<ModelUsePtr> uses;
  for (auto& one : asked) uses.push_back(one.get().use);
  for (const auto& one : uses) EXPECT_EQ(&one->engine(), &uses.front()->engine());
  EXPECT_EQ(uses.front()->name(), "b");
  EXPECT_EQ(loads_["b"], 1);
  EXPECT_EQ(loads_.count("a"), 0u);
  EXPECT_EQ(pool_->status("b").in_use, 50);
  EXPECT_EQ(use("")->name(), "a") << "no name means the first";
  EXPECT_EQ(use("path/of/b")->name(), "b");
}

TEST_F(Pool, AnUnknownNameIsRefusedByName) {
  start({model("a"), model("b")});
  try {
    pool_->use("c", {}, [](auto) {}, [](const auto&) {});
    FAIL() << "there is no c";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::not_found);
    EXPECT_EQ(error.field(), "model");
    EXPECT_NE(std::string(error.what()).find("'a', 'b'"), std::string::npos) << error.what();
  }
}

TEST_F(Pool, ANameComesBeforeAnothersAlias) {
  ServedModel other = model("x");
  other.aliases = {"b"};
  start({other, model("b")});
  EXPECT_EQ(use("b")->name(), "b");
}

// ---- room

TEST_F(Pool, WhatWasUsedLeastRecentlyMakesRoom) {
  start({model("a"), model("b"), model("c")}, {.max_loaded = 2});
  use("a");
  use("b");
  use("a");
  use("c");
  EXPECT_TRUE(is_loaded("a"));
  EXPECT_FALSE(is_loaded("b"));
  EXPECT_TRUE(is_loaded("c"));
  EXPECT_EQ(alive_, 2);
}

TEST_F(Pool, MemoryIsSharedAndNeverMoreThanThereIs) {
  start({model("a", 100 * mb), model("b", 100 * mb), model("c", 400 * mb)},
        {.memory_bytes = 800 * mb});
  use("a");
  use("b");
  EXPECT_EQ(alive_, 2);
  use("c");
  EXPECT_EQ(alive_, 2) << "one had to go";
  EXPECT_FALSE(is_loaded("a"));
  for (const auto& [name, share] : shares_) {
    EXPECT_LE(share.budget, 800 * mb) << name;
    EXPECT_GE(share.budget, 100 * mb + 800 * mb / 16) << name;
    EXPECT_EQ(share.cache, 0) << "the engine parts its budget itself";
  }
  EXPECT_LE(shares_["c"].budget, 700 * mb) << "b has its part";
}

TEST_F(Pool, AModelThatIsAloneGetsAllTheMemory) {
  takes_all_ = true;
  start({model("a", 50 * mb), model("b", 350 * mb)}, {.memory_bytes = 1750 * mb, .max_loaded = 1});
  for (const char* name : {"a", "b", "a"}) EXPECT_NE(use(name), nullptr) << name;
  EXPECT_EQ(shares_["b"].budget, 1750 * mb);
}

TEST_F(Pool, ModelsThatFitStayTogether) {
  takes_all_ = true;
  start({model("a", 350 * mb), model("b", 350 * mb), model("c", 50 * mb)},
        {.memory_bytes = 1600 * mb});
  for (int i = 0; i < 2; ++i)
    for (const char* name : {"a", "b", "c"}) use(name);
  EXPECT_EQ(alive_, 3);
  for (const auto& [name, loads] : loads_) EXPECT_EQ(loads, 1) << name;
}

TEST_F(Pool, AModelWhoseShareIsTooLittleGetsWhatIsFree) {
  takes_all_ = true;
  start({model("a"), model("b")}, {.memory_bytes = 1000 * mb});
  needs_ = 900 * mb;
  EXPECT_NE(use("b"), nullptr);
  EXPECT_EQ(shares_["b"].budget, 1000 * mb);
}

TEST_F(Pool, AModelThatIsTooBigTakesTheOthersPlaceOnceAtMost) {
  start({model("a"), model("b")}, {.memory_bytes = 1000 * mb, .failure_rest_s = 0});
  needs_ = 2000 * mb;
  EXPECT_TRUE(ask("b").get().error);
  const int tries = loads_["b"];
  needs_ = 0;
  use("a");
  const auto outcome = ask("b").get();
  ASSERT_TRUE(outcome.error);
  EXPECT_NE(std::string(outcome.error->what()).find("more than the memory"), std::string::npos);
  EXPECT_TRUE(is_loaded("a"));
  EXPECT_EQ(loads_["b"], tries);
}

TEST_F(Pool, ModelsThatAnswerAndPinnedOnesStay) {
  ServedModel pinned = model("pinned");
  pinned.pinned = true;
  start({pinned, model("a"), model("b")}, {.max_loaded = 2});
  use("pinned");
  auto answering = use("a");
  auto waiting = ask("b");
  EXPECT_EQ(waiting.wait_for(50ms), std::future_status::timeout) << "a answers";
  answering.reset();
  EXPECT_NE(waiting.get().use, nullptr);
  EXPECT_TRUE(is_loaded("pinned"));
  EXPECT_FALSE(is_loaded("a"));
}

TEST_F(Pool, WhereNothingMayGoOthersAreToldSo) {
  ServedModel pinned = model("pinned");
  pinned.pinned = true;
  start({pinned, model("a")}, {.max_loaded = 1});
  use("pinned");
  const auto outcome = ask("a").get();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code(), Code::unavailable);
  EXPECT_EQ(outcome.error->field(), "model");
  EXPECT_TRUE(is_loaded("pinned"));
  pool_->unload("pinned");  // by name it goes
  EXPECT_TRUE(comes([&] { return !is_loaded("pinned"); }));
  EXPECT_NE(use("a"), nullptr) << "it was not the model's fault: it is tried at once";
}

TEST_F(Pool, RoomIsWaitedForAsLongAsThat) {
  start({model("a"), model("b")}, {.max_loaded = 1, .room_patience_s = 0.2});
  const auto answering = use("a");
  const auto outcome = ask("b").get();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code(), Code::unavailable);
}

TEST_F(Pool, EachRequestWaitsForItsOwnTime) {
  start({model("a"), model("b")}, {.max_loaded = 1, .room_patience_s = 0.4});
  auto answering = use("a");
  auto first = ask("b");
  std::this_thread::sleep_for(300ms);
  auto second = ask("b");
  const auto outcome = first.get();
  ASSERT_TRUE(outcome.error);
  EXPECT_NE(std::string(outcome.error->what()).find("'a' (in use)"), std::string::npos)
      << outcome.error->what();
  EXPECT_EQ(second.wait_for(50ms), std::future_status::timeout);
  answering.reset();
  EXPECT_NE(second.get().use, nullptr);
}

TEST_F(Pool, ALoadThatFindsNoRoomIsTold) {
  ServedModel pinned = model("pinned");
  pinned.pinned = true;
  start({pinned, model("a")}, {.max_loaded = 1});
  use("pinned");
  pool_->load("a");
  EXPECT_TRUE(comes([&] { return pool_->status("a").failure != ""; }));
  EXPECT_NE(pool_->status("a").failure.find("'pinned' (stays loaded)"), std::string::npos)
      << pool_->status("a").failure;
}

// ---- what fails

TEST_F(Pool, AModelThatCannotBeLoadedFailsItsOwnRequests) {
  start({model("a"), model("b")}, {.failure_rest_s = 0.2});
  use("a");
  fails_ = true;
  const auto outcome = ask("b").get();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code(), Code::unavailable);
  EXPECT_NE(std::string(outcome.error->what()).find("no config.json"), std::string::npos);
  EXPECT_NE(pool_->status("b").failure, "");
  EXPECT_EQ(pool_->status("b").failures, 1);
  EXPECT_NE(use("a"), nullptr);
  ask("b").get();
  EXPECT_EQ(loads_["b"], 1) << "not again at once";
  fails_ = false;
  std::this_thread::sleep_for(250ms);
  EXPECT_NE(use("b"), nullptr) << "but later";
  EXPECT_EQ(pool_->status("b").failure, "");
}

TEST_F(Pool, AFailedLoadIsTriedAgainWhereThatIsAskedFor) {
  start({model("a")}, {.failure_rest_s = 1000});
  fails_ = true;
  ASSERT_TRUE(ask("a").get().error);
  fails_ = false;
  pool_->load("a");
  EXPECT_TRUE(comes([&] { return is_loaded("a"); }));
}

TEST_F(Pool, AClientThatLeavesIsNotWaitedFor) {
  start({model("a"), model("b")}, {.max_loaded = 1});
  auto answering = use("a");
  std::atomic<bool> wanted = true;
  auto left = ask("b", [&] { return wanted.load(); });
  wanted = false;
  answering.reset();
  EXPECT_TRUE(comes([&] { return pool_->status("b").waiting == 0; }));
  std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(is_loaded("a")) << "nothing went for nobody";
  EXPECT_EQ(loads_.count("b"), 0u);
}

TEST_F(Pool, AStopEndsALoad) {
  start({model("a")});
  parts_ = 100000;
  auto asked = ask("a");
  EXPECT_TRUE(comes([&] { return pool_->status("a").state == ModelStatus::State::loading; }));
  pool_.reset();
  EXPECT_TRUE(asked.get().error);
}

// ---- unloading

TEST_F(Pool, AnIdleModelIsUnloaded) {
  start({model("a")}, {.idle_unload_s = 0.1});
  auto answering = use("a");
  std::this_thread::sleep_for(200ms);
  EXPECT_TRUE(is_loaded("a")) << "it answers";
  answering.reset();
  EXPECT_TRUE(is_loaded("a"));
  EXPECT_TRUE(comes([&] { return alive_ == 0; }));
  EXPECT_NE(use("a"), nullptr);
  EXPECT_EQ(loads_["a"], 2);
}

TEST_F(Pool, LookingAtAModelDoesNotKeepIt) {
  start({model("a")}, {.idle_unload_s = 0.1});
  use("a");
  EXPECT_TRUE(comes([&] {
    pool_->loaded();
    return alive_ == 0;
  }));
}

TEST_F(Pool, UnloadingWaitsForTheLastAnswer) {
  start({model("a")});
  auto answering = use("a");
  pool_->unload("a");
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(alive_, 1);
  answering.reset();
  EXPECT_TRUE(comes([&] { return alive_ == 0; }));
}

TEST_F(Pool, ARequestSaysHowLongItsModelStays) {
  start({model("a")}, {.idle_unload_s = 0.1});
  use("a")->keep_for(-1);
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(alive_, 1) << "for good";
  EXPECT_FALSE(pool_->status("a").unloads_at);
  use("a")->keep_for(1000);
  EXPECT_TRUE(pool_->status("a").unloads_at);
  {
    const auto answering = use("a");
    answering->keep_for(0);
    std::this_thread::sleep_for(30ms);
    EXPECT_EQ(alive_, 1) << "behind the answer";
  }
  EXPECT_TRUE(comes([&] { return alive_ == 0; }));
}

// ---- many at once

TEST_F(Pool, ManyClientsOfManyModelsAllGetTheirs) {
  start({model("a"), model("b"), model("c")}, {.max_loaded = 2});
  std::vector<std::thread> clients;
  std::atomic<int> served = 0;
  for (int client = 0; client < 8; ++client)
    clients.emplace_back([&, client] {
      for (int i = 0; i < 20; ++i) {
        const std::string name(1, static_cast<char>('a' + (client + i) % 3));
        const auto outcome = ask(name).get();
        if (outcome.use && outcome.use->name() == name) ++served;
        EXPECT_LE(alive_, 2);
      }
    });
  for (auto& client : clients) client.join();
  EXPECT_EQ(served, 160);
  pool_.reset();
  EXPECT_EQ(alive_, 0);
}

}  // namespace
}  // namespace pippin::server
