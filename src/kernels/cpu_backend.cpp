#include "kernels/cpu_backend.h"

#include "pippin/error.h"

namespace pippin::kernels {
namespace {

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

cpu::Format format_of(mx::Dtype dtype) {
  if (dtype == mx::bfloat16) return cpu::Format::bf16;
  if (dtype == mx::float16) return cpu::Format::f16;
  if (dtype == mx::float32) return cpu::Format::f32;
  throw Error(Code::internal, "[cpu] the kernels read float32, float16 and bfloat16 only");
}

mx::array host_array(const mx::Shape& shape, mx::Dtype dtype) {
  // Not the constructor from a pointer: where MLX can't adopt memory, as its CPU allocator, that one copies.
  auto x = host_output(shape, dtype);
  cpu::wish_for_huge_pages(x.data<std::uint8_t>(), x.nbytes());
  return x;
}

mx::array host_input(mx::array x) {
  if (!x.is_available()) x.eval();
  if (x.flags().row_contiguous) return x;
  x = mx::contiguous(x);
  x.eval();
  return x;
}

mx::array host_output(const mx::Shape& shape, mx::Dtype dtype) {
  return mx::array(mx::allocator::malloc(bytes_of(shape, dtype)), shape, dtype);
}

OperationTimer::OperationTimer(CpuBackend& backend, const char* operation)
    : backend_(backend.profiling() ? &backend : nullptr), operation_(operation) {
  if (backend_) start_ = std::chrono::steady_clock::now();
}

OperationTimer::~OperationTimer() {
  if (!backend_) return;
  const auto time = std::chrono::steady_clock::now() - start_;
  backend_->add_time(operation_, std::chrono::duration<double>(time).count());
}

}  // namespace pippin::kernels
