// Which grammars are kept and which are being compiled; the Rust library does the work.
#include <algorithm>
#include <atomic>
#include <list>
#include <utility>

#include "base/insist.h"
#include "base/mutex.h"
#include "base/rust.h"
#include "pippin/error.h"
#include "text/grammar.h"

namespace pippin::text {
namespace {

constexpr const char* where = "grammar";
// How often one who waits looks whether it still wants the grammar.
constexpr std::chrono::milliseconds poll{20};

bool is_cancelled(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() == Code::cancelled;
  } catch (...) {
    return false;
  }
}

}  // namespace

class GrammarCompiler::State : public std::enable_shared_from_this<State> {
 public:
  State(const std::shared_ptr<const Tokenizer>& tokenizer, std::span<const std::int32_t> end_tokens,
        const Options& options)
      : options_(options) {
    rust::Buffer error;
    const PippinGrammarOptions limits{options.threads, options.max_waiting, options.max_bytes,
                                      options.max_grammar_bytes};
    const auto status = pippin_grammars_new(tokenizer->handle(), end_tokens.data(),
                                            end_tokens.size(), &limits, &handle_, error.out());
    rust::check(status, error, where);
  }
  ~State() { pippin_grammars_free(handle_); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void post(const Grammar& grammar, const Client& client, Wanted wanted, Done done);
  void close();
  void make_room(std::size_t bytes);
  std::size_t clear();
  std::size_t num_kept() const;
  GrammarStats stats() const;
  void count(const std::exception_ptr& failure);

 private:
  struct Kept {
    Grammar grammar;
    std::shared_ptr<const Matcher> matcher;  ///< at the beginning
  };
  struct Waiter {
    Client client;
    Wanted wanted;
    Done done;

    bool waits() const { return !wanted || wanted(); }
  };
  /// A grammar that is being compiled, and who waits for it.
  struct Pending {
    Grammar grammar;
    std::list<Waiter> waiters = {};  ///< only with State::mutex_ held
  };
  /// What the Rust library holds meanwhile.
  struct Posted {
    std::shared_ptr<State> state;
    std::shared_ptr<Pending> pending;
  };

  std::shared_ptr<const Matcher> find(const Grammar& grammar);
  std::shared_ptr<const Matcher> keep(const Grammar& grammar, Matcher matcher);
  std::shared_ptr<Pending> wait(const Grammar& grammar, std::list<Waiter>& waiter);
  void compile(const std::shared_ptr<Pending>& pending, const Client& client);
  bool is_wanted(const Pending& pending);
  void finish(const Pending& pending, PippinStatus status, PippinMatcher* matcher,
              std::string_view error);
  std::list<Waiter> take_waiters(const Pending& pending);
  void tell(std::list<Waiter> waiters, const Grammar& grammar,
            const std::shared_ptr<const Matcher>& matcher, const std::exception_ptr& failure);
  std::size_t largest() const;
  bool exceeds(std::size_t bytes) const;
  void drop_last() REQUIRES(mutex_);

  const Options options_;
  PippinGrammars* handle_ = nullptr;
  mutable Mutex mutex_;
  std::list<Kept> kept_ GUARDED_BY(mutex_);  // the latest used first
  std::size_t kept_text_bytes_ GUARDED_BY(mutex_) = 0;
  std::list<std::shared_ptr<Pending>> pending_ GUARDED_BY(mutex_);
  std::atomic<std::int64_t> compiled_ = 0, refused_ = 0, busy_ = 0;
};

void GrammarCompiler::State::post(const Grammar& grammar, const Client& client, Wanted wanted,
                                  Done done) {
  if (grammar.text.size() > options_.max_text_bytes)
    return done(nullptr, std::make_exception_ptr(Error(
                             Code::invalid_argument,
                             "[grammar] it has " + std::to_string(grammar.text.size()) +
                                 " bytes, more than " + std::to_string(options_.max_text_bytes))));
  if (auto matcher = find(grammar)) return done(std::move(matcher), nullptr);
  make_room(largest());
  std::list<Waiter> waiter;
  waiter.push_back({client, std::move(wanted), std::move(done)});
  if (const auto pending = wait(grammar, waiter)) compile(pending, client);
}

// What has to be compiled now; null where it is being compiled already. Changes nothing where it throws.
auto GrammarCompiler::State::wait(const Grammar& grammar, std::list<Waiter>& waiter)
    -> std::shared_ptr<Pending> {
  const MutexLock lock(mutex_);
  const auto found = std::find_if(pending_.begin(), pending_.end(),
                                  [&](const auto& pending) { return pending->grammar == grammar; });
  auto pending = found != pending_.end() ? *found : std::make_shared<Pending>(Pending{grammar});
  if (found == pending_.end()) pending_.push_back(pending);
  pending->waiters.splice(pending->waiters.end(), waiter);
  return found == pending_.end() ? pending : nullptr;
}

void GrammarCompiler::State::compile(const std::shared_ptr<Pending>& pending,
                                     const Client& client) {
  const Grammar& grammar = pending->grammar;
  PippinGrammarOrder order{};
  order.kind = static_cast<std::int32_t>(grammar.kind);
  order.text = rust::bytes(grammar.text);
  order.size = grammar.text.size();
  order.limit_ms = static_cast<std::uint32_t>(options_.time_limit.count());
  order.owner = rust::bytes(client.owner);
  order.owner_size = client.owner.size();
  order.connection = rust::bytes(client.connection);
  order.connection_size = client.connection.size();
  order.wanted = [](void* context) -> std::int32_t {
    const auto& posted = *static_cast<const Posted*>(context);
    return posted.state->is_wanted(*posted.pending) ? 1 : 0;
  };
  order.done = [](void* context, PippinStatus status, PippinMatcher* matcher, PippinBuffer* error) {
    const std::unique_ptr<Posted> posted(static_cast<Posted*>(context));
    posted->state->finish(*posted->pending, status, matcher,
                          {reinterpret_cast<const char*>(error->data), error->size});
  };
  try {
    order.context = new Posted{shared_from_this(), pending};
  } catch (...) {
    tell(take_waiters(*pending), grammar, nullptr, std::current_exception());
    return;
  }
  pippin_grammar_compile(handle_, &order);
}

bool GrammarCompiler::State::is_wanted(const Pending& pending) {
  const MutexLock lock(mutex_);
  return std::any_of(pending.waiters.begin(), pending.waiters.end(),
                     [](const Waiter& waiter) { return waiter.waits(); });
}

void GrammarCompiler::State::finish(const Pending& pending, PippinStatus status,
                                    PippinMatcher* handle, std::string_view error) {
  std::shared_ptr<const Matcher> matcher;
  std::exception_ptr failure;
  Matcher owner(handle);
  try {
    rust::check(status, error, where);
    matcher = keep(pending.grammar, std::move(owner));
  } catch (...) {
    failure = std::current_exception();
  }
  tell(take_waiters(pending), pending.grammar, matcher, failure);
}

auto GrammarCompiler::State::take_waiters(const Pending& pending) -> std::list<Waiter> {
  std::list<Waiter> waiters;
  const MutexLock lock(mutex_);
  for (auto it = pending_.begin(); it != pending_.end(); ++it) {
    if (it->get() != &pending) continue;
    const auto taken = std::move(*it);
    pending_.erase(it);
    waiters.swap(taken->waiters);
    break;
  }
  return waiters;
}

// Who came when the work had been given up for want of others that wait has it begun again.
void GrammarCompiler::State::tell(std::list<Waiter> waiters, const Grammar& grammar,
                                  const std::shared_ptr<const Matcher>& matcher,
                                  const std::exception_ptr& failure) {
  const bool given_up = failure && is_cancelled(failure);
  for (Waiter& waiter : waiters)
    insist([&] {
      if (given_up && waiter.waits())
        post(grammar, waiter.client, waiter.wanted, waiter.done);
      else
        waiter.done(matcher, failure);
    });
}

std::shared_ptr<const Matcher> GrammarCompiler::State::find(const Grammar& grammar) {
  const MutexLock lock(mutex_);
  const auto found = std::find_if(kept_.begin(), kept_.end(),
                                  [&](const Kept& kept) { return kept.grammar == grammar; });
  if (found == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found);
  return found->matcher;
}

std::shared_ptr<const Matcher> GrammarCompiler::State::keep(const Grammar& grammar,
                                                            Matcher matcher) {
  auto shared = std::make_shared<const Matcher>(std::move(matcher));
  ++compiled_;
  const MutexLock lock(mutex_);
  kept_.push_front({grammar, shared});
  kept_text_bytes_ += grammar.text.size();
  while (kept_.size() > options_.max_kept ||
         (kept_.size() > 1 &&
          (kept_text_bytes_ > options_.max_kept_text_bytes || exceeds(options_.max_bytes))))
    drop_last();
  return shared;
}

// What one grammar may take, as far as that leaves room for others.
std::size_t GrammarCompiler::State::largest() const {
  return std::min(options_.max_grammar_bytes, options_.max_bytes / 2);
}

bool GrammarCompiler::State::exceeds(std::size_t bytes) const {
  return pippin_grammars_bytes(handle_) > bytes;
}

// As far as those that are kept take it.
void GrammarCompiler::State::make_room(std::size_t bytes) {
  const MutexLock lock(mutex_);
  const std::size_t left = options_.max_bytes - std::min(bytes, largest());
  while (!kept_.empty() && exceeds(left)) drop_last();
}

void GrammarCompiler::State::drop_last() {
  kept_text_bytes_ -= kept_.back().grammar.text.size();
  kept_.pop_back();
}

void GrammarCompiler::State::count(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    if (error.code() == Code::invalid_argument)
      ++refused_;
    else if (error.code() == Code::resource_exhausted || error.code() == Code::unavailable)
      ++busy_;
  } catch (...) {
    ++busy_;  // no memory
  }
}

void GrammarCompiler::State::close() {
  std::list<std::shared_ptr<Pending>> pending;
  {
    const MutexLock lock(mutex_);
    pending.swap(pending_);
  }
  const auto failure = insist([] {
    return std::make_exception_ptr(
        Error(Code::unavailable, "[grammar] the engine is shutting down"));
  });
  for (const auto& one : pending) {
    std::list<Waiter> waiters;
    {
      const MutexLock lock(mutex_);
      waiters.swap(one->waiters);
    }
    tell(std::move(waiters), one->grammar, nullptr, failure);
  }
}

std::size_t GrammarCompiler::State::clear() {
  std::list<Kept> dropped;
  const MutexLock lock(mutex_);
  dropped.swap(kept_);
  kept_text_bytes_ = 0;
  return dropped.size();
}

std::size_t GrammarCompiler::State::num_kept() const {
  const MutexLock lock(mutex_);
  return kept_.size();
}

GrammarStats GrammarCompiler::State::stats() const {
  GrammarStats stats;
  stats.kept = static_cast<std::int64_t>(num_kept());
  stats.bytes = static_cast<std::int64_t>(pippin_grammars_bytes(handle_));
  stats.limit_bytes = static_cast<std::int64_t>(options_.max_bytes);
  stats.waiting = static_cast<std::int64_t>(pippin_grammars_waiting(handle_));
  stats.compiled = compiled_;
  stats.refused = refused_;
  stats.busy = busy_;
  return stats;
}

// ---------------------------------------------------------------------------------------------------------------------

GrammarCompiler::GrammarCompiler(const std::shared_ptr<const Tokenizer>& tokenizer,
                                 std::span<const std::int32_t> end_tokens, Options options)
    : state_(std::make_shared<State>(tokenizer, end_tokens, options)) {}

GrammarCompiler::~GrammarCompiler() { state_->close(); }

void GrammarCompiler::post(const Grammar& grammar, const Client& client, Wanted wanted, Done done) {
  auto counted = [state = state_.get(), done = std::move(done)](
                     std::shared_ptr<const Matcher> matcher, const std::exception_ptr& failure) {
    if (failure) state->count(failure);
    done(std::move(matcher), failure);
  };
  state_->post(grammar, client, std::move(wanted), std::move(counted));
}

Matcher GrammarCompiler::compile(const Grammar& grammar, const Wanted& wanted,
                                 const Client& client) {
  struct Wait {
    Mutex mutex;
    ConditionVariable ended;
    bool done GUARDED_BY(mutex) = false;
    std::shared_ptr<const Matcher> matcher GUARDED_BY(mutex);
    std::exception_ptr failure GUARDED_BY(mutex);
    std::atomic<bool> given_up = false;
  };
  const auto wait = std::make_shared<Wait>();
  post(
      grammar, client, [wait] { return !wait->given_up; },
      [wait](std::shared_ptr<const Matcher> matcher, const std::exception_ptr& failure) {
        const MutexLock lock(wait->mutex);
        wait->matcher = std::move(matcher);
        wait->failure = failure;
        wait->done = true;
        wait->ended.notify_one();
      });
  MutexLock lock(wait->mutex);
  while (!wait->ended.wait_for(wait->mutex, poll,
                               [&]() REQUIRES(wait->mutex) { return wait->done; })) {
    if (!wanted || wanted()) continue;
    wait->given_up = true;
    throw Error(Code::cancelled, "[grammar] nobody waits for it any longer");
  }
  if (wait->failure) std::rethrow_exception(wait->failure);
  return begin(*wait->matcher);
}

Matcher GrammarCompiler::begin(const Matcher& compiled) {
  state_->make_room(static_cast<std::size_t>(compiled.bytes()));
  try {
    return compiled.copy();
  } catch (...) {
    state_->count(std::current_exception());
    throw;
  }
}

std::size_t GrammarCompiler::clear() { return state_->clear(); }
std::size_t GrammarCompiler::num_kept() const { return state_->num_kept(); }
GrammarStats GrammarCompiler::stats() const { return state_->stats(); }

}  // namespace pippin::text
