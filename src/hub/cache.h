// The folder that keeps models of a hub, in the layout of Python's huggingface_hub, which shares it:
//   models--organization--name/blobs/<hash>               a file's bytes
//                             /snapshots/<commit>/<path>  a link to its blob
//                             /refs/<revision>            the commit that the revision meant last
//   .locks/models--organization--name/<hash>.lock         held (flock) while a blob is fetched
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "hub/name.h"

namespace pippin::hub {

/// A repository's part of the cache. Any number of processes may use it at once.
class CachedRepo {
 public:
  CachedRepo(const std::filesystem::path& cache, const std::string& repo);

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path blob(const std::string& hash) const;
  std::filesystem::path snapshot(const std::string& commit) const;

  /// The commit that a revision means, as far as the cache knows: itself where it is one.
  std::optional<std::string> commit_of(const std::string& revision) const;
  void set_commit(const std::string& revision, const std::string& commit) const;

  /// Makes snapshots/commit/path a link to the blob; replaces what was there. Throws Error(invalid_argument) for an unsafe path,
  /// Error(unavailable) where the system refuses.
  void link(const std::string& commit, const std::string& path, const std::string& hash) const;
  /// Makes the folders of blobs and locks, and marks the cache for backup programs.
  void prepare() const;

  /// Waits until no other process fetches the blob. `waiting` is called once where one does. Where the file system has no locks, nobody
  /// is waited for: blobs come out right all the same, fetched twice.
  Descriptor lock(const std::string& hash, const std::function<void()>& waiting) const;

 private:
  std::filesystem::path cache_, folder_;
  std::string name_;
};

/// What a snapshot lacks to be loaded, as names of files; empty where it is whole. A GGUF file or all its parts are a whole model.
std::vector<std::string> missing_files(const std::filesystem::path& snapshot);

/// A model that is in the cache as a whole: the snapshot, or its GGUF file (the first part) of the name's quantization, which is also
/// taken where there are no safetensors. nullopt where there is none.
std::optional<std::filesystem::path> find_snapshot(const std::filesystem::path& cache,
                                                   const ModelName& name);

/// A commit of a model in the cache.
struct CachedModel {
  std::string repo;
  std::string commit;
  std::vector<std::string> revisions;  ///< that mean it
  std::int64_t bytes = 0;              ///< of its files, those of other commits included
  bool whole = false;                  ///< it can be loaded
  std::filesystem::file_time_type changed;
};

/// By name. What is no model of a hub is passed over.
std::vector<CachedModel> list_models(const std::filesystem::path& cache);

/// Removes a model (`revision` empty), or one revision of it with the files that no other has. Returns the bytes that came free. Throws
/// Error(not_found) where the cache has no such thing.
std::int64_t remove_model(const std::filesystem::path& cache, const std::string& repo,
                          const std::string& revision);

}  // namespace pippin::hub
