// What the system says of this process's memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pippin {

/// Bytes of memory that this process takes now; 0 where the system doesn't say. Linux: the resident set. macOS: the
/// physical footprint, which leaves out what the process has marked as reusable.
std::int64_t resident_bytes();

/// Gives the memory of the whole system pages within [memory, memory + size) back. Their content is lost; they may be
/// written again at any time.
void give_back(void* memory, std::size_t size);

/// Has the heap give back what it keeps of freed blocks, where it knows how to.
void trim_heap();

}  // namespace pippin
