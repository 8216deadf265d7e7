// Memory for weights: large, aligned, and on huge pages where the system gives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace pippin::cpu {

/// Asks the system for huge pages where whole ones lie in [memory, memory + bytes). Small ones work too.
void wish_for_huge_pages(const void* memory, std::size_t bytes);

/// Owns zeroed memory from the system, aligned to 64 bytes at least; large buffers to 2 MiB, since
/// weights are read once a token and small pages cost a table walk every 4 KiB of it.
class Buffer {
 public:
  Buffer() = default;
  /// Throws std::bad_alloc.
  explicit Buffer(std::size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  std::uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  void* mapping_ = nullptr;
  std::size_t mapping_size_ = 0;
};

/// Part of a buffer, which lives as long as any of its parts.
struct Slice {
  std::shared_ptr<const Buffer> owner;
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
};

/// Hands out zeroed slices of large buffers, one after the other: a matrix smaller than a huge page
/// then lies on one, too. Weights on small pages were read a third slower. One thread at a time.
class Arena {
 public:
  /// 64-byte aligned.
  Slice allocate(std::size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    if (!chunk_ || used_ + bytes > chunk_->size()) {
      chunk_ = std::make_shared<const Buffer>(bytes > chunk_bytes / 4 ? bytes : chunk_bytes);
      used_ = 0;
    }
    Slice slice = {chunk_, chunk_->data() + used_, bytes};
    used_ += bytes;
    return slice;
  }

 private:
  // Pages of a chunk's unused rest are never touched and take no memory.
  static constexpr std::size_t chunk_bytes = std::size_t{64} << 20;
  std::shared_ptr<const Buffer> chunk_;
  std::size_t used_ = 0;
};

/// A buffer that is made larger when asked to, losing its content; never smaller.
class Scratch {
 public:
  std::uint8_t* grow_to(std::size_t bytes) {
    if (buffer_.size() < bytes) {
      buffer_ = Buffer();  // the old one goes first
      buffer_ = Buffer(bytes);
    }
    return buffer_.data();
  }

 private:
  Buffer buffer_;
};

}  // namespace pippin::cpu
