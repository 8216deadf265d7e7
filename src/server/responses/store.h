// Answers of the Responses API that later requests may name.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/json.h"
#include "base/mutex.h"
#include "server/responses/folder.h"

namespace pippin::server {

/// One answer with what it was asked. Not changed once stored. Holds the answers before it, so that a conversation goes on even where
/// the store has let go of its beginning.
struct StoredResponse {
  std::string id;
  std::string owner;     ///< Caller::id of who asked: it is there for nobody else
  json::array input;     ///< this request's own items
  json::array output;    ///< the answer's items
  std::string response;  ///< the whole object, JSON
  std::shared_ptr<const StoredResponse> previous;

  // The store's.
  std::size_t bytes = 0;                            ///< of all this as JSON
  std::shared_ptr<std::atomic<std::size_t>> total;  ///< of all that still exist; counts these

  StoredResponse() = default;
  StoredResponse(const StoredResponse&) = delete;
  StoredResponse& operator=(const StoredResponse&) = delete;
  ~StoredResponse();
};

using StoredResponsePtr = std::shared_ptr<const StoredResponse>;

/// The items of a conversation up to and with `last` (null: none), oldest first.
json::array items_until(const StoredResponsePtr& last);

/// Keeps answers in memory up to a number of bytes (of their JSON, those included that are only held by later ones); then those
/// go first that were used least recently. Given a folder, writes them there, too, and finds them again; where
/// that can't be used, it says so and keeps them in memory alone. Thread-safe.
class ResponseStore {
 public:
  struct Options {
    std::size_t max_bytes = std::size_t{64} << 20;
    std::filesystem::path folder;  ///< empty: memory only
    std::int64_t max_folder_bytes = std::int64_t{1} << 30;
  };

  explicit ResponseStore(const Options& options);

  /// Where it throws std::bad_alloc, memory holds what it held before.
  void put(std::shared_ptr<StoredResponse> response);
  /// Null where the owner has none of this id (any more), or not all that came before it.
  StoredResponsePtr find(const std::string& id, const std::string& owner);
  /// Returns whether the owner had it.
  bool erase(const std::string& id, const std::string& owner);
  /// An item of one of the owner's answers that are kept in memory.
  std::optional<json::object> find_item(const std::string& id, const std::string& owner) const;

 private:
  StoredResponsePtr find_in_memory(const std::string& id, const std::string& owner);
  StoredResponsePtr find_in_folder(const std::string& id, const std::string& owner);
  void keep(std::shared_ptr<StoredResponse> response);

  using Entries = std::list<StoredResponsePtr>;  // most recently used first
  void remove(Entries::iterator entry) REQUIRES(mutex_);

  const std::size_t max_bytes_;
  const std::unique_ptr<ResponseFolder> folder_;  // null without one
  mutable Mutex mutex_;
  Entries entries_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, Entries::iterator> by_id_ GUARDED_BY(mutex_);
  const std::shared_ptr<std::atomic<std::size_t>> bytes_ =
      std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace pippin::server
