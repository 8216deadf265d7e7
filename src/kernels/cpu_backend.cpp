#include "kernels/cpu_backend.h"

#include <mlx/backend/cpu/encoder.h>
#include <mlx/primitives.h>

#include <chrono>

#include "pippin/error.h"

namespace pippin::kernels {
namespace {

class HostPrimitive final : public mx::Primitive {
 public:
  HostPrimitive(mx::Stream stream, HostOperation operation)
      : mx::Primitive(stream), operation_(std::make_shared<HostOperation>(std::move(operation))) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    std::vector<mx::array> in;
    for (const auto& x : inputs) {
      if (!x.flags().row_contiguous)
        throw Error(Code::internal,
                    std::string("[cpu] an input of ") + operation_->name + " is not contiguous");
      encoder.set_input_array(x);
      in.push_back(mx::array::unsafe_weak_copy(x));
    }
    auto& output = outputs.front();
    output.set_data(mx::allocator::malloc(output.nbytes()));
    encoder.set_output_array(output);
    encoder.dispatch(
        [operation = operation_, in = std::move(in),
         out = mx::array::unsafe_weak_copy(output)]() mutable { run(*operation, in, out); });
  }

  void eval_gpu(const std::vector<mx::array>&, std::vector<mx::array>&) override {
    throw Error(Code::internal, std::string("[cpu] ") + operation_->name + " has no GPU version");
  }

  const char* name() const override { return operation_->name; }

 private:
  static void run(const HostOperation& operation, const std::vector<mx::array>& in,
                  mx::array& out) {
    if (!operation.backend->profiling()) return operation.run(in, out);
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    operation.run(in, out);
    operation.backend->add_time(operation.name,
                                std::chrono::duration<double>(Clock::now() - start).count());
  }

  std::shared_ptr<const HostOperation> operation_;
};

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

mx::array host_operation(HostOperation operation, mx::Shape shape, mx::Dtype dtype,
                         const std::vector<mx::array>& inputs) {
  auto primitive =
      std::make_shared<HostPrimitive>(mx::default_stream(mx::Device::cpu), std::move(operation));
  return mx::array(std::move(shape), dtype, std::move(primitive), inputs);
}

}  // namespace pippin::kernels
