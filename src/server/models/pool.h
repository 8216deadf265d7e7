// The models that a server answers with: loaded when they are asked for, within one memory budget, and unloaded when room or rest is wanted.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "pippin/engine.h"
#include "pippin/error.h"
#include "pippin/request.h"

namespace pippin::server {

/// What a model may take once it is loaded, in bytes; 0: as its engine's options say.
struct MemoryShare {
  std::int64_t budget = 0;  ///< of all that it takes
  std::int64_t cache = 0;   ///< of that, the attention cache's at most
};

/// A model that requests may name.
struct ServedModel {
  std::vector<std::string>
      names;  ///< that are listed, at least one; the first is the one that logs and metrics carry
  std::vector<std::string> aliases;  ///< further ones, which are not
  std::string path;                  ///< where it lies
  bool pinned = false;               ///< unloaded only where that is asked for by name
  std::int64_t weight_bytes = 0;     ///< as its files say
  /// How answers are sampled where the request says nothing.
  SamplingOptions sampling = {};
  bool tells_failures = true;  ///< in the log; else whoever asks for it does
  /// Throws what says why it can't be loaded. On the pool's thread.
  std::function<std::unique_ptr<Engine>(const MemoryShare&, const Engine::Progress&)> load = {};
};

struct PoolOptions {
  std::int64_t memory_bytes = 0;  ///< of all loaded models together; 0: each as its options say
  int max_loaded = 0;             ///< models at once; 0: as many as the memory holds
  double idle_unload_s = 0;       ///< that a model may rest before it is unloaded; 0: any time
  /// Whether requests may say how long their model stays loaded (Ollama's keep_alive).
  bool takes_keep_alive = false;
  double room_patience_s = 60;  ///< that requests wait for others' answers, which hold the memory
  double failure_rest_s = 10;   ///< in which a model that could not be loaded is not tried again
  int max_waiting = 1024;       ///< requests for models that are not loaded
};

/// What is known of a model now.
struct ModelStatus {
  enum class State { unloaded, loading, loaded };
  const ServedModel* model = nullptr;
  State state = State::unloaded;
  std::string failure;                     ///< of the last load; empty after a good one
  double progress = 0;                     ///< of the load, in [0, 1]
  std::optional<ModelInfo> info;           ///< absent before the first load
  std::int64_t bytes = 0;                  ///< that it takes; 0 where it is not loaded
  int in_use = 0;                          ///< requests that it answers
  int waiting = 0;                         ///< requests that wait for its load
  std::int64_t loads = 0, failures = 0;    ///< since the start
  std::optional<std::int64_t> unloads_at;  ///< in seconds since 1970; absent: it stays
};

/// A loaded model in use: it stays loaded as long as this lives. Thread-safe; may outlive the pool, whose engine is gone then.
class ModelUse {
 public:
  virtual ~ModelUse() = default;
  virtual Engine& engine() const = 0;
  virtual const ServedModel& model() const = 0;
  /// Afterwards it may rest so many seconds before it is unloaded; 0: unload it; less: it stays until another use says otherwise.
  virtual void keep_for(double seconds) = 0;
  const std::string& name() const { return model().names.front(); }
};
using ModelUsePtr = std::shared_ptr<ModelUse>;

/// Thread-safe. One thread of its own loads and unloads, one model after the other.
class ModelPool {
 public:
  /// At least one model. Nothing is loaded yet.
  ModelPool(std::vector<ServedModel> models, PoolOptions options);
  /// One model that is loaded all the time. The engine must outlive it.
  ModelPool(Engine& engine, ServedModel model);
  /// Ends a load that is under way, and unloads. Nothing is in use by then.
  ~ModelPool();
  ModelPool(const ModelPool&) = delete;
  ModelPool& operator=(const ModelPool&) = delete;

  /// Throws Error(not_found) where no model has that name; an empty one means the first.
  const ServedModel& find(const std::string& name) const;

  /// The model where it is loaded; null where it isn't. Throws as find().
  ModelUsePtr use_loaded(const std::string& name);

  using Ready = std::function<void(ModelUsePtr)>;
  using Failed = std::function<void(const Error&)>;
  /// Calls one of both, once: on this thread where the model is loaded, else on the pool's, when it is. They only pass the word on, and throw
  /// nothing. `wanted` is asked before: where it says no, none is called. Throws as find(), and Error(resource_exhausted) where too many wait.
  void use(const std::string& name, std::function<bool()> wanted, Ready ready, Failed failed);

  /// Has it loaded, soon; tries again what could not be. Throws as find().
  void load(const std::string& name);
  /// Has it unloaded when its last answer has ended. Throws as find().
  void unload(const std::string& name);

  /// In the order in which they were given.
  std::vector<ModelStatus> list() const;
  ModelStatus status(const std::string& name) const;
  /// All that are loaded, whose rest is not ended by this.
  std::vector<ModelUsePtr> loaded() const;

  bool takes_keep_alive() const;
  /// The names of all that are listed.
  std::vector<std::string> names() const;

 private:
  struct Entry;
  struct State;
  class Use;
  void main();
  bool unload_one();
  bool load_one();
  enum class Room { there, made, wanted, none };
  Room make_room(Entry& entry);
  bool unload_for(Entry& entry);
  void unload_now(Entry& entry, const std::string& why);
  void load_now(Entry& entry);
  void fail(Entry& entry, const Error& error);
  void drop_unwanted();

  const std::shared_ptr<State> state_;
  std::thread thread_;  ///< none where nothing is ever loaded
};

}  // namespace pippin::server
