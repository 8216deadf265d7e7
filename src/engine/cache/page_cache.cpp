#include "engine/cache/page_cache.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"

namespace pippin::engine {
namespace {

// Siblings that find_beginning looks at: the newest are the likeliest, and a prompt that many texts go on from has many.
constexpr int max_siblings = 8;

// Longer than a key, which is what the bytes behind a page's key begin with: so no page has a root's key.
constexpr std::string_view salt_domain = "pippin: the root of what shares one salt\n";

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

template <class T>
void update(Hasher& hasher, const std::vector<T>& values) {
  hasher.update_value(static_cast<std::uint64_t>(values.size()));
  hasher.update({reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)});
}

}  // namespace

int common_tokens(const PageContent& a, const PageContent& b) {
  if (a.adapter != b.adapter) return 0;
  const auto [end, unused] =
      std::mismatch(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end());
  auto common = static_cast<int>(end - a.tokens.begin());
  // Placeholders are equal tokens; whose they are decides the first medium that differs.
  for (std::size_t i = 0; i < std::max(a.media.size(), b.media.size()); ++i) {
    const auto* in_a = i < a.media.size() ? &a.media[i] : nullptr;
    const auto* in_b = i < b.media.size() ? &b.media[i] : nullptr;
    if (in_a && in_b && *in_a == *in_b) continue;
    for (const auto* medium : {in_a, in_b})
      if (medium) common = std::min(common, medium->begin);
    break;
  }
  return common;
}

PageKey cache_root(std::string_view salt) {
  if (salt.empty()) return root_key;
  Hasher hasher;
  hasher.update(bytes_of(salt_domain));
  hasher.update(bytes_of(salt));
  return hasher.finish();
}

Digest salted(const PageKey& root, const Digest& digest) {
  if (root == root_key) return digest;
  Hasher hasher;
  hasher.update(root);
  hasher.update(digest);
  return hasher.finish();
}

PageKey page_key(const PageKey& parent, const PageContent& content) {
  Hasher hasher;
  hasher.update(parent);
  update(hasher, content.tokens);
  hasher.update_value(static_cast<std::uint64_t>(content.media.size()));
  for (const auto& medium : content.media) {
    hasher.update_value(medium.begin);
    hasher.update_value(medium.offset);
    hasher.update(medium.digest);
  }
  update(hasher, std::vector<char>(content.adapter.begin(), content.adapter.end()));
  return hasher.finish();
}

PageCache::PageCache(int num_pages, int page_size, bool reuse, KeyFn key)
    : page_size_(page_size),
      reuse_(reuse),
      key_(std::move(key)),
      pages_(static_cast<std::size_t>(num_pages)) {
  free_.reserve(pages_.size());
  reset();
}

void PageCache::reset() noexcept {
  published_.clear();
  newest_child_.clear();
  evictable_.clear();
  evicted_.clear();
  evicted_order_.clear();
  num_cached_ = 0;
  free_.clear();
  for (auto& page : pages_) page = Page{};
  for (PageId page = num_pages(); page-- > 0;) free_.push_back(page);
}

std::optional<PageId> PageCache::allocate() {
  if (free_.empty()) {
    if (evictable_.empty()) return {};
    const auto [priority, used_at, id] = *evictable_.begin();
    clock_ = priority;
    remember_evicted(at(id).key);
    ++num_evicted_;
    evict(id);
  }
  const PageId page = free_.back();
  free_.pop_back();
  at(page).references = 1;
  return page;
}

std::optional<PageId> PageCache::find(const PageKey& key, const PageKey& parent,
                                      const PageContent& content) {
  const auto it = published_.find(key);
  if (it == published_.end()) return {};
  const Page& page = at(it->second);
  if (page.parent != parent || page.content != content) return {};
  take(it->second);
  return it->second;
}

std::optional<PageCache::Published> PageCache::published(const PageKey& key) const {
  const auto it = published_.find(key);
  if (it == published_.end()) return {};
  const Page& page = at(it->second);
  return Published{it->second, &page.parent, &page.content};
}

PageCache::Beginning PageCache::best_sibling(const PageKey& parent,
                                             const PageContent& content) const {
  const auto newest = newest_child_.find(parent);
  if (newest == newest_child_.end()) return {none, 0};
  Beginning best{newest->second, 0};
  PageId id = newest->second;
  for (int i = 0; i < max_siblings && id != none; ++i, id = at(id).older)
    if (const int common = common_tokens(at(id).content, content); common > best.tokens)
      best = {id, common};
  return best;
}

std::optional<PageCache::Beginning> PageCache::find_beginning(const PageKey& parent,
                                                              const PageContent& content) {
  const auto best = best_sibling(parent, content);
  if (best.tokens == 0) return {};
  take(best.page);
  return best;
}

const PageContent* PageCache::continuation(const PageKey& parent,
                                           const PageContent& content) const {
  const auto best = best_sibling(parent, content);
  return best.page == none ? nullptr : &at(best.page).content;
}

std::optional<PageId> PageCache::publish(PageId id, const PageKey& parent, const PageKey& key,
                                         PageContent content, double cost) {
  if (!reuse_) return {};
  if (const auto it = published_.find(key); it != published_.end()) {
    const PageId twin = it->second;
    if (at(twin).parent != parent || at(twin).content != content) return {};
    take(twin);
    drop(id);
    return twin;
  }
  Page& page = at(id);
  page.published = true;
  page.key = key;
  page.parent = parent;
  page.content = std::move(content);
  page.cost = cost;
  published_.emplace(key, id);
  link(id);
  free_beginnings_of(id);
  return id;
}

// A cached page that is the beginning of the new one is of no more use.
void PageCache::free_beginnings_of(PageId id) {
  const auto& content = at(id).content;
  PageId other = at(id).older;
  for (int i = 0; i < max_siblings && other != none; ++i) {
    const Page& page = at(other);
    const PageId next = page.older;
    const auto size = page.content.tokens.size();
    if (page.references == 0 && size < content.tokens.size() && is_leaf(page) &&
        common_tokens(page.content, content) == static_cast<int>(size))
      evict(other);
    other = next;
  }
}

void PageCache::release(std::span<const PageId> pages) {
  for (auto it = pages.rbegin(); it != pages.rend(); ++it) drop(*it);
}

void PageCache::forget_cached() {
  while (!evictable_.empty()) evict(std::get<PageId>(*evictable_.begin()));
  // The lowest are handed out first, as at the start: pages in use lie together, and so does the memory that they take.
  std::sort(free_.rbegin(), free_.rend());
}

void PageCache::take(PageId id) {
  Page& page = at(id);
  if (page.references++ > 0) return;
  --num_cached_;
  evictable_.erase({page.priority, page.used_at, id});
}

void PageCache::drop(PageId id) {
  Page& page = at(id);
  if (--page.references > 0) return;
  if (!page.published) {
    free_.push_back(id);
    return;
  }
  ++num_cached_;
  page.priority = clock_ + page.cost;
  page.used_at = ++num_releases_;
  if (is_leaf(page)) make_evictable(id);
}

void PageCache::make_evictable(PageId id) {
  evictable_.emplace(at(id).priority, at(id).used_at, id);
}

void PageCache::link(PageId id) {
  Page& page = at(id);
  const auto [newest, first] = newest_child_.try_emplace(page.parent, id);
  page.newer = none;
  page.older = first ? none : std::exchange(newest->second, id);
  if (page.older != none) at(page.older).newer = id;
}

void PageCache::unlink(PageId id) {
  const Page& page = at(id);
  if (page.older != none) at(page.older).newer = page.newer;
  if (page.newer != none)
    at(page.newer).older = page.older;
  else if (page.older != none)
    newest_child_[page.parent] = page.older;
  else
    newest_child_.erase(page.parent);
}

// Evicts a cached leaf; its parent may become one.
void PageCache::evict(PageId id) {
  Page& page = at(id);
  evictable_.erase({page.priority, page.used_at, id});
  unlink(id);
  published_.erase(page.key);
  const auto parent = published_.find(page.parent);
  page = Page{};
  --num_cached_;
  free_.push_back(id);
  if (parent == published_.end()) return;
  const Page& above = at(parent->second);
  if (above.references == 0 && is_leaf(above)) make_evictable(parent->second);
}

void PageCache::remember_evicted(const PageKey& key) {
  if (!evicted_.insert(key).second) return;
  evicted_order_.push_back(key);
  if (evicted_order_.size() <= 4 * pages_.size()) return;
  evicted_.erase(evicted_order_.front());
  evicted_order_.pop_front();
}

std::string PageCache::check(std::span<const PageId> used, std::span<const PageKey> roots) const {
  std::vector<int> references(pages_.size(), 0);
  for (const PageId id : used) ++references[static_cast<std::size_t>(id)];
  std::vector<bool> is_free(pages_.size(), false);
  for (const PageId id : free_) {
    if (is_free[static_cast<std::size_t>(id)]) return "a page is free twice";
    is_free[static_cast<std::size_t>(id)] = true;
  }
  int cached = 0;
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    const Page& page = pages_[i];
    if (page.references != references[i]) return "a page's references are not its users'";
    if (is_free[i] && (page.references > 0 || page.published)) return "a page in use is free";
    if (!is_free[i] && page.references == 0 && !page.published) return "a page is lost";
    if (!page.published) continue;
    cached += page.references == 0;
    if (std::find(roots.begin(), roots.end(), page.parent) != roots.end()) continue;
    const auto parent = published_.find(page.parent);
    if (parent == published_.end()) return "a page outlives its parent";
    if (page.references > 0 && at(parent->second).references == 0)
      return "a used page's parent is unused";
  }
  return cached == num_cached_ ? "" : "cached pages are counted wrong";
}

}  // namespace pippin::engine
