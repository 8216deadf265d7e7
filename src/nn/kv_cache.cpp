#include "nn/kv_cache.h"

#include <algorithm>
#include <cstring>

#include "base/memory.h"
#include "kernels/kv_codes.h"

namespace pippin::nn {
namespace {

std::size_t bytes_per_page(const mx::array& pool, int page_size) {
  return pool.nbytes() / static_cast<std::size_t>(pool.shape(0)) *
         static_cast<std::size_t>(page_size);
}

// Of pages on their way into the pools: some dozens, so that a GPU is waited for that much less often.
constexpr std::size_t stage_bytes = std::size_t{64} << 20;

// int32 [pages * page_size].
mx::array slots_of(const std::vector<std::int32_t>& pages, int page_size) {
  std::vector<std::int32_t> slots;
  for (const auto page : pages)
    for (int i = 0; i < page_size; ++i) slots.push_back(page * page_size + i);
  return mx::array(slots.begin(), {static_cast<int>(slots.size())}, mx::int32);
}

std::uint8_t* host_page(const mx::array& pool, std::int32_t page, std::size_t bytes) {
  return const_cast<std::uint8_t*>(pool.data<std::uint8_t>()) +
         static_cast<std::size_t>(page) * bytes;
}

}  // namespace

int kv_row_bytes(const KvStorage& storage, int head_dim) {
  if (storage.bits == 0) return static_cast<int>(mx::size_of(storage.dtype)) * head_dim;
  const auto format = storage.bits == 8 ? cpu::KvFormat::int8 : cpu::KvFormat::int4;
  return cpu::kv_row_bytes(format, head_dim);
}

KVCache::KVCache(int num_layers, int num_pages, int page_size, int num_kv_heads, int head_dim,
                 const KvStorage& storage, bool for_cpu_kernels)
    : page_size_(page_size), in_host_memory_(for_cpu_kernels) {
  const auto dtype = storage.bits ? mx::uint8 : storage.dtype;
  const int row = kv_row_bytes(storage, head_dim) / static_cast<int>(mx::size_of(dtype));
  const mx::Shape shape = {num_pages * page_size, num_kv_heads, row};
  const auto pool = [&] {
    if (!for_cpu_kernels) return mx::zeros(shape, dtype);
    auto memory = kernels::host_array(shape, dtype);
    if (storage.preallocated) std::memset(memory.data<std::uint8_t>(), 0, memory.nbytes());
    return memory;
  };
  for (int i = 0; i < num_layers; ++i) {
    keys.push_back(pool());
    values.push_back(pool());
  }
  evaluate();
}

mx::array KVCache::page_of(const mx::array& pool, std::int32_t page) const {
  const int first = page * page_size_;
  return mx::slice(pool, {first, 0, 0}, {first + page_size_, pool.shape(1), pool.shape(2)});
}

void KVCache::copy_pages(std::span<const PageCopy> copies) {
  if (in_host_memory_) {
    copy_host_pages(copies);
    return;
  }
  finish_writes();
  std::vector<std::int32_t> sources, targets;
  for (const auto& [from, to] : copies) {
    sources.push_back(from);
    targets.push_back(to);
  }
  const auto from = slots_of(sources, page_size_), to = slots_of(targets, page_size_);
  std::vector<mx::array> rows;
  for (const auto* pool : pools()) rows.push_back(mx::expand_dims(mx::take(*pool, from, 0), 1));
  mx::async_eval(rows);
  take_over_pools();
  auto row = rows.begin();
  for (auto* pool : pools()) *pool = mx::scatter(*pool, to, *row++, 0);
  mx::async_eval(keys);
  mx::async_eval(values);
}

void KVCache::copy_host_pages(std::span<const PageCopy> copies) {
  for (const auto* pool : pools())
    for (const auto& [from, to] : copies) {
      const auto bytes = bytes_per_page(*pool, page_size_);
      std::memcpy(host_page(*pool, to, bytes), host_page(*pool, from, bytes), bytes);
    }
}

std::size_t KVCache::page_bytes() const {
  std::size_t bytes = 0;
  for (const auto* pool : pools()) bytes += bytes_per_page(*pool, page_size_);
  return bytes;
}

void KVCache::read_page(std::int32_t page, std::span<std::uint8_t> out) {
  finish_writes();
  std::vector<mx::array> contents;
  for (const auto* pool : pools())
    if (!in_host_memory_) contents.push_back(mx::contiguous(page_of(*pool, page)));
  mx::eval(contents);  // all at once: a GPU is waited for each time
  auto* to = out.data();
  auto content = contents.begin();
  for (const auto* pool : pools()) {
    const auto bytes = bytes_per_page(*pool, page_size_);
    std::memcpy(to,
                in_host_memory_ ? host_page(*pool, page, bytes) : (content++)->data<std::uint8_t>(),
                bytes);
    to += bytes;
  }
}

void KVCache::write_page(std::int32_t page, std::span<const std::uint8_t> bytes) {
  if (in_host_memory_) {
    const auto* from = bytes.data();
    for (auto* pool : pools()) {
      const auto size = bytes_per_page(*pool, page_size_);
      std::memcpy(host_page(*pool, page, size), from, size);
      from += size;
    }
    return;
  }
  const auto room = std::max<std::size_t>(1, stage_bytes / bytes.size());
  if (!stage_)
    stage_ =
        kernels::host_array({static_cast<int>(room), static_cast<int>(bytes.size())}, mx::uint8);
  // Of a page that is written again before that, the last content alone is scattered: no order is promised for two.
  const auto at = std::find(staged_pages_.begin(), staged_pages_.end(), page);
  const auto row = static_cast<std::size_t>(at - staged_pages_.begin());
  std::memcpy(stage_->data<std::uint8_t>() + row * bytes.size(), bytes.data(), bytes.size());
  if (at == staged_pages_.end()) staged_pages_.push_back(page);
  if (staged_pages_.size() == room) finish_writes();
}

// The staged pages' part of one pool, which begins at byte `begin` of each, as rows of the pool.
mx::array KVCache::staged(std::size_t begin, const mx::array& pool) const {
  const int count = static_cast<int>(staged_pages_.size()), first = static_cast<int>(begin);
  const int end = first + static_cast<int>(bytes_per_page(pool, page_size_));
  const auto bytes = mx::contiguous(mx::slice(*stage_, {0, first}, {count, end}));
  return mx::reshape(mx::view(bytes, pool.dtype()),
                     {count * page_size_, 1, pool.shape(1), pool.shape(2)});
}

void KVCache::finish_writes() {
  if (staged_pages_.empty()) return;
  const auto slots = slots_of(staged_pages_, page_size_);
  take_over_pools();
  std::size_t begin = 0;
  for (auto* pool : pools()) {
    auto rows = staged(begin, *pool);
    begin += bytes_per_page(*pool, page_size_);
    *pool = mx::scatter(*pool, slots, rows, 0);
  }
  evaluate();  // and the stage may be written again
  staged_pages_.clear();
}

// What keeps hold of a pool holds the object that owned its memory, now an empty one.
void KVCache::take_over_pools() {
  if (in_host_memory_) return;
  for (auto* pool : pools())
    *pool = mx::array(std::move(*pool->data_shared_ptr()), pool->shape(), pool->dtype());
}

void KVCache::drop_pages(std::vector<std::int32_t> pages) const {
  if (!in_host_memory_) return;
  std::sort(pages.begin(), pages.end());
  for (const auto* pool : pools()) {
    const auto bytes = bytes_per_page(*pool, page_size_);
    // Neighbours at once: the system's pages may be larger than ours, and huge ones are.
    for (std::size_t i = 0, n = 0; i < pages.size(); i += n) {
      for (n = 1; i + n < pages.size() && pages[i + n] == pages[i + n - 1] + 1;) ++n;
      pippin::give_back(host_page(*pool, pages[i], bytes), n * bytes);
    }
  }
}

std::vector<std::span<std::uint8_t>> KVCache::host_pools() const {
  std::vector<std::span<std::uint8_t>> spans;
  if (!in_host_memory_) return spans;
  for (const auto* pool : pools()) spans.emplace_back(host_page(*pool, 0, 0), pool->nbytes());
  return spans;
}

void KVCache::evaluate() {
  mx::eval(keys);
  mx::eval(values);
}

std::vector<mx::array*> KVCache::pools() {
  std::vector<mx::array*> pools;
  for (std::size_t i = 0; i < keys.size(); ++i) pools.insert(pools.end(), {&keys[i], &values[i]});
  return pools;
}

std::vector<const mx::array*> KVCache::pools() const {
  std::vector<const mx::array*> pools;
  for (std::size_t i = 0; i < keys.size(); ++i) pools.insert(pools.end(), {&keys[i], &values[i]});
  return pools;
}

}  // namespace pippin::nn
