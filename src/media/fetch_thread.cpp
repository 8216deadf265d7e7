#include "media/fetch_thread.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <new>
#include <utility>
#include <vector>

#include "base/insist.h"
#include "base/log.h"
#include "media/url.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

// How soon a transfer that nobody waits for any more is ended.
constexpr int patience_ms = 100;

[[noreturn]] void refuse(std::string_view url, const std::string& why) {
  throw Error(Code::invalid_argument, "[fetch] cannot fetch '" + shortened(url) + "': " + why);
}

// The first call of libcurl in the process must not race with others: a local static is built once.
void start_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw Error(Code::internal, "[fetch] libcurl cannot start");
}

void set_limits(CURL* curl, const FetchOptions& options, std::int64_t max_bytes) {
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, static_cast<long>(options.max_redirects));
  curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);    // signals would hit other threads
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);  // one that ends waits for no look-up of a name
  curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options.total_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(max_bytes));
  if (!options.use_environment_proxy) curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

// The others' fetches go on, whatever becomes of one.
void tell(const MediaFetcher::Done& done, MediaFetcher::Result result) noexcept {
  try {
    done(std::move(result));
  } catch (const std::exception& error) {
    insist([&] { spdlog::error("[fetch] an end could not be told: {}", error.what()); });
  }
}

}  // namespace

// One URL on its way. Used by the thread alone; libcurl's callbacks get it.
class FetchThread::Transfer {
 public:
  Transfer(FairQueue<FetchTask>::Turn turn, const FetchOptions& options,
           const MediaFetcher::AddressRule& rule, ByteBudget::Lease held)
      : owner_(turn.owner),
        task_(std::move(turn.task)),
        rule_(rule),
        held_(std::move(held)),
        curl_(curl_easy_init()) {
    if (curl_ == nullptr) throw std::bad_alloc();
    set_limits(curl_.get(), options, task_.max_bytes);
    set_callbacks();
    curl_easy_setopt(curl_.get(), CURLOPT_PRIVATE, this);
    curl_easy_setopt(curl_.get(), CURLOPT_URL, task_.url.c_str());
    curl_easy_setopt(curl_.get(), CURLOPT_USERAGENT,
                     "pippin");  // some hosts refuse a request without
  }

  CURL* curl() const { return curl_.get(); }
  FairQueue<FetchTask>::Ticket owner() const { return owner_; }
  bool wanted() const { return !task_.wanted || task_.wanted(); }
  /// Whom to tell of its end; set once it has begun.
  void set_done(MediaFetcher::Done done) { done_ = std::move(done); }
  MediaFetcher::Done take_done() { return std::move(done_); }

  /// What came of it, as libcurl says.
  MediaFetcher::Result result(CURLcode code) {
    try {
      check(code);
      return Fetched{std::move(body_), std::move(held_)};
    } catch (...) {
      return std::current_exception();
    }
  }

 private:
  struct CloseCurl {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  };

  void set_callbacks() {
    curl_easy_setopt(curl_.get(), CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl_.get(), CURLOPT_WRITEDATA, this);
    curl_easy_setopt(curl_.get(), CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(curl_.get(), CURLOPT_OPENSOCKETDATA, this);
    curl_easy_setopt(curl_.get(), CURLOPT_ERRORBUFFER, message_);
  }

  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
    auto& self = *static_cast<Transfer*>(user);
    const auto max_bytes = static_cast<std::size_t>(self.task_.max_bytes);
    self.too_large_ = size > max_bytes - self.body_.size();
    if (self.too_large_) return CURL_WRITEFUNC_ERROR;
    self.no_room_ = !self.held_.grow(static_cast<std::int64_t>(size));
    if (self.no_room_) return CURL_WRITEFUNC_ERROR;
    try {
      self.body_.insert(self.body_.end(), data, data + size);
    } catch (const std::bad_alloc&) {  // may not pass through C
      self.no_memory_ = true;
      return CURL_WRITEFUNC_ERROR;
    }
    return size;
  }

  // libcurl asks for a socket with the address that it is about to connect to.
  static curl_socket_t on_socket(void* user, curlsocktype, curl_sockaddr* address) {
    auto& self = *static_cast<Transfer*>(user);
    if (!self.rule_(address->addr)) {
      self.refused_address_ = true;
      return CURL_SOCKET_BAD;
    }
    const int socket = ::socket(address->family, address->socktype, address->protocol);
    if (socket >= 0) fcntl(socket, F_SETFD, FD_CLOEXEC);
    return socket;
  }

  void check(CURLcode code) const {
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK) fail(code, status);
    if (status / 100 != 2) fail_status(status);
  }

  [[noreturn]] void fail_status(long status) const {
    refuse(task_.url, "the remote answered with status " + std::to_string(status));
  }

  [[noreturn]] void fail(CURLcode code, long status) const {
    if (no_memory_ || code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
    if (no_room_)
      throw Error(Code::unavailable,
                  "[fetch] as many bytes of pictures and videos are held as may be; try again");
    if (too_large_ || code == CURLE_FILESIZE_EXCEEDED)
      throw Error(Code::payload_too_large, "[fetch] '" + shortened(task_.url) +
                                               "' has more than the allowed " +
                                               std::to_string(task_.max_bytes) + " bytes");
    if (code == CURLE_HTTP_RETURNED_ERROR) fail_status(status);
    if (code == CURLE_COULDNT_CONNECT && refused_address_)
      refuse(task_.url,
             "it leads to an address outside the public internet, which is not allowed here");
    const std::string detail = message_;
    refuse(task_.url, detail.empty() ? curl_easy_strerror(code) : detail);
  }

  const FairQueue<FetchTask>::Ticket owner_;
  const FetchTask task_;
  MediaFetcher::Done done_;
  const MediaFetcher::AddressRule& rule_;
  std::vector<std::uint8_t> body_;
  ByteBudget::Lease held_;
  bool too_large_ = false;
  bool no_room_ = false;
  bool no_memory_ = false;
  bool refused_address_ = false;
  char message_[CURL_ERROR_SIZE] = {};
  std::unique_ptr<CURL, CloseCurl> curl_;
};

void FetchThread::CloseMulti::operator()(void* multi) const { curl_multi_cleanup(multi); }

FetchThread::FetchThread(const FetchOptions& options, MediaFetcher::AddressRule rule)
    : options_(options),
      rule_(std::move(rule)),
      held_(options.max_held_bytes),
      waiting_(options.max_per_owner) {
  start_curl();
  multi_.reset(curl_multi_init());
  if (multi_ == nullptr) throw std::bad_alloc();
  thread_ = std::thread([this] { run(); });
}

FetchThread::~FetchThread() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  curl_multi_wakeup(multi_.get());
  thread_.join();
  for (const auto& transfer : running_) curl_multi_remove_handle(multi_.get(), transfer->curl());
}

void FetchThread::add(const Client& client, FetchTask task) {
  {
    const MutexLock lock(mutex_);
    waiting_.push(client, std::move(task));
  }
  curl_multi_wakeup(multi_.get());
}

MediaFetcher::Stats FetchThread::stats() const {
  const MutexLock lock(mutex_);
  return {static_cast<std::int64_t>(num_running_), static_cast<std::int64_t>(waiting_.size()),
          held_.stats().used, held_.limit()};
}

void FetchThread::run() {
  for (;;) {
    begin_waiting();
    int num_active = 0;
    curl_multi_perform(multi_.get(), &num_active);
    end_finished();
    end_unwanted();
    {
      const MutexLock lock(mutex_);
      if (stopping_) return;
    }
    const int pause_ms = running_.empty() ? 60'000 : patience_ms;
    curl_multi_poll(multi_.get(), nullptr, 0, pause_ms, nullptr);
  }
}

void FetchThread::begin_waiting() {
  for (;;) {
    MutexLock lock(mutex_);
    if (stopping_ || num_running_ >= options_.max_at_once) return;
    auto turn = waiting_.pop();
    if (!turn) return;
    ++num_running_;
    lock.unlock();
    begin(std::move(*turn));
  }
}

// What can't even begin is told so.
void FetchThread::begin(FairQueue<FetchTask>::Turn turn) {
  const auto owner = turn.owner;
  auto done = std::move(turn.task.done);
  try {
    running_.push_back(std::make_unique<Transfer>(std::move(turn), options_, rule_, held_.none()));
    if (curl_multi_add_handle(multi_.get(), running_.back()->curl()) != CURLM_OK) {
      running_.pop_back();
      throw std::bad_alloc();
    }
    running_.back()->set_done(std::move(done));
  } catch (...) {
    give_turn_back(owner);
    tell(done, std::current_exception());
  }
}

void FetchThread::give_turn_back(FairQueue<FetchTask>::Ticket owner) {
  const MutexLock lock(mutex_);
  waiting_.finished(owner);
  --num_running_;
}

void FetchThread::end_finished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    const auto found = std::find_if(
        running_.begin(), running_.end(),
        [curl = message->easy_handle](const auto& each) { return each->curl() == curl; });
    MediaFetcher::Result result = (*found)->result(code);
    end(found, std::move(result));
  }
}

void FetchThread::end_unwanted() {
  for (auto next = running_.begin(); next != running_.end();) {
    const auto transfer = next++;
    if ((*transfer)->wanted()) continue;
    end(transfer, insist([] {
          return std::make_exception_ptr(
              Error(Code::cancelled, "[fetch] nobody waits for it any more"));
        }));
  }
}

// Its connection is closed, and its turn over, before its end is told.
void FetchThread::end(Transfers::iterator transfer, MediaFetcher::Result result) {
  const auto owner = (*transfer)->owner();
  const auto done = (*transfer)->take_done();
  curl_multi_remove_handle(multi_.get(), (*transfer)->curl());
  running_.erase(transfer);
  give_turn_back(owner);
  tell(done, std::move(result));
  curl_multi_wakeup(multi_.get());  // for the next one's turn
}

}  // namespace pippin::media
