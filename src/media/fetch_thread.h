// The thread that carries http(s) transfers, all at once. Internal to media/.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "base/byte_budget.h"
#include "base/fair_queue.h"
#include "base/mutex.h"
#include "media/fetch.h"

namespace pippin::media {

/// What is to be fetched, and for whom.
struct FetchTask {
  std::string url;
  std::int64_t max_bytes = 0;
  std::function<bool()> wanted;  ///< empty: it always is
  MediaFetcher::Done done;
};

/// See MediaFetcher. Any thread may add tasks; the transfers belong to its own. A transfer that there is no memory for ends with
/// std::bad_alloc.
class FetchThread {
 public:
  FetchThread(const FetchOptions& options, MediaFetcher::AddressRule rule);
  ~FetchThread();
  FetchThread(const FetchThread&) = delete;
  FetchThread& operator=(const FetchThread&) = delete;

  void add(const Client& client, FetchTask task);
  MediaFetcher::Stats stats() const;

 private:
  class Transfer;
  using Transfers = std::list<std::unique_ptr<Transfer>>;
  struct CloseMulti {
    void operator()(void* multi) const;
  };

  void run();
  void begin_waiting();
  void begin(FairQueue<FetchTask>::Turn turn);
  void give_turn_back(FairQueue<FetchTask>::Ticket owner);
  void end_finished();
  void end_unwanted();
  void end(Transfers::iterator transfer, MediaFetcher::Result result);

  const FetchOptions options_;
  const MediaFetcher::AddressRule rule_;
  ByteBudget held_;
  std::unique_ptr<void, CloseMulti> multi_;  // libcurl's
  mutable Mutex mutex_;
  FairQueue<FetchTask> waiting_ GUARDED_BY(mutex_);
  std::size_t num_running_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  Transfers running_;  // the thread's
  std::thread thread_;
};

}  // namespace pippin::media
