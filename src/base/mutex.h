// Mutexes whose use clang checks: what is GUARDED_BY one is touched only with it held. Its warnings are errors in the portability
// build (cmake/Warnings.cmake). Other compilers see plain standard mutexes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#ifdef __clang__
#define PIPPIN_THREAD_ATTRIBUTE(...) __attribute__((__VA_ARGS__))
#else
#define PIPPIN_THREAD_ATTRIBUTE(...)
#endif

/// On a member: only with the mutex held. PT_GUARDED_BY: the same for what the pointer points to.
#define GUARDED_BY(mutex) PIPPIN_THREAD_ATTRIBUTE(guarded_by(mutex))
#define PT_GUARDED_BY(mutex) PIPPIN_THREAD_ATTRIBUTE(pt_guarded_by(mutex))
/// On a function or lambda: the caller holds the mutex. A function may release it meanwhile.
#define REQUIRES(...) PIPPIN_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))

// What follows locks in ways that the analysis does not see through.
#define PIPPIN_UNCHECKED PIPPIN_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace pippin {

class PIPPIN_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() PIPPIN_THREAD_ATTRIBUTE(acquire_capability()) PIPPIN_UNCHECKED { mutex_.lock(); }
  void unlock() PIPPIN_THREAD_ATTRIBUTE(release_capability()) PIPPIN_UNCHECKED { mutex_.unlock(); }

 private:
  friend class ConditionVariable;
  std::mutex mutex_;
};

/// Holds a mutex as long as it lives, but between unlock() and lock().
class PIPPIN_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) PIPPIN_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex.lock();
  }
  ~MutexLock() PIPPIN_THREAD_ATTRIBUTE(release_capability()) {
    if (is_held_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void lock() PIPPIN_THREAD_ATTRIBUTE(acquire_capability()) PIPPIN_UNCHECKED {
    mutex_.lock();
    is_held_ = true;
  }
  void unlock() PIPPIN_THREAD_ATTRIBUTE(release_capability()) PIPPIN_UNCHECKED {
    is_held_ = false;
    mutex_.unlock();
  }

 private:
  Mutex& mutex_;
  bool is_held_ = true;
};

/// Releases a mutex that is held, as long as it lives.
class PIPPIN_THREAD_ATTRIBUTE(scoped_lockable) MutexUnlock {
 public:
  explicit MutexUnlock(Mutex& mutex) PIPPIN_THREAD_ATTRIBUTE(release_capability(mutex))
      : mutex_(mutex) {
    mutex.unlock();
  }
  ~MutexUnlock() PIPPIN_THREAD_ATTRIBUTE(release_capability()) { mutex_.lock(); }
  MutexUnlock(const MutexUnlock&) = delete;
  MutexUnlock& operator=(const MutexUnlock&) = delete;

 private:
  Mutex& mutex_;
};

/// Waits for what another thread changes with the mutex held, which is released meanwhile. A predicate is a lambda that REQUIRES the
/// mutex.
class ConditionVariable {
 public:
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

  void wait(Mutex& mutex) REQUIRES(mutex) {
    Adopted adopted(mutex.mutex_);
    condition_.wait(adopted.lock);
  }
  template <class Predicate>
  void wait(Mutex& mutex, Predicate predicate) REQUIRES(mutex) {
    Adopted adopted(mutex.mutex_);
    condition_.wait(adopted.lock, predicate);
  }

  template <class Clock, class Duration>
  void wait_until(Mutex& mutex, std::chrono::time_point<Clock, Duration> time) REQUIRES(mutex) {
    Adopted adopted(mutex.mutex_);
    condition_.wait_until(adopted.lock, time);
  }
  void wait_for(Mutex& mutex, std::chrono::steady_clock::duration most) REQUIRES(mutex) {
    wait_until(mutex, std::chrono::steady_clock::now() + most);
  }
  /// Returns whether the predicate holds.
  template <class Predicate>
  bool wait_for(Mutex& mutex, std::chrono::steady_clock::duration most, Predicate predicate)
      REQUIRES(mutex) {
    Adopted adopted(mutex.mutex_);
    return condition_.wait_for(adopted.lock, most, predicate);
  }

 private:
  struct Adopted {
    explicit Adopted(std::mutex& mutex) : lock(mutex, std::adopt_lock) {}
    ~Adopted() { lock.release(); }
    std::unique_lock<std::mutex> lock;
  };
  std::condition_variable condition_;
};

}  // namespace pippin
