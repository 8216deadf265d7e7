#include "engine/disk/index.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "base/folder.h"

namespace pippin::engine {
namespace {

namespace fs = std::filesystem;

void list_file(const fs::path& file, const EntryName& name, std::vector<IndexedEntry>& entries) {
  std::error_code error;
  if (!fs::is_regular_file(fs::symlink_status(file, error))) return;
  const auto size = fs::file_size(file, error);
  const auto used = error ? FileTime() : fs::last_write_time(file, error);
  if (!error) entries.push_back({name, static_cast<std::int64_t>(size), used});
}

void list_shard(const fs::path& folder, const std::string& shard, EntryName name,
                std::vector<IndexedEntry>& entries) {
  for_each_name(folder / shard, [&](const std::string& text) {
    const auto key = digest_from_hex(text);
    if (!key || !text.starts_with(shard)) return;
    name.key = *key;
    list_file(folder / shard / text, name, entries);
  });
}

}  // namespace

// A listing that ends early (a folder vanished, say) is a shorter listing.
std::vector<IndexedEntry> list_entries(const fs::path& directory) {
  std::vector<IndexedEntry> entries;
  for_each_name(directory, [&](const std::string& folder) {
    const auto model = digest_from_hex(folder);
    if (!model) return;
    for (const auto kind : entry_kinds) {
      const auto shards = directory / folder / folder_of(kind);
      for_each_name(shards, [&](const std::string& shard) {
        list_shard(shards, shard, {*model, kind, {}}, entries);
      });
    }
  });
  return entries;
}

DiskIndex::DiskIndex(std::vector<IndexedEntry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.used < b.used; });
  for (const auto& entry : entries) {
    by_name_[entry.name] = order_.insert(order_.end(), entry);
    num_bytes_ += entry.size;
  }
}

std::int64_t DiskIndex::count(const Digest& model, EntryKind kind) const {
  return std::count_if(order_.begin(), order_.end(), [&](const IndexedEntry& entry) {
    return entry.name.model == model && entry.name.kind == kind;
  });
}

// Later than every time so far, also where the clock is coarse or was set back.
FileTime DiskIndex::next_time() {
  const auto now = FileTime::clock::now();
  if (order_.empty()) return now;
  return std::max(now, order_.back().used + std::chrono::microseconds(1));
}

FileTime DiskIndex::insert(const EntryName& name, std::int64_t size, const EntryName& parent) {
  std::list<IndexedEntry> added(1);
  const auto [known, is_new] = by_name_.try_emplace(name, added.begin());
  if (!is_new) {
    num_bytes_ -= known->second->size;
    order_.erase(std::exchange(known->second, added.begin()));
  }
  const auto above = parent == name ? by_name_.end() : by_name_.find(parent);
  const bool is_child = above != by_name_.end();
  const auto place = is_child ? above->second : order_.end();
  const auto used = is_child ? place->used - std::chrono::microseconds(1) : next_time();
  added.front() = {name, size, used};
  order_.splice(place, added);
  num_bytes_ += size;
  return used;
}

std::optional<FileTime> DiskIndex::use(const EntryName& name) {
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return {};
  const auto used = next_time();
  it->second->used = used;
  order_.splice(order_.end(), order_, it->second);
  return used;
}

std::optional<FileTime> DiskIndex::time_of(const EntryName& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? std::nullopt : std::optional(it->second->used);
}

void DiskIndex::erase(const EntryName& name) {
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return;
  num_bytes_ -= it->second->size;
  order_.erase(it->second);
  by_name_.erase(it);
}

}  // namespace pippin::engine
