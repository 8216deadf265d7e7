#include "engine/page_cache.h"

#include <utility>

namespace pippin::engine {
namespace {

std::size_t default_hash(ChainId parent, const std::string& content) {
  // 0x9e37...: 2^64 / golden ratio, spreads consecutive ids over the table.
  return std::hash<std::string>()(content) ^ (parent * 0x9e3779b97f4a7c15ULL);
}

}  // namespace

PageCache::PageCache(int num_pages, int page_size, bool reuse, HashFn hash)
    : page_size_(page_size),
      reuse_(reuse),
      pages_(static_cast<std::size_t>(num_pages)),
      published_(16, KeyHash{hash ? std::move(hash) : default_hash}) {
  for (PageId page = num_pages; page-- > 0;) free_.push_back(page);
}

std::optional<PageId> PageCache::allocate() {
  if (free_.empty()) {
    if (cached_.empty()) return {};
    evict_oldest();
  }
  const PageId page = free_.back();
  free_.pop_back();
  pages_[static_cast<std::size_t>(page)].references = 1;
  return page;
}

std::optional<PageId> PageCache::find(ChainId parent, const std::string& content) {
  const auto it = published_.find(Key{parent, content});
  if (it == published_.end()) return {};
  Page& page = pages_[static_cast<std::size_t>(it->second)];
  if (page.references++ == 0) cached_.erase(page.cached);
  return it->second;
}

bool PageCache::contains(ChainId parent, const std::string& content) const {
  return published_.count(Key{parent, content}) > 0;
}

ChainId PageCache::publish(PageId id, ChainId parent, std::string content) {
  Page& page = pages_[static_cast<std::size_t>(id)];
  if (!reuse_) return root_chain;
  Key key{parent, std::move(content)};
  const auto [it, inserted] = published_.emplace(key, id);
  if (!inserted) return pages_[static_cast<std::size_t>(it->second)].chain;
  page.key = std::move(key);
  page.chain = ++last_chain_;
  return page.chain;
}

void PageCache::release(std::span<const PageId> pages) {
  for (auto it = pages.rbegin(); it != pages.rend(); ++it) {
    Page& page = pages_[static_cast<std::size_t>(*it)];
    if (--page.references > 0) continue;
    if (page.key)
      page.cached = cached_.insert(cached_.end(), *it);
    else
      free_.push_back(*it);
  }
}

void PageCache::forget_cached() {
  while (!cached_.empty()) evict_oldest();
}

void PageCache::evict_oldest() {
  const PageId id = cached_.front();
  cached_.pop_front();
  Page& page = pages_[static_cast<std::size_t>(id)];
  published_.erase(*page.key);
  page.key.reset();
  page.chain = root_chain;
  free_.push_back(id);
}

}  // namespace pippin::engine
