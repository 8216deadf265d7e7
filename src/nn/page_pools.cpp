#include "nn/page_pools.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/memory.h"

namespace pippin::nn {
namespace {

std::size_t bytes_per_page(const mx::array& pool, int page_size) {
  return pool.nbytes() / static_cast<std::size_t>(pool.shape(0)) *
         static_cast<std::size_t>(page_size);
}

// The bytes of pages on their way into the pools: some dozens of pages, so that a GPU is waited for that much less often.
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

PagePools::PagePools(const std::vector<PoolRow>& rows, int num_pages, int page_size,
                     bool in_host_memory, bool preallocated)
    : page_size_(page_size), in_host_memory_(in_host_memory) {
  for (const auto& row : rows) {
    mx::Shape shape = {num_pages * page_size};
    shape.insert(shape.end(), row.shape.begin(), row.shape.end());
    pools_.push_back(in_host_memory ? kernels::host_array(shape, row.dtype)
                                    : mx::zeros(shape, row.dtype));
    if (in_host_memory && preallocated)
      std::memset(pools_.back().data<std::uint8_t>(), 0, pools_.back().nbytes());
  }
  mx::eval(pools_);
}

mx::array PagePools::page_of(const mx::array& pool, std::int32_t page) const {
  mx::Shape begin(pool.ndim(), 0), end = pool.shape();
  begin[0] = page * page_size_;
  end[0] = begin[0] + page_size_;
  return mx::slice(pool, begin, end);
}

void PagePools::copy_pages(std::span<const PageCopy> copies) {
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
  for (const auto& pool : pools_) rows.push_back(mx::expand_dims(mx::take(pool, from, 0), 1));
  mx::async_eval(rows);
  take_over_pools();
  auto row = rows.begin();
  for (auto& pool : pools_) pool = mx::scatter(pool, to, *row++, 0);
  mx::async_eval(pools_);
}

void PagePools::clear_pages(std::span<const std::int32_t> pages) {
  if (pages.empty()) return;
  if (in_host_memory_) {
    for (const auto& pool : pools_)
      for (const auto page : pages) {
        const auto bytes = bytes_per_page(pool, page_size_);
        std::memset(host_page(pool, page, bytes), 0, bytes);
      }
    return;
  }
  finish_writes();
  take_over_pools();
  const auto slots = slots_of({pages.begin(), pages.end()}, page_size_);
  for (auto& pool : pools_) {
    auto shape = pool.shape();
    shape[0] = slots.shape(0);
    pool = mx::scatter(pool, slots, mx::expand_dims(mx::zeros(shape, pool.dtype()), 1), 0);
  }
  mx::async_eval(pools_);
}

// In host memory at once, since the rows may be written next, which MLX does not know of.
mx::array PagePools::read_rows(std::size_t pool, const std::vector<std::int32_t>& rows) const {
  auto values = mx::take(pools_[pool],
                         mx::array(rows.begin(), {static_cast<int>(rows.size())}, mx::int32), 0);
  if (in_host_memory_) values.eval();
  return values;
}

void PagePools::write_rows(std::size_t pool, const std::vector<std::int32_t>& rows,
                           const mx::array& values) {
  auto& target = pools_[pool];
  const auto typed = mx::astype(values, target.dtype());
  if (!in_host_memory_) {
    const mx::array places(rows.begin(), {static_cast<int>(rows.size())}, mx::int32);
    target = mx::scatter(target, places, mx::expand_dims(typed, 1), 0);
    return;
  }
  const auto input = kernels::host_input(typed);
  const auto bytes = bytes_per_page(target, 1);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::memcpy(host_page(target, rows[i], bytes), input.data<std::uint8_t>() + i * bytes, bytes);
}

void PagePools::copy_host_pages(std::span<const PageCopy> copies) {
  for (const auto& pool : pools_)
    for (const auto& [from, to] : copies) {
      const auto bytes = bytes_per_page(pool, page_size_);
      std::memcpy(host_page(pool, to, bytes), host_page(pool, from, bytes), bytes);
    }
}

std::size_t PagePools::page_bytes() const {
  std::size_t bytes = 0;
  for (const auto& pool : pools_) bytes += bytes_per_page(pool, page_size_);
  return bytes;
}

void PagePools::read_page(std::int32_t page, std::span<std::uint8_t> out) {
  finish_writes();
  std::vector<mx::array> contents;
  for (const auto& pool : pools_)
    if (!in_host_memory_) contents.push_back(mx::contiguous(page_of(pool, page)));
  mx::eval(contents);  // all at once: a GPU is waited for each time
  auto* to = out.data();
  auto content = contents.begin();
  for (const auto& pool : pools_) {
    const auto bytes = bytes_per_page(pool, page_size_);
    std::memcpy(to,
                in_host_memory_ ? host_page(pool, page, bytes) : (content++)->data<std::uint8_t>(),
                bytes);
    to += bytes;
  }
}

void PagePools::write_page(std::int32_t page, std::span<const std::uint8_t> bytes) {
  if (in_host_memory_) {
    const auto* from = bytes.data();
    for (auto& pool : pools_) {
      const auto size = bytes_per_page(pool, page_size_);
      std::memcpy(host_page(pool, page, size), from, size);
      from += size;
    }
    return;
  }
  const auto room = std::max<std::size_t>(1, stage_bytes / std::max<std::size_t>(bytes.size(), 1));
  if (!stage_)
    stage_ =
        kernels::host_array({static_cast<int>(room), static_cast<int>(bytes.size())}, mx::uint8);
  // A page may be written again before that: then its last content alone is scattered, since no order is promised for two.
  const auto at = std::find(staged_pages_.begin(), staged_pages_.end(), page);
  const auto row = static_cast<std::size_t>(at - staged_pages_.begin());
  std::memcpy(stage_->data<std::uint8_t>() + row * bytes.size(), bytes.data(), bytes.size());
  if (at == staged_pages_.end()) staged_pages_.push_back(page);
  if (staged_pages_.size() == room) finish_writes();
}

// The staged pages' part of one pool, which begins at byte `begin` of each, as rows of the pool.
mx::array PagePools::staged(std::size_t begin, const mx::array& pool) const {
  const int count = static_cast<int>(staged_pages_.size()), first = static_cast<int>(begin);
  const int end = first + static_cast<int>(bytes_per_page(pool, page_size_));
  const auto bytes = mx::contiguous(mx::slice(*stage_, {0, first}, {count, end}));
  mx::Shape shape = {count * page_size_, 1};
  shape.insert(shape.end(), pool.shape().begin() + 1, pool.shape().end());
  return mx::reshape(mx::view(bytes, pool.dtype()), shape);
}

void PagePools::finish_writes() {
  if (staged_pages_.empty()) return;
  const auto slots = slots_of(staged_pages_, page_size_);
  take_over_pools();
  std::size_t begin = 0;
  for (auto& pool : pools_) {
    auto rows = staged(begin, pool);
    begin += bytes_per_page(pool, page_size_);
    pool = mx::scatter(pool, slots, rows, 0);
  }
  mx::eval(pools_);  // and the stage may be written again
  staged_pages_.clear();
}

// What keeps hold of a pool holds the object that owned its memory, now an empty one.
void PagePools::take_over_pools() {
  if (in_host_memory_) return;
  for (auto& pool : pools_)  // what is not launched yet has no memory to be held
    if (pool.status() != mx::array::Status::unscheduled)
      pool = mx::array(std::move(*pool.data_shared_ptr()), pool.shape(), pool.dtype());
}

void PagePools::drop_pages(std::vector<std::int32_t> pages) const {
  if (!in_host_memory_) return;
  std::sort(pages.begin(), pages.end());
  for (const auto& pool : pools_) {
    const auto bytes = bytes_per_page(pool, page_size_);
    // Neighbours at once: the system's pages may be larger than ours, and huge ones are.
    for (std::size_t i = 0, n = 0; i < pages.size(); i += n) {
      for (n = 1; i + n < pages.size() && pages[i + n] == pages[i + n - 1] + 1;) ++n;
      pippin::give_back(host_page(pool, pages[i], bytes), n * bytes);
    }
  }
}

std::vector<std::span<std::uint8_t>> PagePools::host_pools() const {
  std::vector<std::span<std::uint8_t>> spans;
  if (!in_host_memory_) return spans;
  for (const auto& pool : pools_) spans.emplace_back(host_page(pool, 0, 0), pool.nbytes());
  return spans;
}

}  // namespace pippin::nn
