// Buffers that are filled right after they are made.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace pippin {

/// Leaves new elements without a value: a vector's resize() then takes memory and writes none of it.
template <class T>
class UninitializedAllocator : public std::allocator<T> {
 public:
  UninitializedAllocator() = default;
  template <class U>
  UninitializedAllocator(const UninitializedAllocator<U>&) {}

  template <class U>
  void construct(U* at) noexcept {
    ::new (static_cast<void*>(at)) U;
  }
  template <class U, class... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    std::construct_at(at, std::forward<Arguments>(arguments)...);
  }
};

/// Bytes that resize() leaves as the memory was.
using RawBytes = std::vector<std::uint8_t, UninitializedAllocator<std::uint8_t>>;

}  // namespace pippin
