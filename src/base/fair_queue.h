// Tasks of many clients in turn, so that one with many holds up none with few.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <limits>
#include <list>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "pippin/client.h"

namespace pippin {

/// The next task is of the owner that has the fewest running, of these the one whose last turn is longest ago; an owner's connections
/// take turns in the same way, and a connection's tasks go in order. Only push() takes memory; where it throws std::bad_alloc it has
/// changed nothing. Not thread-safe.
template <class Task>
class FairQueue {
  static_assert(std::is_nothrow_move_constructible_v<Task>);
  // Constructors: GCC 12 destroys the parts of a braced temporary twice where memory for its place in a list is missing.
  struct Flow {
    explicit Flow(std::string name) : name(std::move(name)) {}
    std::string name;
    std::deque<Task> tasks;
  };
  struct Owner {
    explicit Owner(std::string name) : name(std::move(name)) {}
    std::string name;
    std::list<Flow> flows;  ///< those with tasks; the next one first
    std::size_t running = 0;
  };

 public:
  /// Whose turn it is; valid until finished() has been told as often as pop() has given it.
  using Ticket = typename std::list<Owner>::iterator;

  struct Turn {
    Ticket owner;  ///< to be told to finished()
    Task task;
  };

  /// An owner has at most `max_running` tasks running.
  explicit FairQueue(std::size_t max_running = std::numeric_limits<std::size_t>::max())
      : max_running_(max_running) {}

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  void push(const Client& client, Task task) {
    Owner& owner = find_or_add(owners_, client.owner);
    try {
      find_or_add(owner.flows, client.connection).tasks.push_back(std::move(task));
    } catch (...) {
      drop_empty(owner);
      throw;
    }
    ++size_;
  }

  /// Nothing where there is no task, or only ones of owners that have as many running as they may.
  std::optional<Turn> pop() noexcept {
    const auto owner = next_owner();
    if (owner == owners_.end()) return {};
    auto flow = owner->flows.begin();
    Turn turn{owner, std::move(flow->tasks.front())};
    flow->tasks.pop_front();
    if (flow->tasks.empty())
      owner->flows.erase(flow);
    else
      owner->flows.splice(owner->flows.end(), owner->flows, flow);
    ++owner->running;
    --size_;
    owners_.splice(owners_.end(), owners_, owner);
    return turn;
  }

  /// A task that pop() gave has ended.
  void finished(Ticket owner) noexcept {
    if (--owner->running == 0 && owner->flows.empty()) owners_.erase(owner);
  }

 private:
  template <class Named>
  static Named& find_or_add(std::list<Named>& all, const std::string& name) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Named& each) { return each.name == name; });
    return found != all.end() ? *found : all.emplace_back(name);
  }

  void drop_empty(Owner& owner) {
    owner.flows.remove_if([](const Flow& flow) { return flow.tasks.empty(); });
    if (owner.running == 0 && owner.flows.empty())
      owners_.remove_if([&](const Owner& each) { return &each == &owner; });
  }

  Ticket next_owner() noexcept {
    auto next = owners_.end();
    for (auto owner = owners_.begin(); owner != owners_.end(); ++owner) {
      if (owner->flows.empty() || owner->running >= max_running_) continue;
      if (next == owners_.end() || owner->running < next->running) next = owner;
    }
    return next;
  }

  std::size_t max_running_;
  std::list<Owner> owners_;  // the one whose last turn is longest ago first
  std::size_t size_ = 0;
};

}  // namespace pippin
