// A group's threads on one CPU thread, for the emulation: each runs until it must wait for others.
#pragma once

#include <ucontext.h>

#include <csetjmp>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

namespace pippin::kernels::gpu::emulated {

/// Runs groups of threads, 32 a warp, deterministically. A collective operation is a meeting of a warp's lanes or of all threads; whoever is
/// missing there, or came to another one, makes run() throw Error(internal): what hangs or corrupts on a GPU is found here.
/// All members on one thread.
class Fibers {
 public:
  static Fibers& now();  ///< that of the calling thread

  /// body(tid) for threads [0, count), count a multiple of 32.
  void run(int count, const std::function<void(unsigned)>& body);

  // For the threads.
  void meet_group();
  float exchange(float x, int mask);
  void* shared(std::size_t bytes);  ///< the same for each thread's nth call; NaNs at first

 private:
  enum class Meeting { none, warp, group };
  struct Fiber {
    ucontext_t context;
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    Meeting meeting = Meeting::none;
    bool started = false, done = false;
    float values[2] = {};  // exchanged, in turns: a lane may be one exchange behind
    int exchanges = 0;
    std::size_t shared = 0;  // bytes it has asked for
  };
  static void start();
  static void prepare(Fiber& fiber);
  void resume(int fiber);
  void meet(Meeting meeting);
  void run_warp(int first);
  void require_all(int first, int count, Meeting meeting) const;

  std::vector<Fiber> fibers_;
  std::vector<float> shared_;
  [[maybe_unused]] ucontext_t main_;  ///< where contexts are swapped
  jmp_buf main_place_;
  int current_ = 0;
  std::exception_ptr failure_;  // of a thread
  const std::function<void(unsigned)>* body_ = nullptr;
};

template <class T>
T* shared_memory(std::size_t count) {
  return static_cast<T*>(Fibers::now().shared(count * sizeof(T)));
}

}  // namespace pippin::kernels::gpu::emulated
