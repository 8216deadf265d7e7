#include "base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <fstream>

#ifdef __APPLE__
#include <mach/mach.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace pippin {

std::int64_t resident_bytes() {
#ifdef __APPLE__
  task_vm_info_data_t info;
  mach_msg_type_number_t count = TASK_VM_INFO_COUNT;
  const auto status =
      task_info(mach_task_self(), TASK_VM_INFO, reinterpret_cast<task_info_t>(&info), &count);
  return status == KERN_SUCCESS ? static_cast<std::int64_t>(info.phys_footprint) : 0;
#else
  // In pages: all that is mapped, then what is resident.
  std::ifstream file("/proc/self/statm");  // Linux only
  std::int64_t mapped = 0, resident = 0;
  return file >> mapped >> resident ? resident * ::sysconf(_SC_PAGESIZE) : 0;
#endif
}

void give_back(void* memory, std::size_t size) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const auto first = (begin + page - 1) / page * page, last = (begin + size) / page * page;
  if (first >= last) return;
#ifdef MADV_FREE_REUSABLE
  constexpr int advice = MADV_FREE_REUSABLE;  // macOS: its MADV_DONTNEED keeps the memory
#else
  constexpr int advice = MADV_DONTNEED;
#endif
  ::madvise(reinterpret_cast<void*>(first), last - first, advice);
}

void trim_heap() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace pippin
