#include "engine/cache/window_pages.h"

#include <algorithm>
#include <utility>

#include "pippin/error.h"

namespace pippin::engine {

int WindowNeeds::of_sequence() const {
  const int seen = (window + page_size - 2) / page_size + 1;  // of any row
  const int kept_before = 1, of_rows_under_way = 1, copied_from = 1;
  return seen + kept_before + of_rows_under_way + copied_from;
}

int WindowNeeds::of_context(std::int64_t num_tokens) const {
  const std::int64_t copied_from = 1, pages = (num_tokens + page_size - 1) / page_size;
  return static_cast<int>(std::min(of_sequence() - copied_from, pages));
}

WindowPages::WindowPages(int num_pages, int num_owners, const WindowNeeds& needs)
    : needs_(needs), num_pages_(num_pages), owned_(static_cast<std::size_t>(num_owners)) {
  free_.reserve(static_cast<std::size_t>(num_pages));
  reset();
}

void WindowPages::reset() noexcept {
  left_behind_.clear();
  last_to_go_.clear();
  for (auto& owned : owned_) owned = Owned{};
  free_.clear();
  for (PageId page = num_pages_; page-- > 0;) free_.push_back(page);
}

// Where each owner has a page of its own there always is room.
bool WindowPages::has_room_for(std::int64_t num_pages) const {
  return static_cast<std::size_t>(num_pages_) >= owned_.size() ||
         num_pages + needs_.of_steps() <= num_pages_;
}

std::size_t WindowPages::first_seen(std::int64_t position) const {
  return static_cast<std::size_t>(std::max<std::int64_t>(0, position + 1 - needs_.window) /
                                  needs_.page_size);
}

std::size_t WindowPages::first_kept(std::int64_t position) const {
  const auto seen = first_seen(position);
  return seen > 0 ? seen - 1 : 0;
}

std::size_t WindowPages::resumable(std::span<const PageId> pages) const {
  std::size_t best = 0, begin = 0;  // of the pages before that one after the other are there
  for (std::size_t end = 1; end <= pages.size(); ++end) {
    if (!has(pages[end - 1])) begin = end;
    if (begin <= first_seen(static_cast<std::int64_t>(end) * needs_.page_size)) best = end;
  }
  return best;
}

bool WindowPages::take_page(PageId owner) {
  if (free_.empty()) {
    auto& order = left_behind_.empty() ? last_to_go_ : left_behind_;
    if (order.empty()) return false;
    forget(order.front());
  }
  of(owner).page = free_.back();
  free_.pop_back();
  return true;
}

void WindowPages::add(PageId owner) {
  if (has(owner)) return use(owner);
  if (!take_page(owner)) throw Error(Code::internal, "every page of the windows is in use");
  of(owner).users = 1;
}

bool WindowPages::add_cached(PageId owner) {
  if (has(owner)) return true;
  if (!take_page(owner)) return false;
  keep(owner, false);
  return true;
}

void WindowPages::use(PageId owner) {
  auto& owned = of(owner);
  if (owned.users == 0) stop_keeping(owned);
  ++owned.users;
}

void WindowPages::drop(PageId owner, bool last_to_go) {
  if (--of(owner).users == 0) keep(owner, last_to_go);
}

void WindowPages::move(PageId from, PageId to) {
  if (from == to || !has(from)) return;
  auto& source = of(from);
  auto& target = of(to);
  const int users = std::exchange(source.users, 0);
  if (!has(to)) {
    if (users == 0) stop_keeping(source);
    target.page = std::exchange(source.page, none);
    if (users == 0) keep(to, source.last_to_go);
    target.users = users;
    return;
  }
  if (users > 0 && target.users == 0) stop_keeping(target);
  target.users += users;
  if (users == 0) stop_keeping(source);
  free_page(from);
}

void WindowPages::forget(PageId owner) {
  auto& owned = of(owner);
  if (!is_cached(owned)) return;
  stop_keeping(owned);
  free_page(owner);
}

void WindowPages::forget_cached() {
  for (auto* order : {&left_behind_, &last_to_go_})
    while (!order->empty()) forget(order->front());
}

void WindowPages::free_page(PageId owner) { free_.push_back(std::exchange(of(owner).page, none)); }

void WindowPages::keep(PageId owner, bool last_to_go) {
  auto& owned = of(owner);
  auto& order = last_to_go ? last_to_go_ : left_behind_;
  owned.last_to_go = last_to_go;
  owned.place = order.insert(order.end(), owner);
}

void WindowPages::stop_keeping(Owned& owned) {
  (owned.last_to_go ? last_to_go_ : left_behind_).erase(owned.place);
}

std::string WindowPages::check(std::span<const PageId> used) const {
  std::vector<int> users(owned_.size(), 0), holders(static_cast<std::size_t>(num_pages_), 0);
  for (const PageId owner : used) ++users[static_cast<std::size_t>(owner)];
  for (const PageId page : free_) ++holders[static_cast<std::size_t>(page)];
  int cached = 0;
  for (std::size_t i = 0; i < owned_.size(); ++i) {
    const auto& owned = owned_[i];
    if (owned.users != users[i]) return "a page's users are not those that use it";
    if (owned.page == none && owned.users > 0) return "a page in use has no window page";
    if (owned.page == none) continue;
    ++holders[static_cast<std::size_t>(owned.page)];
    cached += is_cached(owned);
  }
  if (std::any_of(holders.begin(), holders.end(), [](int count) { return count != 1; }))
    return "a page is lost, or two owners have it";
  return cached == num_cached() ? "" : "cached pages are counted wrong";
}

}  // namespace pippin::engine
