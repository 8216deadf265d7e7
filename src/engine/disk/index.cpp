#include "engine/disk/index.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

namespace pippin::engine {
namespace {

namespace fs = std::filesystem;

// A listing that ends early (the folder vanished, say) is a shorter listing.
template <class Visit>
void for_each_in(const fs::path& folder, const Visit& visit) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    visit(*it);
}

void list_shard(const fs::path& shard, EntryName name, std::vector<IndexedEntry>& entries) {
  for_each_in(shard, [&](const fs::directory_entry& file) {
    const auto text = file.path().filename().string();
    const auto key = digest_from_hex(text);
    std::error_code error;
    if (!key || !text.starts_with(shard.filename().string()) ||
        !fs::is_regular_file(file.symlink_status(error)))
      return;
    name.key = *key;
    const auto size = file.file_size(error);
    const auto used = error ? FileTime() : file.last_write_time(error);
    if (!error) entries.push_back({name, static_cast<std::int64_t>(size), used});
  });
}

}  // namespace

std::vector<IndexedEntry> list_entries(const fs::path& directory) {
  std::vector<IndexedEntry> entries;
  for_each_in(directory, [&](const fs::directory_entry& folder) {
    const auto model = digest_from_hex(folder.path().filename().string());
    if (!model) return;
    for (const auto kind : entry_kinds)
      for_each_in(folder.path() / folder_of(kind), [&](const fs::directory_entry& shard) {
        list_shard(shard.path(), {*model, kind, {}}, entries);
      });
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
  erase(name);
  const auto above = by_name_.find(parent);
  const bool is_child = above != by_name_.end();
  const auto place = is_child ? above->second : order_.end();
  const auto used = is_child ? place->used - std::chrono::microseconds(1) : next_time();
  by_name_[name] = order_.insert(place, {name, size, used});
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

EntryName DiskIndex::pop_oldest() {
  const EntryName name = order_.front().name;
  erase(name);
  return name;
}

}  // namespace pippin::engine
