#include "base/memory.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#ifdef __APPLE__
#include <mach/mach.h>
#include <pthread.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace pippin {
namespace {

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();

// The least limit of the group and of the groups around it. A file that is missing, or says "max", sets none.
std::int64_t group_limit(const std::filesystem::path& mount, std::filesystem::path group,
                         const char* file) {
  std::int64_t least = no_limit;
  for (group = group.relative_path();; group = group.parent_path()) {
    std::ifstream limit(mount / group / file);
    std::int64_t bytes = 0;
    if (limit >> bytes) least = std::min(least, bytes);
    if (group.empty()) return least;
  }
}

// Lines "number:controllers:/group"; version 2 has one group for all controllers, of number 0 and no name.
std::int64_t container_limit(const std::filesystem::path& root) {
  const auto mount = root / "sys/fs/cgroup";
  std::int64_t least = group_limit(mount, "", "memory.max");
  std::ifstream groups(root / "proc/self/cgroup");  // Linux only; elsewhere it can't be opened
  for (std::string line; std::getline(groups, line);) {
    const auto name = line.find(':'), path = line.find(':', name + 1);
    if (name == std::string::npos || path == std::string::npos) continue;
    const std::string controllers = line.substr(name + 1, path - name - 1);
    const std::string group = line.substr(path + 1);
    if (controllers.empty())
      least = std::min(least, group_limit(mount, group, "memory.max"));
    else if (("," + controllers + ",").find(",memory,") != std::string::npos)
      least = std::min(least, group_limit(mount / "memory", group, "memory.limit_in_bytes"));
  }
  return least;
}

std::int64_t address_space_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return no_limit;
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(limit.rlim_cur, static_cast<std::uint64_t>(no_limit)));
}

}  // namespace

std::int64_t memory_limit_bytes(const std::filesystem::path& root) {
  const auto installed =
      static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  return std::min({installed, container_limit(root), address_space_limit()});
}

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

// By touching each of its pages, not by madvise(MADV_POPULATE_WRITE): that holds a lock which others need to map memory, for as long
// as the system takes. A byte is exchanged for itself, in one instruction: whoever writes it meanwhile is not disturbed.
__attribute__((no_sanitize("thread"))) void take_memory(std::uint8_t* memory, std::size_t size) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (std::size_t i = 0; i < size; i += page) {
    auto value = __atomic_load_n(memory + i, __ATOMIC_RELAXED);
    __atomic_compare_exchange_n(memory + i, &value, value, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
  }
}

void run_in_background() {
#ifdef __APPLE__
  ::pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0);
#else
  // A quarter of a core that others want; with the least of all it would get nowhere.
  constexpr int less = 5;
  ::setpriority(PRIO_PROCESS, 0, less);  // on Linux the calling thread alone
#endif
}

void prepare_heap() {
#ifdef __GLIBC__
  // As glibc has them they grow with the largest block that was freed, up to 32 and 64 MB: a thread's heap then keeps that much, which
  // malloc_trim does not give back.
  constexpr int own_mapping = 1 << 20, kept_at_end = 4 << 20;
  ::mallopt(M_MMAP_THRESHOLD, own_mapping);
  ::mallopt(M_TRIM_THRESHOLD, kept_at_end);
  constexpr int heaps = 2;
  if (address_space_limit() != no_limit) ::mallopt(M_ARENA_MAX, heaps);
#endif
}

void trim_heap() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

}  // namespace pippin
