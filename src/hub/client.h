// A hub's protocol: what a repository holds at a revision, and its files.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hub/http.h"
#include "hub/name.h"
#include "hub/settings.h"

namespace pippin::hub {

/// A file of a repository, as its list of files has it.
struct RemoteFile {
  std::string path;       ///< with "/" between folders; not to be trusted (see hub/plan.h)
  std::int64_t size = 0;  ///< bytes
  std::string
      hash;  ///< SHA-256 (64 digits) where large-file storage keeps it, else git's SHA-1 (40)
};

/// Waits; tests replace it.
using Pause = std::function<void(std::chrono::milliseconds)>;
void pause_thread(std::chrono::milliseconds time);

/// One thread at a time. Follows redirects; the token goes to the hub's own scheme, host and port alone. What the hub asks to try again later
/// is tried again: after Retry-After, or after a time that doubles.
class Client {
 public:
  Client(const Settings& settings, std::unique_ptr<Http> http, Pause pause = pause_thread);

  /// The commit that the revision means. Throws as get does.
  std::string commit_of(const ModelName& name);
  std::vector<RemoteFile> files_of(const std::string& repo, const std::string& commit);
  /// A file of `repo` from byte `from` on. Only bodies of success reach the sink. `check` sees the hub's own answer before a redirect is
  /// followed; it may throw. Throws Error(not_found) or Error(invalid_argument) saying what to do, NetworkError where asking again may help.
  Head get_file(const std::string& repo, const std::string& commit, const std::string& path,
                std::int64_t from, const std::function<void(const Head&)>& check, const Sink& sink);
  /// A small file as a whole.
  std::string read_file(const std::string& repo, const std::string& commit,
                        const std::string& path);

 private:
  struct Answer {
    Head head;
    std::string body;  // of an error; or of success without a sink
  };
  Answer follow(std::string url, std::int64_t from, const std::function<void(const Head&)>& check,
                const Sink* sink);
  Answer ask(const ModelName& name, const std::string& url);

  const Settings& settings_;
  const std::string origin_;
  const std::unique_ptr<Http> http_;
  const Pause pause_;
};

/// What the hub's status says to its user. NetworkError where asking again may help.
[[noreturn]] void throw_status(const Settings& settings, const ModelName& name, const Head& head);

/// How long to wait before another try: what the answer says (at most `longest`), else 1, 2, 4 ... seconds by `attempt` from 0.
std::chrono::milliseconds time_to_wait(const Head& head, int attempt);

/// `text` of a server without what moves a terminal's cursor, cut to a line.
std::string harmless(std::string_view text);

}  // namespace pippin::hub
