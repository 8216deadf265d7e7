#include "server/responses/store.h"

#include <iterator>
#include <utility>
#include <vector>

#include "base/log.h"
#include "pippin/error.h"

namespace pippin::server {
namespace {

constexpr std::size_t max_turns =
    100'000;  // of a conversation on disk, in case its files name each other in a circle

std::unique_ptr<ResponseFolder> open_folder(const ResponseStore::Options& options) {
  if (options.folder.empty()) return nullptr;
  try {
    return std::make_unique<ResponseFolder>(options.folder, options.max_folder_bytes);
  } catch (const Error& unusable) {
    spdlog::warn("[responses] {}; responses are kept in memory only", unusable.what());
    return nullptr;
  }
}

}  // namespace

// One by one: a long conversation would otherwise be destroyed by as deep a recursion.
StoredResponse::~StoredResponse() {
  if (total) *total -= bytes;
  auto last = std::move(previous);
  while (last && last.use_count() == 1) {
    auto before = last->previous;
    last = std::move(before);
  }
}

json::array items_until(const StoredResponsePtr& last) {
  std::vector<const StoredResponse*> turns;
  for (auto* turn = last.get(); turn; turn = turn->previous.get()) turns.push_back(turn);
  json::array items;
  for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
    items.insert(items.end(), (*turn)->input.begin(), (*turn)->input.end());
    items.insert(items.end(), (*turn)->output.begin(), (*turn)->output.end());
  }
  return items;
}

ResponseStore::ResponseStore(const Options& options)
    : max_bytes_(options.max_bytes), folder_(open_folder(options)) {}

void ResponseStore::put(std::shared_ptr<StoredResponse> response) {
  if (folder_) folder_->write(*response);
  keep(std::move(response));
}

StoredResponsePtr ResponseStore::find(const std::string& id, const std::string& owner) {
  if (auto found = find_in_memory(id, owner)) return found;
  return folder_ ? find_in_folder(id, owner) : nullptr;
}

// The conversation back to what memory has of it, or to its beginning.
StoredResponsePtr ResponseStore::find_in_folder(const std::string& id, const std::string& owner) {
  std::vector<std::shared_ptr<StoredResponse>> turns;
  StoredResponsePtr known;
  std::string previous = id;
  while (!previous.empty() && !known) {
    if (turns.size() == max_turns) return nullptr;
    auto turn = folder_->read(std::string(previous), previous);
    if (!turn || turn->owner != owner) return nullptr;
    turns.push_back(std::move(turn));
    if (!previous.empty()) known = find_in_memory(previous, owner);
  }
  for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
    (*turn)->previous = known;
    known = *turn;
    keep(std::move(*turn));
  }
  return known;
}

bool ResponseStore::erase(const std::string& id, const std::string& owner) {
  const bool was_on_disk = folder_ && folder_->erase(id, owner);
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || (*found->second)->owner != owner) return was_on_disk;
  remove(found->second);
  return true;
}

void ResponseStore::keep(std::shared_ptr<StoredResponse> response) {
  StoredResponse& kept = *response;
  kept.bytes = json::serialize(kept.input).size() + json::serialize(kept.output).size() +
               kept.response.size();
  Entries added;
  added.push_front(std::move(response));
  const MutexLock lock(mutex_);
  const auto [place, is_new] = by_id_.try_emplace(kept.id, added.begin());
  // Nothing has changed before, and what follows takes no memory.
  if (!is_new) entries_.erase(std::exchange(place->second, added.begin()));
  entries_.splice(entries_.begin(), added);
  kept.total = bytes_;
  *bytes_ += kept.bytes;
  while (*bytes_ > max_bytes_ && !entries_.empty()) remove(std::prev(entries_.end()));
}

StoredResponsePtr ResponseStore::find_in_memory(const std::string& id, const std::string& owner) {
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || (*found->second)->owner != owner) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return entries_.front();
}

std::optional<json::object> ResponseStore::find_item(const std::string& id,
                                                     const std::string& owner) const {
  const MutexLock lock(mutex_);
  for (const StoredResponsePtr& response : entries_) {
    if (response->owner != owner) continue;
    for (const json::array* items : {&response->output, &response->input})
      for (const json::value& item : *items) {
        const json::object& object = item.as_object();
        const json::value *name = object.if_contains("id"), *type = object.if_contains("type");
        const bool refers = type && *type == "item_reference";  // it has the id of another
        if (!refers && name && *name == json::string_view(id)) return object;
      }
  }
  return {};
}

void ResponseStore::remove(Entries::iterator entry) {
  by_id_.erase((*entry)->id);
  entries_.erase(entry);
}

}  // namespace pippin::server
