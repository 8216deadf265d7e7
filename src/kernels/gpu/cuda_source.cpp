#include "kernels/gpu/cuda_source.h"

#include <sstream>

#include "kernels/gpu/texts.h"

namespace pippin::kernels::gpu {
namespace {

// The number types by the names that our texts for CUDA use. bfloat16 from compute capability 8.0 on.
constexpr const char* number_types = R"(
struct __nv_bfloat16 {
  unsigned short bits;
  __nv_bfloat16() = default;
  __device__ __nv_bfloat16(float x) {
    unsigned both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(0.0f), "f"(x));
    bits = (unsigned short)both;
  }
  __device__ operator float() const { return __uint_as_float(unsigned(bits) << 16); }
};
struct __half {
  unsigned short bits;
  __half() = default;
  __device__ __half(float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x)); }
  __device__ operator float() const {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
  }
};
)";

std::string type_of(mx::Dtype dtype) {
  if (dtype == mx::bfloat16) return "__nv_bfloat16";
  if (dtype == mx::float16) return "__half";
  if (dtype == mx::int32) return "int";
  return dtype == mx::uint32 ? "unsigned" : "float";
}

std::string without_includes(const std::string& text) {
  std::istringstream lines(text);
  std::string kept, line;
  while (std::getline(lines, line))
    if (!line.starts_with("#include")) kept += line + '\n';
  return kept;
}

std::string parameters(const PlannedLaunch& launch) {
  std::string text;
  for (std::size_t i = 0; i < launch.in_dtypes.size(); ++i)
    text += "const " + type_of(launch.in_dtypes[i]) + "* " + launch.kernel->inputs[i] + ", ";
  for (std::size_t i = 0; i < launch.out_dtypes.size(); ++i)
    text += (i ? ", " : "") + type_of(launch.out_dtypes[i]) + "* " + launch.kernel->outputs[i];
  return text;
}

std::string template_arguments(const PlannedLaunch& launch) {
  std::string text;
  for (const auto& [name, value] : launch.arguments)
    text += value.index() == 0
                ? "constexpr int " + name + " = " + std::to_string(std::get<int>(value)) + ";\n"
                : "using " + name + " = " + type_of(std::get<mx::Dtype>(value)) + ";\n";
  return text;
}

}  // namespace

std::string kernel_symbol(const Kernel& kernel) { return "pippin_" + kernel.name; }

std::string cuda_source(const PlannedLaunch& launch) {
  const auto& kernel = *launch.kernel;
  // A kernel that reads before it waits has registers for what it reads ahead: two groups a processor read more than three with less.
  return number_types + std::string(text::prelude_cuda) + text::prelude +
         without_includes(kernel.functions) + "extern \"C\" __global__ void __launch_bounds__(" +
         std::to_string(launch.threads) + (kernel.waits ? ", 2) " : ") ") + kernel_symbol(kernel) +
         "(" + parameters(launch) + ") {\n" + template_arguments(launch) +
         "const uint3 group = {blockIdx.x, blockIdx.y, blockIdx.z}; const uint tid = threadIdx.x;\n"
         "(void)group; (void)tid;\n"
         "next_may_start();\n" +
         (kernel.waits ? "" : "inputs_ready();\n") + kernel.call + "}\n";
}

}  // namespace pippin::kernels::gpu
