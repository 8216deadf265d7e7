#include "kernels/cpu/memory.h"

#include <sys/mman.h>

#include <new>
#include <utility>

namespace pippin::cpu {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

std::uintptr_t round_up(std::uintptr_t x, std::size_t to) { return (x + to - 1) / to * to; }

}  // namespace

void wish_for_huge_pages([[maybe_unused]] const void* memory, [[maybe_unused]] std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  const auto begin = reinterpret_cast<std::uintptr_t>(memory), first = round_up(begin, huge_page),
             last = (begin + bytes) / huge_page * huge_page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

Buffer::Buffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  const bool large = bytes >= huge_page;
  mapping_size_ = large ? round_up(bytes, huge_page) + huge_page : round_up(bytes, 4096);
  mapping_ =
      mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) {
    mapping_ = nullptr;
    throw std::bad_alloc();
  }
  data_ = static_cast<std::uint8_t*>(mapping_);
  if (!large) return;
  const auto address = reinterpret_cast<std::uintptr_t>(mapping_);
  data_ += round_up(address, huge_page) - address;
  wish_for_huge_pages(data_, round_up(bytes, huge_page));
}

Buffer::~Buffer() {
  if (mapping_) munmap(mapping_, mapping_size_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapping_size_(std::exchange(other.mapping_size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_size_, other.mapping_size_);
  return *this;
}

}  // namespace pippin::cpu
