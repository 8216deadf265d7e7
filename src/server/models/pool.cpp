#include "server/models/pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <list>
#include <mutex>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

using Clock = std::chrono::steady_clock;

// What a step and compiled grammars take beside weights, before the engine has measured it.
constexpr std::int64_t usual_activations = std::int64_t{128} << 20;
// A model's caches get at least one part of the memory in so many.
constexpr int least_cache_share = 16;

Clock::duration seconds(double count) {
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(std::min(count, 1e8)));
}

std::int64_t unix_time(Clock::time_point time) {
  return std::time(nullptr) +
         std::chrono::duration_cast<std::chrono::seconds>(time - Clock::now()).count();
}

std::int64_t least_bytes(const ServedModel& model) {
  return model.weight_bytes + model.weight_bytes / 8 + usual_activations;
}

// What each gets for its caches (pages, grammars, encoded pictures): as if as many as may were loaded, the largest first.
std::int64_t cache_share(const std::vector<ServedModel>& models, const PoolOptions& options) {
  std::vector<std::int64_t> sizes;
  for (const ServedModel& model : models) sizes.push_back(least_bytes(model));
  std::sort(sizes.rbegin(), sizes.rend());
  if (options.max_loaded > 0)
    sizes.resize(std::min(sizes.size(), static_cast<std::size_t>(options.max_loaded)));
  std::int64_t left = options.memory_bytes;
  for (const std::int64_t size : sizes) left -= size;
  return std::max(left / static_cast<std::int64_t>(sizes.size()),
                  options.memory_bytes / least_cache_share);
}

// It was told with less than the model takes.
bool is_for_want_of_memory(const std::exception& failure) {
  const auto* error = dynamic_cast<const Error*>(&failure);
  return error && (error->field() == "memory_bytes" || error->field() == "kv_pool_bytes");
}

}  // namespace

struct ModelPool::Entry {
  explicit Entry(ServedModel of) : model(std::move(of)) {}

  struct Waiter {
    std::function<bool()> wanted;
    Ready ready;
    Failed failed;
    Clock::time_point since = Clock::now();
  };

  const ServedModel model;
  // Guarded by State::mutex, as all below.
  ModelStatus::State state = ModelStatus::State::unloaded;
  std::unique_ptr<Engine> owned;
  Engine* engine = nullptr;  ///< while it may be used
  int in_use = 0;
  bool wants_load = false, wants_unload = false;
  bool held = false;                  ///< a request has said that it stays
  std::optional<double> keep_s = {};  ///< as a request has said
  Clock::time_point last_used = {};
  std::list<Waiter> waiters;
  std::optional<Error> failure;
  std::optional<Clock::time_point> failed_at = {};  ///< absent: it found no room, and was not tried
  bool needs_more = false;  ///< its share was too little: it gets all that is free
  bool is_too_big = false;  ///< nor was the whole memory enough
  std::optional<ModelInfo> info;
  std::int64_t bytes = 0;
  std::int64_t loads = 0, failures = 0;
  std::atomic<double> progress = 0;

  bool stays() const { return model.pinned || held || !model.load; }
  bool rests() const {
    return state == ModelStatus::State::loaded && in_use == 0 && waiters.empty();
  }
  bool may_make_room() const { return rests() && !stays(); }
};

// Uses own it, too.
struct ModelPool::State {
  explicit State(PoolOptions with) : options(with) {}

  const PoolOptions options;
  std::int64_t cache_share = 0;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::unique_ptr<Entry>> entries;  // the list itself is constant
  bool stopping = false;                        // guarded by mutex
  bool turning = false;                         // guarded by mutex: something has changed

  Entry& find(const std::string& name) const;
  Entry* longest_at_rest() const;
  std::optional<Clock::time_point> unloads_at(const Entry& entry) const;
  ModelStatus status(const Entry& entry) const;
  void fail_impatient(Entry& entry);
  Error no_room(const Entry& entry) const;
  void stir() {
    turning = true;
    changed.notify_all();
  }
};

ModelPool::Entry& ModelPool::State::find(const std::string& name) const {
  if (name.empty()) return *entries.front();
  for (const auto names : {&ServedModel::names, &ServedModel::aliases})
    for (const auto& entry : entries)
      if (const auto& all = entry->model.*names;
          std::find(all.begin(), all.end(), name) != all.end())
        return *entry;
  std::string has;
  constexpr std::size_t most_named = 5;
  for (std::size_t i = 0; i < std::min(entries.size(), most_named); ++i)
    has += (has.empty() ? "'" : ", '") + entries[i]->model.names.front() + "'";
  if (entries.size() > most_named) has += " and others";
  throw Error(Code::not_found,
              "the model '" + excerpt(name) + "' does not exist; this server has " + has, "model");
}

// That may make room for another; null where there is none.
ModelPool::Entry* ModelPool::State::longest_at_rest() const {
  Entry* longest = nullptr;
  for (const auto& entry : entries)
    if (entry->may_make_room() && (!longest || entry->last_used < longest->last_used))
      longest = entry.get();
  return longest;
}

// Where it may rest for a time only.
std::optional<Clock::time_point> ModelPool::State::unloads_at(const Entry& entry) const {
  if (entry.state != ModelStatus::State::loaded || entry.stays()) return {};
  const double rest = entry.keep_s.value_or(options.idle_unload_s);
  if (rest <= 0) return {};
  return (entry.in_use > 0 ? Clock::now() : entry.last_used) + seconds(rest);
}

ModelStatus ModelPool::State::status(const Entry& entry) const {
  ModelStatus status;
  status.model = &entry.model;
  status.state = entry.state;
  if (entry.failure) status.failure = entry.failure->what();
  status.progress = entry.progress;
  status.info = entry.info;
  status.bytes = entry.bytes;
  status.in_use = entry.in_use;
  status.waiting = static_cast<int>(entry.waiters.size());
  status.loads = entry.loads;
  status.failures = entry.failures;
  if (const auto at = unloads_at(entry)) status.unloads_at = unix_time(*at);
  return status;
}

class ModelPool::Use final : public ModelUse {
 public:
  // Under the lock. `looks`: it is not used, only looked at.
  Use(std::shared_ptr<State> state, Entry& entry, bool looks)
      : state_(std::move(state)), entry_(entry), engine_(*entry.engine), looks_(looks) {
    ++entry_.in_use;
  }
  ~Use() override {
    const std::lock_guard lock(state_->mutex);
    --entry_.in_use;
    if (!looks_) entry_.last_used = Clock::now();
    if (entry_.in_use == 0) state_->stir();
  }

  Engine& engine() const override { return engine_; }
  const ServedModel& model() const override { return entry_.model; }
  void keep_for(double seconds) override {
    const std::lock_guard lock(state_->mutex);
    entry_.held = seconds < 0;
    entry_.wants_unload = seconds == 0 && !entry_.model.pinned;
    if (seconds > 0)
      entry_.keep_s = seconds;
    else
      entry_.keep_s.reset();
  }

 private:
  const std::shared_ptr<State> state_;
  Entry& entry_;
  Engine& engine_;
  const bool looks_;
};

ModelPool::ModelPool(std::vector<ServedModel> models, PoolOptions options)
    : state_(std::make_shared<State>(options)) {
  if (options.memory_bytes > 0) state_->cache_share = cache_share(models, options);
  for (ServedModel& model : models)
    state_->entries.push_back(std::make_unique<Entry>(std::move(model)));
  thread_ = std::thread([this] { main(); });
}

ModelPool::ModelPool(Engine& engine, ServedModel model)
    : state_(std::make_shared<State>(PoolOptions())) {
  auto entry = std::make_unique<Entry>(std::move(model));
  entry->state = ModelStatus::State::loaded;
  entry->engine = &engine;
  entry->info = engine.info();
  entry->bytes = engine.stats().memory.used();
  entry->loads = 1;
  state_->entries.push_back(std::move(entry));
}

ModelPool::~ModelPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->stir();
  }
  if (thread_.joinable()) thread_.join();
  std::vector<std::unique_ptr<Engine>> engines;
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& entry : state_->entries) engines.push_back(std::move(entry->owned));
  }
}

// ---- what others ask

const ServedModel& ModelPool::find(const std::string& name) const {
  return state_->find(name).model;
}

ModelUsePtr ModelPool::use_loaded(const std::string& name) {
  Entry& entry = state_->find(name);
  const std::lock_guard lock(state_->mutex);
  return entry.engine ? std::make_shared<Use>(state_, entry, false) : nullptr;
}

void ModelPool::use(const std::string& name, std::function<bool()> wanted, Ready ready,
                    Failed failed) {
  Entry& entry = state_->find(name);
  std::optional<Error> refusal;
  ModelUsePtr use;
  {
    const std::lock_guard lock(state_->mutex);
    const PoolOptions& options = state_->options;
    if (entry.engine) {
      use = std::make_shared<Use>(state_, entry, false);
    } else if (entry.failure && entry.failed_at && !entry.wants_load &&
               Clock::now() < *entry.failed_at + seconds(options.failure_rest_s)) {
      refusal = entry.failure;
    } else {
      std::size_t waiting = 0;
      for (const auto& other : state_->entries) waiting += other->waiters.size();
      if (waiting >= static_cast<std::size_t>(options.max_waiting))
        throw Error(Code::resource_exhausted, "too many requests wait for models to be loaded");
      entry.waiters.push_back({std::move(wanted), std::move(ready), std::move(failed)});
      state_->stir();
      return;
    }
  }
  if (refusal) return failed(*refusal);
  ready(std::move(use));
}

void ModelPool::load(const std::string& name) {
  Entry& entry = state_->find(name);
  const std::lock_guard lock(state_->mutex);
  entry.wants_unload = false;
  if (entry.engine) return;
  entry.wants_load = true;
  entry.is_too_big = false;
  state_->stir();
}

void ModelPool::unload(const std::string& name) {
  Entry& entry = state_->find(name);
  const std::lock_guard lock(state_->mutex);
  entry.wants_load = false;
  entry.wants_unload = entry.state != ModelStatus::State::unloaded;
  state_->stir();
}

std::vector<ModelStatus> ModelPool::list() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<ModelStatus> list;
  for (const auto& entry : state_->entries) list.push_back(state_->status(*entry));
  return list;
}

ModelStatus ModelPool::status(const std::string& name) const {
  const Entry& entry = state_->find(name);
  const std::lock_guard lock(state_->mutex);
  return state_->status(entry);
}

std::vector<ModelUsePtr> ModelPool::loaded() const {
  std::vector<ModelUsePtr> uses;
  const std::lock_guard lock(state_->mutex);
  uses.reserve(state_->entries.size());
  for (const auto& entry : state_->entries)
    if (entry->engine) uses.push_back(std::make_shared<Use>(state_, *entry, true));
  return uses;
}

bool ModelPool::takes_keep_alive() const { return state_->options.takes_keep_alive; }

std::vector<std::string> ModelPool::names() const {
  std::vector<std::string> names;
  for (const auto& entry : state_->entries)
    names.insert(names.end(), entry->model.names.begin(), entry->model.names.end());
  return names;
}

// ---- the pool's thread

void ModelPool::main() {
  for (;;) {
    {
      std::unique_lock lock(state_->mutex);
      const auto awake = [this] { return state_->turning || state_->stopping; };
      std::optional<Clock::time_point> until;
      for (const auto& entry : state_->entries) {
        auto at = state_->unloads_at(*entry);
        if (entry->in_use > 0) at.reset();
        if (!entry->waiters.empty()) at = Clock::now() + std::chrono::milliseconds(100);
        if (at && (!until || *at < *until)) until = at;
      }
      if (until)
        state_->changed.wait_until(lock, *until, awake);
      else
        state_->changed.wait(lock, awake);
      if (state_->stopping) return;
      state_->turning = false;
    }
    try {
      drop_unwanted();
      while (unload_one() || load_one()) {
      }
    } catch (const std::exception& failure) {
      insist([&] { spdlog::error("[models] {}", failure.what()); });
    }
  }
}

// So that nothing is loaded for clients that have left.
void ModelPool::drop_unwanted() {
  std::list<Entry::Waiter> dropped;  // their callbacks end outside of the lock
  const std::lock_guard lock(state_->mutex);
  for (const auto& entry : state_->entries)
    for (auto it = entry->waiters.begin(); it != entry->waiters.end();) {
      const auto next = std::next(it);
      if (it->wanted && !it->wanted()) dropped.splice(dropped.end(), entry->waiters, it);
      it = next;
    }
}

bool ModelPool::unload_one() {
  Entry* found = nullptr;
  bool asked = false;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) return false;
    for (const auto& entry : state_->entries) {
      if (entry->state != ModelStatus::State::loaded || entry->in_use > 0 || !entry->model.load)
        continue;
      const auto at = state_->unloads_at(*entry);
      asked = entry->wants_unload;
      if (!asked && !(at && Clock::now() >= *at)) continue;
      found = entry.get();
      break;
    }
  }
  if (!found) return false;
  unload_now(*found, asked ? "as asked" : "it was idle");
  return true;
}

void ModelPool::unload_now(Entry& entry, const std::string& why) {
  std::unique_ptr<Engine> engine;
  {
    const std::lock_guard lock(state_->mutex);
    if (entry.in_use > 0) return;  // just now
    entry.engine = nullptr;
    engine = std::move(entry.owned);
    entry.wants_unload = entry.held = false;
    entry.keep_s.reset();
  }
  spdlog::info("[models] unloading {}: {}", entry.model.names.front(), why);
  engine.reset();
  trim_heap();
  const std::lock_guard lock(state_->mutex);
  entry.state = ModelStatus::State::unloaded;
  entry.bytes = 0;
}

// The model that has waited longest, as far as there is room.
bool ModelPool::load_one() {
  Entry* found = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) return false;
    for (const auto& entry : state_->entries) {
      if (entry->engine || (entry->waiters.empty() && !entry->wants_load)) continue;
      const auto since = [](const Entry& of) {
        return of.waiters.empty() ? Clock::now() : of.waiters.front().since;
      };
      if (!found || since(*entry) < since(*found)) found = entry.get();
    }
  }
  if (!found) return false;
  switch (make_room(*found)) {
    case Room::made:
      return true;
    case Room::there:
      load_now(*found);
      return true;
    case Room::wanted:
      state_->fail_impatient(*found);
      return false;
    case Room::none:
      break;
  }
  fail(*found, state_->no_room(*found));
  return true;
}

// Those who have waited for room for as long as a request may. The others go on waiting.
void ModelPool::State::fail_impatient(Entry& entry) {
  std::list<Entry::Waiter> impatient;
  const auto begun = Clock::now() - seconds(options.room_patience_s);
  {
    const std::lock_guard lock(mutex);
    while (!entry.waiters.empty() && entry.waiters.front().since <= begun)
      impatient.splice(impatient.end(), entry.waiters, entry.waiters.begin());
  }
  if (impatient.empty()) return;
  const Error error = no_room(entry);
  spdlog::error("[models] {}", error.what());
  for (const auto& waiter : impatient)
    if (!waiter.wanted || waiter.wanted()) waiter.failed(error);
}

Error ModelPool::State::no_room(const Entry& entry) const {
  const std::string name = entry.model.names.front();
  const std::lock_guard lock(mutex);
  if (entry.is_too_big)
    return Error(Code::unavailable,
                 "the model '" + name + "' takes more than the memory of all models", "model");
  std::string holders;
  for (const auto& other : entries)
    if (other->engine)
      holders += (holders.empty() ? "'" : ", '") + other->model.names.front() +
                 (other->in_use > 0 ? "' (in use)" : "' (stays loaded)");
  return Error(
      Code::unavailable,
      "there is no room for the model '" + name + "' beside " + holders + "; try again later",
      "model");
}

// Unloads at most one model for it: the one that has rested longest.
ModelPool::Room ModelPool::make_room(Entry& entry) {
  Entry* oldest = nullptr;
  bool in_use = false;
  {
    const std::lock_guard lock(state_->mutex);
    if (entry.is_too_big) return Room::none;
    std::int64_t used = 0;
    int loaded = 0;
    for (const auto& other : state_->entries) {
      used += other->bytes;
      loaded += other->engine != nullptr;
      in_use = in_use || (other->engine && !other->stays() && !other->rests());
    }
    const PoolOptions& options = state_->options;
    const bool place = options.max_loaded == 0 || loaded < options.max_loaded;
    const bool fits = options.memory_bytes == 0 || loaded == 0 ||
                      used + least_bytes(entry.model) + state_->cache_share <= options.memory_bytes;
    if (place && fits) return Room::there;
    oldest = state_->longest_at_rest();
  }
  if (!oldest) return in_use ? Room::wanted : Room::none;
  unload_now(*oldest, "to make room for " + entry.model.names.front());
  return Room::made;
}

// Where its share was too little: gives it more, another's if need be. False where there is no more.
bool ModelPool::unload_for(Entry& entry) {
  Entry* oldest = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    const bool had_all = std::exchange(entry.needs_more, true);
    oldest = had_all ? state_->longest_at_rest() : nullptr;
    if (oldest || !had_all) entry.state = ModelStatus::State::unloaded;
    if (!had_all) return true;
    const bool alone = std::none_of(state_->entries.begin(), state_->entries.end(),
                                    [](const auto& other) { return other->engine != nullptr; });
    entry.is_too_big = alone;
  }
  if (oldest) unload_now(*oldest, "to make room for " + entry.model.names.front());
  return oldest != nullptr;
}

void ModelPool::load_now(Entry& entry) {
  MemoryShare share;
  {
    const std::lock_guard lock(state_->mutex);
    entry.state = ModelStatus::State::loading;
    entry.progress = 0;
    if (state_->options.memory_bytes > 0) {
      std::int64_t free = state_->options.memory_bytes;
      for (const auto& other : state_->entries) free -= other->bytes;
      share.budget =
          entry.needs_more ? free : std::min(free, least_bytes(entry.model) + state_->cache_share);
    }
  }
  const std::string& name = entry.model.names.front();
  spdlog::info("[models] loading {}", name);
  const auto progress = [&](double fraction) {
    entry.progress = fraction;
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) throw Error(Code::unavailable, "the server is stopping");
  };
  std::unique_ptr<Engine> engine;
  try {
    engine = entry.model.load(share, progress);
  } catch (const std::bad_alloc&) {
    return fail(entry,
                Error(Code::unavailable,
                      "the model '" + name + "' can't be loaded: no memory is left", "model"));
  } catch (const std::exception& failure) {
    if (is_for_want_of_memory(failure) && unload_for(entry)) return;  // and try again
    return fail(entry,
                Error(Code::unavailable,
                      "the model '" + name + "' can't be loaded: " + failure.what(), "model"));
  }
  std::list<Entry::Waiter> waiters;
  std::vector<ModelUsePtr> uses;
  {
    const std::lock_guard lock(state_->mutex);
    entry.owned = std::move(engine);
    entry.engine = entry.owned.get();
    entry.info = entry.engine->info();
    entry.bytes = entry.engine->stats().memory.used();
    entry.state = ModelStatus::State::loaded;
    entry.failure.reset();
    entry.wants_load = false;
    entry.last_used = Clock::now();
    ++entry.loads;
    waiters.swap(entry.waiters);
    for (std::size_t i = 0; i < waiters.size(); ++i)
      uses.push_back(std::make_shared<Use>(state_, entry, false));
  }
  spdlog::info("[models] {} is loaded", name);
  std::size_t next = 0;
  for (const auto& waiter : waiters) {
    auto use = std::move(uses[next++]);
    if (!waiter.wanted || waiter.wanted()) waiter.ready(std::move(use));
  }
}

void ModelPool::fail(Entry& entry, const Error& error) {
  std::list<Entry::Waiter> waiters;
  {
    const std::lock_guard lock(state_->mutex);
    entry.failure = error;
    entry.failed_at.reset();
    if (entry.state == ModelStatus::State::loading) {
      entry.failed_at = Clock::now();
      ++entry.failures;
    }
    entry.state = ModelStatus::State::unloaded;
    entry.wants_load = entry.wants_unload = false;
    waiters.swap(entry.waiters);
  }
  if (entry.model.tells_failures || entry.loads > 0) spdlog::error("[models] {}", error.what());
  for (const auto& waiter : waiters)
    if (!waiter.wanted || waiter.wanted()) waiter.failed(error);
}

}  // namespace pippin::server
