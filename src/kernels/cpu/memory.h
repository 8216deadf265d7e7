// Memory for weights: large, aligned, and on huge pages where the system gives them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pippin::cpu {

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
