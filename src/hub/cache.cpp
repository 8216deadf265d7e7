#include "hub/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <functional>
#include <system_error>

#include "base/files.h"
#include "hub/gguf_choice.h"
#include "hub/hash.h"
#include "hub/plan.h"
#include "pippin/error.h"
#include "vocabulary/model_tokenizer.h"

namespace pippin::hub {
namespace {

namespace fs = std::filesystem;

// The CACHEDIR.TAG convention: backup programs pass over a folder with this file.
constexpr const char* tag_text =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# A cache of models. It can be fetched again.\n";

[[noreturn]] void fail(const std::string& what, const fs::path& path, const std::string& why) {
  throw Error(Code::unavailable, "cannot " + what + " " + path.string() + ": " + why);
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("make the folder", folder, error.message());
}

std::string unique_suffix() {
  static std::atomic<unsigned> count{0};
  return "." + std::to_string(::getpid()) + "." + std::to_string(count++) + ".tmp";
}

// Others see the old file or the new one, never a part.
void replace(const fs::path& temporary, const fs::path& file) {
  std::error_code error;
  fs::rename(temporary, file, error);
  if (!error) return;
  std::error_code ignored;
  fs::remove(temporary, ignored);
  fail("make", file, error.message());
}

std::string folder_name(const std::string& repo) {
  std::string name = "models--" + repo;
  const auto slash = name.find('/');
  return name.replace(slash, 1, "--");
}

bool is_file(const fs::path& file) {
  std::error_code ignored;
  return fs::is_regular_file(file, ignored);  // follows the link to the blob
}

}  // namespace

CachedRepo::CachedRepo(const fs::path& cache, const std::string& repo)
    : cache_(cache), folder_(cache / folder_name(repo)), name_(folder_name(repo)) {}

fs::path CachedRepo::blob(const std::string& hash) const { return folder_ / "blobs" / hash; }

fs::path CachedRepo::snapshot(const std::string& commit) const {
  return folder_ / "snapshots" / commit;
}

std::optional<std::string> CachedRepo::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  const fs::path file = folder_ / "refs" / revision;
  if (!is_file(file)) return {};
  std::string commit = read_text(file);
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back())) != 0)
    commit.pop_back();
  return is_commit(commit) ? std::optional(commit) : std::nullopt;
}

void CachedRepo::set_commit(const std::string& revision, const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return;
  const fs::path file = folder_ / "refs" / revision;
  make_folders(file.parent_path());
  write_file(file, commit);
  ::chmod(file.c_str(), 0644);  // as Python's; others may share the cache
}

void CachedRepo::link(const std::string& commit, const std::string& path,
                      const std::string& hash) const {
  if (!is_safe_path(path) || !is_commit(commit) || !is_file_hash(hash))
    throw Error(Code::invalid_argument, "'" + harmless(path) + "' can't be kept in the cache");
  const fs::path file = snapshot(commit) / path;
  make_folders(file.parent_path());
  fs::path target = "../..";  // from the snapshot's folder to the repository's
  for (const char c : path)
    if (c == '/') target /= "..";
  target = target / "blobs" / hash;
  std::error_code error;
  if (fs::read_symlink(file, error) == target) return;
  const fs::path temporary = file.string() + unique_suffix();
  fs::create_symlink(target, temporary, error);
  if (error) fail("make the link", file, error.message());
  replace(temporary, file);
}

void CachedRepo::prepare() const {
  make_folders(folder_ / "blobs");
  make_folders(cache_ / ".locks" / name_);
  const fs::path tag = cache_ / "CACHEDIR.TAG";
  std::error_code ignored;
  if (!fs::exists(tag, ignored)) write_file(tag, tag_text);
}

Descriptor CachedRepo::lock(const std::string& hash, const std::function<void()>& waiting) const {
  const fs::path file = cache_ / ".locks" / name_ / (hash + ".lock");
  Descriptor descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664));
  if (descriptor.get() < 0) fail("open", file, std::strerror(errno));
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) == 0) return descriptor;
  if (errno == EWOULDBLOCK) {
    waiting();
    while (::flock(descriptor.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  return descriptor;
}

namespace {

bool has_tokenizer(const fs::path& snapshot) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(snapshot, error)) {
    const auto name = entry.path().filename().string();
    if (name != "merges.txt" && vocabulary::is_tokenizer_file(name) && is_file(entry.path()))
      return true;
  }
  return false;
}

// The GGUF file of the quantization, or the first of its parts, where all are there. Without one, of a snapshot that has no safetensors.
std::optional<fs::path> find_gguf(const fs::path& snapshot, const std::string& quantization) {
  std::vector<std::string> paths;
  std::error_code error;
  for (auto item = fs::recursive_directory_iterator(snapshot, error);
       !error && item != fs::end(item); item.increment(error)) {
    if (quantization.empty() && item->path().extension() == ".safetensors") return {};
    if (is_file(item->path())) paths.push_back(item->path().lexically_relative(snapshot).string());
  }
  try {
    return snapshot / choose_gguf(paths, quantization, "").front();
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

std::vector<std::string> missing_files(const fs::path& snapshot) {
  if (find_gguf(snapshot, "")) return {};
  std::vector<std::string> missing;
  if (!is_file(snapshot / "config.json")) missing.push_back("config.json");
  if (!has_tokenizer(snapshot)) missing.push_back("tokenizer.json");
  if (is_file(snapshot / index_name)) {
    for (const std::string& name : indexed_files(read_text(snapshot / index_name)))
      if (!is_safe_path(name) || !is_file(snapshot / name)) missing.push_back(name);
    return missing;
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(snapshot, error))
    if (entry.path().extension() == ".safetensors" && is_file(entry.path())) return missing;
  missing.push_back("model.safetensors");
  return missing;
}

std::optional<fs::path> find_snapshot(const fs::path& cache, const ModelName& name) {
  const CachedRepo repo(cache, name.repo);
  const auto commit = repo.commit_of(name.revision);
  if (!commit) return {};
  fs::path snapshot = repo.snapshot(*commit);
  if (auto file = find_gguf(snapshot, name.quantization)) return file;
  if (!name.quantization.empty() || !missing_files(snapshot).empty()) return {};
  return snapshot;
}

}  // namespace pippin::hub
