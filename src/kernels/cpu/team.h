// The threads that share one kernel's work.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

namespace pippin::cpu {

/// Cores this process may use: its affinity mask, cut to the cgroup's CPU quota; at least 1.
int usable_cores();

/// Owns size() - 1 worker threads; the caller of parallel_for is the remaining one. One thread at a
/// time may call. Between jobs a worker spins for some microseconds, as the next kernel usually
/// follows at once, and then sleeps; a long spin would take the core from a busy neighbour, and made
/// decoding three times slower beside one.
class Team {
 public:
  explicit Team(int num_threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(begin, end, thread) for pieces of at most `grain` that cover [0, n), each handed to
  /// whichever thread is free; thread is in [0, size()). Returns when all are done. A worker that the
  /// system keeps from running delays nothing, unless it holds a piece. Where a body throws, pieces that have not begun are left out, and
  /// the first exception is thrown here when no thread is in the body any more.
  template <class Body>
  void parallel_for(std::int64_t n, std::int64_t grain, const Body& body) {
    share(n, grain, false, body);
  }

  /// The same in pieces that begin large and end small, at least `grain`: for work whose indices are
  /// neighbours in memory. Memory is read slowly until a core's prefetchers have seen where a piece
  /// lies, which took a third of the speed of a decode step in small equal pieces.
  template <class Body>
  void parallel_for_guided(std::int64_t n, std::int64_t grain, const Body& body) {
    share(n, grain, true, body);
  }

 private:
  using Call = void (*)(const void* body, std::int64_t begin, std::int64_t end, int thread);

  template <class Body>
  void share(std::int64_t n, std::int64_t grain, bool guided, const Body& body) {
    if (n <= grain || workers_.empty()) {
      if (n > 0) body(std::int64_t{0}, n, 0);
      return;
    }
    guided_ = guided;
    run(
        n, grain,
        [](const void* b, std::int64_t begin, std::int64_t end, int thread) {
          (*static_cast<const Body*>(b))(begin, end, thread);
        },
        &body);
  }

  void run(std::int64_t n, std::int64_t grain, Call call, const void* body);
  void work(int thread);
  void take_pieces(int thread) noexcept;
  std::int64_t take_guided(std::int64_t& begin);

  // The job; written by the caller while no worker is in it.
  std::int64_t n_ = 0, grain_ = 1;
  bool guided_ = false;
  Call call_ = nullptr;
  const void* body_ = nullptr;
  alignas(64) std::atomic<std::int64_t> next_{0};
  // Job number << 32 | open bit << 31 | workers inside. A worker enters an open job it has not seen;
  // the caller closes it and waits until none is inside.
  alignas(64) std::atomic<std::uint64_t> state_{0};
  // Where workers sleep: bumped for every job, and to stop.
  alignas(64) std::atomic<std::uint32_t> posted_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
  // The job's first exception; read by the caller when no worker is inside.
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
  std::vector<std::thread> workers_;
};

}  // namespace pippin::cpu
