#include "hub/downloader.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "hub/partial_file.h"

namespace pippin::hub {
namespace {

namespace fs = std::filesystem;

constexpr int max_wrong_hashes = 2;  // of a file as a whole, before it counts as the hub's fault

// What ends a download whose result nobody needs any more, since another file has failed.
struct Stopped {};

std::string unquoted(std::string tag) {
  if (tag.starts_with("W/")) tag.erase(0, 2);
  std::erase(tag, '"');
  return tag;
}

[[noreturn]] void throw_changed(const RemoteFile& file, const std::string& what) {
  throw Error(Code::unavailable,
              "the hub's list and its answer differ about " + harmless(file.path) + ": " + what);
}

// Before gigabytes come: is it the file of the list?
void check_linked(const RemoteFile& file, const std::string& commit, const Head& head) {
  const std::string of = head.header("x-repo-commit");
  if (!of.empty() && of != commit) throw_changed(file, "commit " + harmless(of));
  const std::string tag = unquoted(head.header("x-linked-etag"));
  if (!tag.empty() && tag != file.hash) throw_changed(file, "hash " + harmless(tag));
  const std::string size = head.header("x-linked-size");
  if (!size.empty() && size != std::to_string(file.size))
    throw_changed(file, "size " + harmless(size));
}

// Where in the file a body begins. Throws where the server's file has another size.
std::int64_t first_byte(const RemoteFile& file, const Head& head) {
  if (head.status != 206) {
    const std::string size = head.header("content-length");
    if (!size.empty() && size != std::to_string(file.size))
      throw_changed(file, "size " + harmless(size));
    return 0;
  }
  const std::string range = head.header("content-range");  // bytes FIRST-LAST/SIZE
  long long first = -1, last = -1, size = -1;
  if (std::sscanf(range.c_str(), "bytes %lld-%lld/%lld", &first, &last, &size) != 3 || first < 0)
    throw_changed(file, "range " + harmless(range));
  if (size != file.size) throw_changed(file, "size " + std::to_string(size));
  return first;
}

}  // namespace

class Downloader::Stop {
 public:
  void check() const {
    if (wanted_) throw Stopped();
  }
  void raise(const std::exception_ptr& error) {
    const MutexLock lock(mutex_);
    if (!error_) error_ = error;
    wanted_ = true;
  }
  void rethrow() {
    const MutexLock lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::atomic<bool> wanted_{false};
  Mutex mutex_;
  std::exception_ptr error_ GUARDED_BY(mutex_);
};

Downloader::Downloader(const Settings& settings, HttpFactory http, const ModelName& name,
                       std::string commit, Progress& progress, DownloadOptions options)
    : settings_(settings),
      http_(std::move(http)),
      name_(name),
      commit_(std::move(commit)),
      progress_(progress),
      options_(std::move(options)),
      repo_(settings.cache, name.repo) {}

std::int64_t Downloader::missing_bytes(const std::vector<RemoteFile>& files) const {
  std::int64_t bytes = 0;
  for (const RemoteFile& file : files) {
    std::error_code error;
    if (fs::exists(repo_.blob(file.hash), error)) continue;
    const auto partial = fs::file_size(repo_.blob(file.hash + ".incomplete"), error);
    bytes += file.size - (error ? 0 : std::min<std::int64_t>(file.size, partial));
  }
  return bytes;
}

void Downloader::fetch(const std::vector<RemoteFile>& files) {
  repo_.prepare();
  std::vector<const RemoteFile*> order;
  for (const RemoteFile& file : files) order.push_back(&file);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->size > b->size; });
  Stop stop;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    try {
      Client client(settings_, http_(), options_.pause);
      for (auto i = next++; i < order.size(); i = next++) fetch_one(client, *order[i], stop);
    } catch (const Stopped&) {
    } catch (...) {
      stop.raise(std::current_exception());
    }
  };
  std::vector<std::thread> threads;
  const auto count = std::min(order.size(), static_cast<std::size_t>(options_.at_once));
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  stop.rethrow();
}

void Downloader::fetch_one(Client& client, const RemoteFile& file, const Stop& stop) {
  stop.check();
  std::error_code ignored;
  if (fs::exists(repo_.blob(file.hash), ignored)) {
    progress_.found(file.size);
  } else {
    const Descriptor lock = repo_.lock(file.hash, [&] {
      progress_.say("another process fetches " + file.path + "; waiting for it");
    });
    if (fs::exists(repo_.blob(file.hash), ignored))
      progress_.found(file.size);
    else
      fetch_blob(client, file, stop);
  }
  repo_.link(commit_, file.path, file.hash);
}

void Downloader::fetch_blob(Client& client, const RemoteFile& file, const Stop& stop) {
  PartialFile partial(repo_.blob(file.hash + ".incomplete"), file);
  progress_.found(partial.size());
  for (int tries = 0; tries < max_wrong_hashes; ++tries) {
    complete(client, file, partial, stop);
    if (partial.place(repo_.blob(file.hash))) return;
    progress_.arrived(-file.size);
  }
  throw Error(Code::unavailable, "what the hub sends of " + file.path +
                                     " has another hash than its list says (" + file.hash + ")");
}

void Downloader::complete(Client& client, const RemoteFile& file, PartialFile& partial,
                          const Stop& stop) {
  std::int64_t most = partial.size();
  for (int attempt = 0; !partial.complete();) {
    stop.check();
    Head head;
    std::string why = "the connection broke off";
    try {
      head = fetch_some(client, file, partial, stop);
      if (partial.complete()) return;
      if (head.status == 416) restart(partial);
      if (head.status / 100 != 2 && head.status != 416) throw_status(settings_, name_, head);
    } catch (const NetworkError& error) {
      why = error.what();
    }
    const bool got_on = partial.size() > most;
    most = std::max(most, partial.size());
    if (got_on) attempt = 0;
    if (!got_on && ++attempt == options_.max_attempts)
      throw Error(Code::unavailable, "cannot fetch " + file.path + " of " + name_.repo + ": " +
                                         why + ". The next try goes on with what has come.");
    progress_.say(file.path + ": " + why + "; trying again");
    if (!got_on) options_.pause(time_to_wait(head, attempt - 1));
  }
}

Head Downloader::fetch_some(Client& client, const RemoteFile& file, PartialFile& partial,
                            const Stop& stop) {
  const std::int64_t from = partial.size();
  bool begun = false;
  return client.get_file(
      name_.repo, commit_, file.path, from,
      [&](const Head& head) { check_linked(file, commit_, head); },
      [&](const Head& head, std::string_view bytes) {
        stop.check();
        if (!std::exchange(begun, true) && first_byte(file, head) != from) {
          if (first_byte(file, head) != 0) throw_changed(file, "another range than asked for");
          restart(partial);  // the server knows no ranges
        }
        partial.append(bytes);
        progress_.arrived(static_cast<std::int64_t>(bytes.size()));
      });
}

void Downloader::restart(PartialFile& partial) {
  progress_.arrived(-partial.size());
  partial.clear();
}

}  // namespace pippin::hub
