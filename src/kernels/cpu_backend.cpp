#include "kernels/cpu_backend.h"

#include <chrono>

namespace pippin::kernels {
namespace {

// Evaluated and row-contiguous.
mx::array ready(mx::array x) {
  if (!x.is_available()) x.eval();
  if (x.flags().row_contiguous) return x;
  x = mx::contiguous(x);
  x.eval();
  return x;
}

std::size_t bytes_of(const mx::Shape& shape, mx::Dtype dtype) {
  std::size_t bytes = mx::size_of(dtype);
  for (const int n : shape) bytes *= static_cast<std::size_t>(n);
  return bytes;
}

}  // namespace

void CpuBackend::set_profiling(bool on) {
  std::lock_guard lock(mutex_);
  if (on) profile_.clear();
  profiling_ = on;
}

Profile CpuBackend::profile() const {
  std::lock_guard lock(mutex_);
  return profile_;
}

void CpuBackend::add_time(const char* operation, double seconds) {
  std::lock_guard lock(mutex_);
  profile_[operation] += seconds;
}

mx::array host_array(const mx::Shape& shape, mx::Dtype dtype) {
  auto buffer = std::make_shared<cpu::Buffer>(bytes_of(shape, dtype));
  auto* data = buffer->data();
  return mx::array(data, shape, dtype, [buffer](void*) {});
}

mx::array host_operation(const HostOperation& operation, const mx::Shape& shape, mx::Dtype dtype,
                         const std::vector<mx::array>& inputs) {
  std::vector<mx::array> in;
  for (const auto& x : inputs) in.push_back(ready(x));
  mx::array out(mx::allocator::malloc(bytes_of(shape, dtype)), shape, dtype);

  if (!operation.backend->profiling()) {
    operation.run(in, out);
    return out;
  }
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  operation.run(in, out);
  operation.backend->add_time(operation.name,
                              std::chrono::duration<double>(Clock::now() - start).count());
  return out;
}

}  // namespace pippin::kernels
