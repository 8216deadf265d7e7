// What the system says of this process's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace pippin {

/// Bytes of memory that this process takes now; 0 where the system doesn't say. Linux: the resident set. macOS: the
/// physical footprint, which leaves out what the process has marked as reusable.
std::int64_t resident_bytes();

/// Bytes of memory that this process may take at most: what is installed, or less where a limit is set for the process
/// (RLIMIT_AS) or a container (cgroups of version 2 and 1). root: where the system's files are looked for.
std::int64_t memory_limit_bytes(const std::filesystem::path& root = "/");

/// Has the heap give large blocks back to the system when they are freed. Where the process's address space is limited its threads share heaps,
/// each of which takes 64 MB of it. Called before there are threads.
void prepare_heap();

/// Gives the memory of the whole system pages within [memory, memory + size) back. Their content is lost; they may be
/// written again at any time.
void give_back(void* memory, std::size_t size);

/// Has the system give the memory of [memory, memory + size) now instead of when each part is first used. What it holds stays, and
/// others may write it meanwhile.
void take_memory(std::uint8_t* memory, std::size_t size);

/// The calling thread's work matters less than others': it gets on all the same where they want its core, but slower.
void run_in_background();

/// Has the heap give back what it keeps of freed blocks, where it knows how to.
void trim_heap();

}  // namespace pippin
