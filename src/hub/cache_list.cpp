// What the cache holds, and its removal.
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include "base/files.h"
#include "hub/cache.h"
#include "hub/hash.h"
#include "pippin/error.h"

namespace pippin::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "models--";
// What is on its way out; whoever removes next takes what a killed process has left.
constexpr std::string_view removed_prefix = ".removed--";

std::string repo_of(const std::string& folder) {
  const auto parts = folder.find("--", prefix.size());
  if (!folder.starts_with(prefix) || parts == std::string::npos) return "";
  return folder.substr(prefix.size(), parts - prefix.size()) + "/" + folder.substr(parts + 2);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (auto item = fs::directory_iterator(folder, error); !error && item != fs::end(item);
       item.increment(error))
    entries.push_back(item->path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

// Files and links below a folder; no link is followed.
std::vector<fs::path> files_below(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (auto item = fs::recursive_directory_iterator(folder, error); !error && item != fs::end(item);
       item.increment(error))
    if (!item->is_directory(error) || item->is_symlink(error)) files.push_back(item->path());
  std::sort(files.begin(), files.end());
  return files;
}

std::map<std::string, std::vector<std::string>> revisions_by_commit(const fs::path& repo) {
  std::map<std::string, std::vector<std::string>> revisions;
  const fs::path refs = repo / "refs";
  for (const fs::path& file : files_below(refs)) {
    std::error_code error;
    if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > 100) continue;
    revisions[read_text(file)].push_back(file.lexically_relative(refs).string());
  }
  return revisions;
}

// The names of the blobs that a snapshot's links lead to.
std::set<std::string> blobs_of(const fs::path& snapshot) {
  std::set<std::string> blobs;
  for (const fs::path& file : files_below(snapshot)) {
    std::error_code error;
    const fs::path target = fs::read_symlink(file, error);
    if (!error && is_file_hash(target.filename().string())) blobs.insert(target.filename());
  }
  return blobs;
}

std::int64_t size_of(const fs::path& file) {
  std::error_code error;
  const auto size = fs::is_regular_file(file, error) ? fs::file_size(file, error) : 0;
  return error ? 0 : static_cast<std::int64_t>(size);
}

CachedModel describe(const fs::path& snapshot, const std::string& repo) {
  CachedModel model{repo, snapshot.filename().string(), {}, 0, false, {}};
  for (const fs::path& file : files_below(snapshot)) model.bytes += size_of(file);
  std::error_code ignored;
  model.changed = fs::last_write_time(snapshot, ignored);
  try {
    model.whole = missing_files(snapshot).empty();
  } catch (const Error&) {  // an index that can't be read
  }
  return model;
}

// First out of sight in one step, then away: nobody sees half a model.
std::int64_t remove_folder(const fs::path& cache, const fs::path& folder) {
  std::error_code error;
  if (fs::is_symlink(folder, error)) {  // where a user keeps a model elsewhere, the link alone goes
    fs::remove(folder, error);
    return 0;
  }
  const fs::path hidden = cache / (std::string(removed_prefix) + folder.filename().string() + "." +
                                   std::to_string(::getpid()));
  fs::rename(folder, hidden, error);
  if (error)
    throw Error(Code::unavailable, "cannot remove " + folder.string() + ": " + error.message());
  std::int64_t bytes = 0;
  for (const fs::path& entry : entries_of(cache)) {
    if (!entry.filename().string().starts_with(removed_prefix)) continue;
    for (const fs::path& file : files_below(entry / "blobs"))
      if (!fs::is_symlink(file, error)) bytes += size_of(file);
    fs::remove_all(entry, error);
  }
  return bytes;
}

std::int64_t remove_revision(const fs::path& cache, const CachedRepo& repo,
                             const std::string& commit) {
  const std::set<std::string> blobs = blobs_of(repo.snapshot(commit));
  for (const auto& [of, revisions] : revisions_by_commit(repo.folder()))
    for (const std::string& revision : revisions) {
      std::error_code ignored;
      if (of == commit) fs::remove(repo.folder() / "refs" / revision, ignored);
    }
  std::int64_t bytes = remove_folder(cache, repo.snapshot(commit));
  std::set<std::string> used;
  for (const fs::path& snapshot : entries_of(repo.folder() / "snapshots"))
    used.merge(blobs_of(snapshot));
  for (const std::string& blob : blobs) {
    if (used.contains(blob)) continue;
    const std::int64_t size = size_of(repo.blob(blob));
    std::error_code error;
    if (fs::remove(repo.blob(blob), error)) bytes += size;
  }
  return bytes;
}

}  // namespace

std::vector<CachedModel> list_models(const fs::path& cache) {
  std::vector<CachedModel> models;
  for (const fs::path& folder : entries_of(cache)) {
    const std::string repo = repo_of(folder.filename().string());
    if (repo.empty()) continue;
    const auto revisions = revisions_by_commit(folder);
    for (const fs::path& snapshot : entries_of(folder / "snapshots")) {
      if (!is_commit(snapshot.filename().string())) continue;
      CachedModel model = describe(snapshot, repo);
      if (const auto known = revisions.find(model.commit); known != revisions.end())
        model.revisions = known->second;
      models.push_back(std::move(model));
    }
  }
  return models;
}

std::int64_t remove_model(const fs::path& cache, const std::string& name,
                          const std::string& revision) {
  const CachedRepo repo(cache, name);
  std::error_code ignored;
  if (!fs::exists(repo.folder(), ignored))
    throw Error(Code::not_found, name + " is not in the cache (" + cache.string() + ")");
  if (revision.empty()) return remove_folder(cache, repo.folder());
  const auto commit = repo.commit_of(revision);
  if (!commit || !fs::exists(repo.snapshot(*commit), ignored))
    throw Error(Code::not_found, name + " is in the cache, but not its revision " + revision);
  const bool is_last = entries_of(repo.folder() / "snapshots").size() == 1;
  return is_last ? remove_folder(cache, repo.folder()) : remove_revision(cache, repo, *commit);
}

}  // namespace pippin::hub
