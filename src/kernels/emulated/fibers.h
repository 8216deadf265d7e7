// A group's threads on one CPU thread, for the emulation: each runs until it must wait for others.
#pragma once

#include <ucontext.h>

#include <csetjmp>
#include <cstddef>
#include <deque>
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
  ~Fibers();
  static Fibers& now();  ///< that of the calling thread

  /// body(tid) for threads [0, count), count a multiple of 32.
  void run(int count, const std::function<void(unsigned)>& body);

  // For the threads.
  void meet_group();
  float exchange(float x, int mask);
  /// The sum over the `lanes` threads around this one, added in the order of log2(lanes) exchanges, at one meeting: the same bits sooner.
  float sum(float x, int lanes);
  void* shared(std::size_t bytes);  ///< the same for each thread's nth call; NaNs at first

 private:
  enum class Meeting { none, warp, group };
  struct Fiber {
    ucontext_t context;
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    Meeting meeting = Meeting::none;
    bool entered = false;        // its context lives and waits in meet(), perhaps for the next run
    bool done = false;           // with the body of this run
    void* fake_stack = nullptr;  // AddressSanitizer's
    int exchanges = 0;
    std::size_t shared = 0;  // bytes it has asked for
  };
  static void start();
  static void prepare(Fiber& fiber);
  static void make_context(Fiber& fiber);
  void resume(int fiber);
  const float* gather(float x);
  void meet(Meeting meeting);
  void go_to(Fiber& fiber);
  void go_to_main(Fiber& fiber);
  void run_warp(int first);
  void run_all(int count);
  void require_all(int first, int count, Meeting meeting) const;

  std::deque<Fiber> fibers_;  // grows only, and moves none: a fiber knows itself by its address
  std::vector<float> shared_;
  std::vector<float> exchanged_[2];   // by thread, in turns: a lane may be one exchange behind
  [[maybe_unused]] ucontext_t main_;  ///< where contexts are swapped
  jmp_buf main_place_;
  // For AddressSanitizer.
  void* main_fake_stack_ = nullptr;
  const void* main_stack_ = nullptr;
  std::size_t main_stack_bytes_ = 0;
  int current_ = 0;
  std::exception_ptr failure_;  // of a thread
  const std::function<void(unsigned)>* body_ = nullptr;
};

template <class T>
T* shared_memory(std::size_t count) {
  return static_cast<T*>(Fibers::now().shared(count * sizeof(T)));
}

}  // namespace pippin::kernels::gpu::emulated
