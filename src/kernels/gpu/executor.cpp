#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <sstream>
#include <tuple>
#include <utility>

#include "kernels/gpu/cuda_driver.h"
#include "kernels/gpu/cuda_source.h"
#include "kernels/gpu/kernel.h"
#include "kernels/gpu/plan.h"
#include "kernels/gpu/texts.h"
#include "pippin/error.h"

namespace pippin::kernels::gpu {
namespace {

constexpr std::size_t least_numbers = 8;
constexpr int max_threads = 256, warp_size = 32;
constexpr std::size_t max_kept = 4096;  // primitives

void require(bool holds, const Kernel& kernel, const char* rule) {
  if (!holds) throw Error(Code::internal, "[gpu] " + kernel.name + ": " + rule);
}

void check(const Kernel& kernel, const Launch& launch) {
  require(launch.inputs.size() == kernel.inputs.size(), kernel, "another number of inputs");
  require(launch.shapes.size() == kernel.outputs.size() &&
              launch.dtypes.size() == kernel.outputs.size(),
          kernel, "another number of outputs");
  for (const auto& input : launch.inputs)
    require(input.size() >= least_numbers && input.ndim() > 0, kernel,
            "an input of fewer than 8 numbers");
  require(launch.threads > 0 && launch.threads <= max_threads && launch.threads % warp_size == 0,
          kernel, "threads are no multiple of 32 up to 256");
  require(std::all_of(launch.groups.begin(), launch.groups.end(), [](int n) { return n > 0; }),
          kernel, "no groups");
}

std::string without_comments(const std::string& text) {
  std::istringstream lines(text);
  std::string kept, line;
  while (std::getline(lines, line)) {
    const auto first = line.find_first_not_of(' ');
    if (first != std::string::npos && line.compare(first, 2, "//") != 0)
      kept += line.substr(first) + '\n';
  }
  return kept;
}

using Arguments = std::vector<std::pair<std::string, mx::fast::TemplateArg>>;
using MakeFunction = mx::fast::CustomKernelFunction (*)(const Kernel&, const std::string& call,
                                                        const std::string& header);

// By one of MLX's functions, each call of which writes the kernel's source anew: 10 us, and a step has hundreds. A primitive has no
// state but that source and the grid, so calls alike share one.
class ByMlx final : public Executor {
 public:
  ByMlx(MakeFunction make, const char* prelude, const char* places, bool writes_inputs)
      : make_(make),
        prelude_(without_comments(prelude)),
        places_(places),
        writes_inputs_(writes_inputs) {}
  bool writes_inputs() const override { return writes_inputs_; }
  std::unique_ptr<Player> make_player() const override { return cuda_player(); }

 private:
  using Key = std::tuple<const Kernel*, int, std::array<int, 3>, int, std::vector<int>>;

  static std::vector<int> numbers_of(const std::vector<TemplateArgument>& arguments) {
    std::vector<int> numbers;
    for (const auto& [name, value] : arguments)
      numbers.push_back(value.index() == 0 ? std::get<int>(value)
                                           : static_cast<int>(std::get<mx::Dtype>(value).val()));
    return numbers;
  }

  // With code that is compiled without MLX's headers and kept: MLX compiles others' kernels anew at each start, a second or two each.
  static std::shared_ptr<mx::Primitive> compiled(const cu::Driver& driver, const Kernel& kernel,
                                                 const Launch& launch) {
    PlannedLaunch planned{&kernel,
                          {},
                          {},
                          {},
                          launch.dtypes,
                          launch.groups,
                          launch.threads,
                          launch.arguments,
                          launch.dynamic_shared};
    for (const auto& input : launch.inputs) planned.in_dtypes.push_back(input.dtype());
    const auto [x, y, z] = launch.groups;
    return mx::fast::precompiled_cuda_kernel(
               kernel_symbol(kernel), cuda_code(driver, cuda_source(planned)), launch.inputs,
               launch.shapes, launch.dtypes, {}, {x * launch.threads, y, z}, {launch.threads, 1, 1},
               launch.dynamic_shared, std::nullopt, true)
        .front()
        .primitive_ptr();
  }

  std::shared_ptr<mx::Primitive> make(const Kernel& kernel, const Launch& launch) const {
    if (const auto* driver = writes_inputs_ ? cuda_driver() : nullptr)
      return compiled(*driver, kernel, launch);
    const auto function =
        make_(kernel, places_ + without_comments(kernel.call),
              prelude_ + without_comments(text::prelude) + without_comments(kernel.functions));
    Arguments arguments;
    for (const auto& [name, value] : launch.arguments) {
      if (value.index() == 0)
        arguments.emplace_back(name, std::get<int>(value));
      else
        arguments.emplace_back(name, std::get<mx::Dtype>(value));
    }
    const auto [x, y, z] = launch.groups;
    return function(launch.inputs, launch.shapes, launch.dtypes, {x * launch.threads, y, z},
                    {launch.threads, 1, 1}, arguments, std::nullopt, false, {})
        .front()
        .primitive_ptr();
  }

  std::vector<mx::array> execute(const Kernel& kernel, const Launch& launch) override {
    if (primitives_.size() > max_kept) primitives_.clear();
    const auto stream = mx::default_stream(mx::default_device());
    auto& primitive = primitives_[{&kernel, stream.index, launch.groups, launch.threads,
                                   numbers_of(launch.arguments)}];
    if (!primitive) primitive = make(kernel, launch);
    if (launch.shapes.size() == 1)
      return {mx::array(launch.shapes[0], launch.dtypes[0], primitive, launch.inputs)};
    return mx::array::make_arrays(launch.shapes, launch.dtypes, primitive, launch.inputs);
  }

  MakeFunction make_;
  std::string prelude_, places_;
  bool writes_inputs_;
  std::map<Key, std::shared_ptr<mx::Primitive>> primitives_;
};

bool is_nvidia() {
  if (mx::default_device() != mx::Device::gpu) return false;
  return mx::device_info(mx::Device::gpu)
      .contains("compute_capability_major");  // CUDA alone has it
}

struct Current {
  bool chosen = false;
  Executor* executor = nullptr;
};
Current& current() {
  static Current current;
  return current;
}

// The calling thread's own, over the former.
Current& here() {
  static thread_local Current here;
  return here;
}

template <class T>
mx::array kept(std::vector<T> values, mx::Dtype dtype) {
  static thread_local std::map<std::vector<T>, mx::array> arrays;
  if (arrays.size() > max_kept) arrays.clear();
  values.resize(std::max(values.size(), least_numbers));
  const auto found = arrays.find(values);
  if (found != arrays.end()) return found->second;
  const mx::array made(values.begin(), {static_cast<int>(values.size())}, dtype);
  return arrays.emplace(std::move(values), made).first->second;
}

}  // namespace

std::vector<mx::array> Executor::run(const Kernel& kernel, const Launch& launch) {
  check(kernel, launch);
  return execute(kernel, launch);
}

std::unique_ptr<Executor> cuda_executor() {
  const auto make = [](const Kernel& kernel, const std::string& call, const std::string& header) {
    return mx::fast::cuda_kernel(kernel.name, kernel.inputs, kernel.outputs, call, header);
  };
  // A stream runs graphs in turn, and within one what takes an output waits for it.
  return std::make_unique<ByMlx>(
      make, text::prelude_cuda,
      "const uint3 group = {blockIdx.x, blockIdx.y, blockIdx.z}; const uint tid = threadIdx.x;\n",
      true);
}

std::unique_ptr<Executor> metal_executor() {
  const auto make = [](const Kernel& kernel, const std::string& call, const std::string& header) {
    return mx::fast::metal_kernel(kernel.name, kernel.inputs, kernel.outputs, call, header);
  };
  // Command buffers may overlap but for what MLX knows to depend.
  return std::make_unique<ByMlx>(make, text::prelude_metal,
                                 "const uint3 group = threadgroup_position_in_grid; const uint tid "
                                 "= thread_index_in_threadgroup;\n",
                                 false);
}

std::unique_ptr<Executor> device_executor() {
  if (mx::default_device() != mx::Device::gpu) return nullptr;
  return is_nvidia() ? cuda_executor() : metal_executor();
}

Executor* executor() {
  if (here().chosen) return here().executor;
  auto& now = current();
  if (!now.chosen) {
    static const auto cuda = is_nvidia() ? cuda_executor() : nullptr;
    now = {true, cuda.get()};
  }
  return now.executor;
}

UseExecutor::UseExecutor(std::unique_ptr<Executor> executor)
    : mine_(std::move(executor)), before_(gpu::executor()) {
  current().executor = mine_.get();
}

UseExecutor::~UseExecutor() { current().executor = before_; }

UseExecutorHere::UseExecutorHere(Executor* executor)
    : had_one_(here().chosen), before_(here().executor) {
  here() = {true, executor};
}

UseExecutorHere::~UseExecutorHere() { here() = {had_one_, before_}; }

void prepare_environment() {
  constexpr int keep = 0;  // what is there
  // cuDNN makes a plan for each new pair of lengths, which takes it up to a second, and prompts' chunks have new lengths at every step.
  setenv("MLX_CUDA_USE_CUDNN_SDPA", "0", keep);
  // TF32 keeps 11 of the 24 bits of a float32 factor: too few for the rotation of 8-bit pages, and for a checkpoint in float32.
  setenv("MLX_ENABLE_TF32", "0", keep);
#ifdef __APPLE__
  // A command buffer ends after so many operations, or "MB", which are millions of the numbers of all inputs: by its own limits at each
  // operation that touches a pool of pages. CUDA's graphs are no faster with others.
  setenv("MLX_MAX_OPS_PER_BUFFER", "200", keep);
  setenv("MLX_MAX_MB_PER_BUFFER", "100000", keep);
#endif
}

mx::array constants(std::vector<int> values) { return kept(std::move(values), mx::int32); }
mx::array constants(std::vector<float> values) { return kept(std::move(values), mx::float32); }

std::vector<std::int32_t> padded(std::vector<std::int32_t> values) {
  values.resize(std::max(values.size(), least_numbers));
  return values;
}

mx::array padded_input(const mx::array& x) {
  if (x.size() >= least_numbers) return x;
  return mx::pad(mx::flatten(x), {{0, static_cast<int>(least_numbers - x.size())}});
}

bool is_number(mx::Dtype dtype) {
  return dtype == mx::float32 || dtype == mx::bfloat16 || dtype == mx::float16;
}

}  // namespace pippin::kernels::gpu
