#include "engine/disk/pages.h"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "base/insist.h"
#include "base/log.h"

namespace pippin::engine {
namespace {

// Keys waiting to be written; past it the oldest are given up, whose pages have most likely been evicted.
constexpr std::size_t max_unwritten = 1 << 17;

template <class T>
void append(std::string& out, const T* values, std::size_t count) {
  const std::uint64_t size = count;
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

// All that the key is a hash of, so that not even a collision returns another page.
std::string describe(const PageKey& parent, const PageContent& content) {
  std::string out(parent.begin(), parent.end());
  append(out, content.tokens.data(), content.tokens.size());
  for (const auto& medium : content.media) {
    const std::int32_t place[] = {medium.begin, medium.offset};
    append(out, place, 2);
    append(out, medium.digest.data(), medium.digest.size());
  }
  append(out, content.adapter.data(), content.adapter.size());
  return out;
}

}  // namespace

DiskPages::DiskPages(std::shared_ptr<DiskStore> store, PageBytes bytes, EntryKind kind,
                     std::size_t max_bytes_coming)
    : store_(std::move(store)),
      bytes_(std::move(bytes)),
      kind_(kind),
      max_held_(
          std::max<std::size_t>(2, max_bytes_coming / std::max<std::size_t>(bytes_.size, 1))) {}

bool DiskPages::request(const PageKey& key) {
  if (const auto it = reads_.find(key); it != reads_.end()) {
    ++it->second.users;
    return true;
  }
  if (!store_->contains(kind_, key)) return false;
  const bool noted = attempt([&] {
    to_start_.push_back(key);  // of no matter by itself
    reads_[key].users = 1;
  });
  if (noted) start_reads();
  return noted;
}

void DiskPages::start_reads() {
  while (!to_start_.empty() && num_held_ < max_held_) {
    const auto it = reads_.find(to_start_.front());
    to_start_.pop_front();
    if (it == reads_.end() || std::exchange(it->second.started, true)) continue;
    auto room = take_spare();
    if (attempt([&] { inbox_->read(*store_, kind_, it->first, std::move(room)); }))
      ++num_held_;
    else
      it->second.state = State::absent;
  }
}

RawBytes DiskPages::take_spare() {
  if (spare_.empty()) return {};
  auto room = std::move(spare_.back());
  spare_.pop_back();
  return room;
}

void DiskPages::take_arrived() {
  for (auto& [key, result] : inbox_->take()) {
    const auto it = reads_.find(key);
    const bool wanted = it != reads_.end() && it->second.state == State::coming;
    const bool good = result.status == ReadStatus::ok && result.entry.payload.size() == bytes_.size;
    if (!wanted || !good) --num_held_;
    if (!wanted) continue;
    it->second.state = good ? State::here : State::absent;
    if (good) it->second.entry = std::move(result.entry);
  }
  start_reads();
}

ColdPages::State DiskPages::state(const PageKey& key) {
  take_arrived();
  const auto it = reads_.find(key);
  return it == reads_.end() ? State::absent : it->second.state;
}

bool DiskPages::load(const PageKey& key, const PageKey& parent, const PageContent& content,
                     PageId page) {
  const auto it = reads_.find(key);
  if (it == reads_.end() || it->second.state != State::here) return false;
  try {
    if (it->second.entry.description != describe(parent, content)) return false;
    bytes_.write(page, it->second.entry.payload);
  } catch (const std::exception& failure) {  // no memory: as if it were another
    spdlog::warn("[disk_pages] a page that was read is lost: {}", failure.what());
    return false;
  }
  note_bytes(key, page);
  return true;
}

void DiskPages::note_bytes(const PageKey& key, PageId page) {
  if (is_whole(page))
    in_part_.erase(key);
  else if (in_part_.size() < max_unwritten)
    attempt([&] { in_part_.insert(key); });
}

void DiskPages::forget(const PageKey& key) {
  const auto it = reads_.find(key);
  if (it == reads_.end() || --it->second.users > 0) return;
  if (it->second.state == State::here) {
    --num_held_;
    attempt([&] { spare_.push_back(std::move(it->second.entry.payload)); });
  }
  reads_.erase(it);
  start_reads();
  if (reads_.empty()) spare_.clear();
}

// Those that have been started arrive later all the same.
void DiskPages::forget_all() noexcept {
  for (const auto& [key, read] : reads_) num_held_ -= read.state == State::here;
  reads_.clear();
  to_start_.clear();
  spare_.clear();
}

void DiskPages::published(const PageKey& key) {
  attempt([&] { unwritten_.push_back(key); });
  if (unwritten_.size() > max_unwritten) unwritten_.pop_front();
}

// The first page last: it is evicted last.
void DiskPages::used(std::span<const PageKey> keys) {
  attempt([&] {
    const std::vector<PageKey> from_the_end(keys.rbegin(), keys.rend());
    store_->use(kind_, from_the_end);
  });
}

bool DiskPages::write_behind(const Find& find, std::chrono::steady_clock::time_point end) {
  bool copied = false;
  while (!unwritten_.empty() && write_or_lose(find, unwritten_.front(), copied)) {
    unwritten_.pop_front();
    if (std::chrono::steady_clock::now() >= end) break;
  }
  return copied;
}

bool DiskPages::write_or_lose(const Find& find, const PageKey& key, bool& copied) {
  try {
    return write(find, key, copied);
  } catch (const std::exception& failure) {  // no memory: it is not kept
    spdlog::warn("[disk_pages] a page is not written: {}", failure.what());
    return true;
  }
}

bool DiskPages::write(const Find& find, const PageKey& key, bool& copied) {
  const auto page = find(key);
  if (!page) return true;
  const bool again = in_part_.contains(key) && is_whole(page->page);
  if (!again && !store_->wants(kind_, key)) return true;
  Entry entry{describe(*page->parent, *page->content), {}};
  if (!store_->has_room(file_size_of(entry) + static_cast<std::int64_t>(bytes_.size))) return false;
  entry.payload.resize(bytes_.size);
  bytes_.read(page->page, entry.payload);
  copied = true;
  const bool taken = store_->put(kind_, key, std::move(entry), *page->parent, again);
  if (taken) note_bytes(key, page->page);
  return taken;
}

}  // namespace pippin::engine
