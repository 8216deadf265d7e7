#include "media/local_file.h"

#include <algorithm>
#include <string>
#include <system_error>

#include "base/files.h"
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

// The existing regular file that `path` names; `name` is what the request called it.
fs::path resolve(const fs::path& path, const fs::path& root, const std::string& name) {
  std::error_code error;
  const fs::path folder = fs::canonical(root, error);
  if (error) refuse("the media root does not exist: " + root.string());
  const fs::path wanted = path.is_absolute() ? path : folder / path;
  // Before the file system is asked: what lies outside must not even be told to exist.
  if (!lies_under(wanted, folder) && !lies_under(wanted, fs::absolute(root).lexically_normal())) {
    refuse("local files must lie under the media root");
  }
  const fs::path file = fs::canonical(wanted, error);
  if (error) refuse("there is no such file under the media root: " + name);
  if (!lies_under(file, folder)) refuse("a symbolic link leads out of the media root");
  if (!fs::is_regular_file(file, error)) refuse("not a regular file: " + name);
  return file;
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
  const fs::path file = resolve(path, root, name);
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  if (error) refuse("cannot read " + name + ": " + error.message());
  if (size > static_cast<std::uintmax_t>(max_bytes)) {
    throw Error(Code::payload_too_large, "[local_file] at most " + std::to_string(max_bytes) +
                                             " bytes are allowed, got " + std::to_string(size));
  }
  return read_file(file);
}

}  // namespace pippin::media
