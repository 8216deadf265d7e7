#include "base/byte_budget.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
#include "base/mutex.h"

namespace pippin {

struct ByteBudget::Lease::State : std::enable_shared_from_this<State> {
  struct Request {
    std::int64_t bytes;
    std::function<bool()> wanted;
    Granted granted;
  };

  explicit State(std::int64_t bytes) : limit(bytes) {}

  void add(const Client& client, Request request) {
    {
      const MutexLock lock(mutex);
      waiting.push(client, std::move(request));
    }
    serve();
  }

  void give_back(std::int64_t bytes) {
    {
      const MutexLock lock(mutex);
      used -= bytes;
    }
    serve();
  }

  bool grow(std::int64_t bytes) {
    const MutexLock lock(mutex);
    if (next || used + bytes > limit) return false;
    used += bytes;
    return true;
  }

  // Takes no memory and throws nothing: it runs in destructors. Callbacks run without the lock: they may drop leases, which comes
  // back here.
  void serve() noexcept {
    while (auto request = take_next()) grant(*request);
  }

  void grant(Request& request) noexcept {
    try {
      request.granted(Lease(shared_from_this(), request.bytes));
    } catch (const std::exception& bug) {  // the lease has come back, and others go on
      insist([&] { spdlog::error("[byte_budget] who got bytes failed: {}", bug.what()); });
    }
  }

  // The next request whose bytes are there, which are taken; null where there is none.
  std::optional<Request> take_next() {
    MutexLock lock(mutex);
    while (choose()) {
      const std::int64_t missing = used + next->bytes - limit;
      if (missing <= 0) {
        used += next->bytes;
        return std::exchange(next, std::nullopt);
      }
      if (!reclaim || reclaiming) return {};
      reclaiming = true;
      const std::int64_t before = used;
      lock.unlock();
      reclaim(missing);
      lock.lock();
      reclaiming = false;
      if (used >= before) return {};
    }
    return {};
  }

  // Whether there is a next one that is still wanted.
  bool choose() REQUIRES(mutex) {
    while (!next || (next->wanted && !next->wanted())) {
      if (next) {
        drop_next();
        continue;
      }
      auto turn = waiting.pop();
      if (!turn) return false;
      waiting.finished(turn->owner);
      next.emplace(std::move(turn->task));
    }
    return true;
  }

  // What it holds is destroyed without the lock.
  void drop_next() REQUIRES(mutex) {
    auto dropped = std::exchange(next, std::nullopt);
    const MutexUnlock unlock(mutex);
    dropped.reset();
  }

  const std::int64_t limit;
  Mutex mutex;
  std::function<void(std::int64_t)> reclaim;  // set once; emptied by the budget's destructor
  bool reclaiming GUARDED_BY(mutex) = false;
  std::int64_t used GUARDED_BY(mutex) = 0;
  std::optional<Request> next GUARDED_BY(mutex);  // whose turn it is
  FairQueue<Request> waiting GUARDED_BY(mutex);
};

ByteBudget::Lease::Lease(std::shared_ptr<State> state, std::int64_t bytes)
    : state_(std::move(state)), bytes_(bytes) {}

ByteBudget::Lease::Lease(Lease&& other) noexcept
    : state_(std::move(other.state_)), bytes_(std::exchange(other.bytes_, 0)) {}

ByteBudget::Lease& ByteBudget::Lease::operator=(Lease&& other) noexcept {
  std::swap(state_, other.state_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

ByteBudget::Lease::~Lease() {
  if (state_ && bytes_ > 0) state_->give_back(bytes_);
}

ByteBudget::Lease ByteBudget::Lease::split(std::int64_t bytes) {
  bytes = std::min(bytes, bytes_);
  bytes_ -= bytes;
  return {state_, bytes};
}

bool ByteBudget::Lease::grow(std::int64_t bytes) {
  if (!state_ || !state_->grow(bytes)) return false;
  bytes_ += bytes;
  return true;
}

ByteBudget::ByteBudget(std::int64_t limit, std::function<void(std::int64_t)> reclaim)
    : state_(std::make_shared<Lease::State>(limit)) {
  state_->reclaim = std::move(reclaim);
}

ByteBudget::~ByteBudget() {
  const MutexLock lock(state_->mutex);
  state_->reclaim = nullptr;
}

std::int64_t ByteBudget::limit() const { return state_->limit; }

ByteBudget::Lease ByteBudget::none() { return {state_, 0}; }

void ByteBudget::take(const Client& client, std::int64_t bytes, std::function<bool()> wanted,
                      Granted granted) {
  state_->add(client, {bytes, std::move(wanted), std::move(granted)});
}

void ByteBudget::look_again() { state_->serve(); }

std::function<void()> ByteBudget::looks_again() const {
  return [state = state_] { state->serve(); };
}

ByteBudget::Stats ByteBudget::stats() const {
  const MutexLock lock(state_->mutex);
  return {state_->limit, state_->used,
          static_cast<std::int64_t>(state_->waiting.size()) + (state_->next ? 1 : 0)};
}

}  // namespace pippin
