#include "server/http/waiting.h"

namespace pippin::server {
namespace {

// A client that is at work sends its header at once; past this it goes before kept-alive ones.
constexpr std::chrono::seconds header_is_late{1};

}  // namespace

std::optional<std::uint64_t> WaitingConnections::add(std::uint64_t number,
                                                     const std::string& address, Stage stage,
                                                     Clock::time_point now) {
  const MutexLock lock(mutex_);
  if (const auto known = entries_.find(number); known != entries_.end()) forget(known);
  const auto entry = entries_.emplace(number, Entry{address, stage, ++next_turn_}).first;
  try {
    enqueue(entry->second, {number, now});
  } catch (...) {
    forget(entry);
    throw;
  }
  if (stage == Stage::idle) return {};
  const Queue& same_address = by_address_.at(address);
  if (same_address.size() <= max_per_address_) return {};
  return take(same_address.begin()->second.number);
}

void WaitingConnections::enqueue(const Entry& entry, const Turn& turn) {
  of_stage(entry.stage)[entry.turn] = turn;
  if (entry.stage == Stage::header) by_address_[entry.address][entry.turn] = turn;
}

void WaitingConnections::remove(std::uint64_t number) {
  const MutexLock lock(mutex_);
  if (const auto known = entries_.find(number); known != entries_.end()) forget(known);
}

std::optional<std::uint64_t> WaitingConnections::take_oldest(Clock::time_point now) {
  const MutexLock lock(mutex_);
  if (headers_.empty() && idle_.empty()) return {};
  if (headers_.empty()) return take(idle_.begin()->second.number);
  const Turn& header = headers_.begin()->second;
  if (idle_.empty() || now - header.since >= header_is_late) return take(header.number);
  const Turn& idle = idle_.begin()->second;
  return take(header.since < idle.since ? header.number : idle.number);
}

std::uint64_t WaitingConnections::take(std::uint64_t number) {
  forget(entries_.find(number));
  return number;
}

void WaitingConnections::forget(std::map<std::uint64_t, Entry>::iterator entry) {
  const auto& [address, stage, turn] = entry->second;
  of_stage(stage).erase(turn);
  if (stage == Stage::header) {
    const auto same_address = by_address_.find(address);
    if (same_address != by_address_.end()) {  // else add() found no memory for it
      same_address->second.erase(turn);
      if (same_address->second.empty()) by_address_.erase(same_address);
    }
  }
  entries_.erase(entry);
}

}  // namespace pippin::server
