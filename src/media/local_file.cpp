#include "media/local_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "base/descriptor.h"
#include "media/url.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& why) {
  throw Error(Code::invalid_argument, "[local_file] " + why);
}

// The path in a file: URL: "file:///a/b", "file://localhost/a/b", "file:/a/b". "file://a/b" has a host
// by the letter, but people mean a relative path.
std::string path_of(std::string_view text) {
  constexpr std::string_view kScheme = "file:";
  constexpr std::string_view kLocal = "//localhost/";
  if (!starts_with_ignoring_case(text, kScheme)) return std::string(text);
  text.remove_prefix(kScheme.size());
  if (starts_with_ignoring_case(text, kLocal)) {
    text.remove_prefix(kLocal.size() - 1);
  } else if (text.substr(0, 2) == "//") {
    text.remove_prefix(2);
  }
  return percent_decode(text);
}

bool lies_under(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

// What of `path` comes after `folder`, under which it lies.
fs::path rest_after(const fs::path& path, const fs::path& folder) {
  fs::path rest;
  for (auto it = std::next(path.begin(), std::distance(folder.begin(), folder.end()));
       it != path.end(); ++it)
    rest /= *it;
  return rest;
}

// Opens one file below the root. The path is walked here instead of by the system, which would follow links out of the root.
class Walk {
 public:
  explicit Walk(const fs::path& root) : given_root_(fs::absolute(root).lexically_normal()) {
    std::error_code error;
    root_ = fs::canonical(root, error);
    if (!error) folders_.emplace_back(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (error || folders_.back().get() < 0) refuse("the media root can't be opened");
  }

  // `name` is what the request called the file.
  Descriptor open(const fs::path& path, const std::string& name) {
    // Before the file system is asked: what lies outside must not even be told to exist.
    if (!add(path)) refuse("local files must lie under the media root");
    while (!rest_.empty()) {
      const std::string part = take_part();
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        leave_folder();
        continue;
      }
      if (follow(part)) continue;
      Descriptor next(::openat(folders_.back().get(), part.c_str(),
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
      if (next.get() < 0) refuse("there is no such file under the media root: " + name);
      if (rest_.empty()) return next;
      folders_.push_back(std::move(next));
    }
    refuse("not a regular file: " + name);
  }

 private:
  static constexpr int max_links = 40;  // as Linux has it

  // Puts the path before the rest; false where it does not lie under the root.
  bool add(const fs::path& path) {
    fs::path below = path;
    if (path.is_absolute()) {
      const fs::path* base = lies_under(path, root_)         ? &root_
                             : lies_under(path, given_root_) ? &given_root_
                                                             : nullptr;
      if (!base) return false;
      below = rest_after(path, *base);
      folders_.erase(folders_.begin() + 1, folders_.end());
    }
    std::vector<std::string> parts;
    for (const fs::path& part : below) parts.push_back(part.string());
    rest_.insert(rest_.begin(), parts.begin(), parts.end());
    return true;
  }

  std::string take_part() {
    std::string part = std::move(rest_.front());
    rest_.pop_front();
    return part;
  }

  void leave_folder() {
    if (folders_.size() == 1) refuse_link();
    folders_.pop_back();
  }

  // Where `part` is a symbolic link, puts in its place what it names.
  bool follow(const std::string& part) {
    std::array<char, 4096> target;
    const ssize_t size =
        ::readlinkat(folders_.back().get(), part.c_str(), target.data(), target.size());
    if (size < 0) return false;
    if (++num_links_ > max_links || static_cast<std::size_t>(size) == target.size()) refuse_link();
    if (!add(std::string(target.data(), static_cast<std::size_t>(size)))) refuse_link();
    return true;
  }

  [[noreturn]] static void refuse_link() { refuse("a symbolic link leads out of the media root"); }

  const fs::path given_root_;
  fs::path root_;                    // canonical
  std::vector<Descriptor> folders_;  // from the root to where the walk has got
  std::deque<std::string> rest_;     // of the path
  int num_links_ = 0;
};

[[noreturn]] void refuse_size(std::int64_t max_bytes, const std::string& got) {
  throw Error(Code::payload_too_large, "[local_file] at most " + std::to_string(max_bytes) +
                                           " bytes are allowed, got " + got);
}

// Reads to the end, wherever that is by now.
std::vector<std::uint8_t> read_to_end(int file, std::int64_t max_bytes, const std::string& name) {
  const auto most = static_cast<std::size_t>(max_bytes);
  std::vector<std::uint8_t> bytes;
  std::array<std::uint8_t, 64 << 10> piece;
  for (;;) {
    const ssize_t got = ::read(file, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse("cannot read " + name + ": " + std::strerror(errno));
    if (got == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(got) > most) refuse_size(max_bytes, "more");
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + got);
  }
}

}  // namespace

std::vector<std::uint8_t> read_local_file(std::string_view url_or_path, const fs::path& root,
                                          std::int64_t max_bytes) {
  if (root.empty()) refuse("local files are not allowed: no media root is set");
  const std::string text = path_of(url_or_path);
  if (text.empty() || text.find('\0') != std::string::npos) refuse("not a file name");
  const fs::path path(text);
  if (std::find(path.begin(), path.end(), "..") != path.end())
    refuse("'..' is not allowed in paths");
  const std::string name = shortened(url_or_path);
  const Descriptor file = Walk(root).open(path, name);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) refuse("cannot read " + name);
  if (!S_ISREG(info.st_mode)) refuse("not a regular file: " + name);
  if (info.st_size > max_bytes) refuse_size(max_bytes, std::to_string(info.st_size));
  return read_to_end(file.get(), max_bytes, name);
}

}  // namespace pippin::media
