#include "kernels/gpu/cuda_driver.h"

#include <dlfcn.h>
#include <mlx/mlx.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <variant>

#include "pippin/error.h"

namespace pippin::kernels::gpu {
namespace mx = mlx::core;
namespace {

// libmlx's CUDA build brings both libraries into the process.
template <class Function>
bool look_up(const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  return function != nullptr;
}

std::optional<cu::Driver> look_up_all() {
  cu::Driver d{};
  const bool driver =
      look_up("cuGetErrorName", d.error_name) && look_up("cuModuleLoadData", d.load_module) &&
      look_up("cuModuleGetFunction", d.get_function) &&
      look_up("cuFuncSetAttribute", d.set_attribute) &&
      look_up("cuStreamCreate", d.create_stream) &&
      look_up("cuStreamBeginCapture_v2", d.begin_capture) &&
      look_up("cuStreamEndCapture", d.end_capture) &&
      look_up("cuGraphInstantiateWithFlags", d.instantiate) &&
      look_up("cuGraphDestroy", d.destroy_graph) && look_up("cuGraphExecDestroy", d.destroy_exec) &&
      look_up("cuGraphLaunch", d.launch_graph) && look_up("cuLaunchKernelEx", d.launch) &&
      look_up("cuMemHostAlloc", d.allocate_host) && look_up("cuMemcpyHtoDAsync_v2", d.to_device) &&
      look_up("cuMemcpyDtoHAsync_v2", d.to_host) &&
      look_up("cuMemcpyDtoDAsync_v2", d.within_device) &&
      look_up("cuEventCreate", d.create_event) && look_up("cuEventRecord", d.record_event) &&
      look_up("cuEventSynchronize", d.wait_event);
  const bool compiler =
      look_up("nvrtcCreateProgram", d.create_program) &&
      look_up("nvrtcCompileProgram", d.compile) && look_up("nvrtcGetCUBINSize", d.code_size) &&
      look_up("nvrtcGetCUBIN", d.code) && look_up("nvrtcGetProgramLogSize", d.log_size) &&
      look_up("nvrtcGetProgramLog", d.log) && look_up("nvrtcDestroyProgram", d.destroy_program);
  if (!driver || !compiler) return {};
  return d;
}

std::string log_of(const cu::Driver& driver, void* program) {
  std::size_t size = 0;
  driver.log_size(program, &size);
  std::string log(size, '\0');
  driver.log(program, log.data());
  return log;
}

std::filesystem::path code_path(const std::string& source, int capability) {
  const char* chosen = std::getenv("MLX_PTX_CACHE_DIR");
  const auto folder =
      chosen ? std::filesystem::path(chosen)
             : std::filesystem::temp_directory_path() / ("pippin-" + std::to_string(getuid()));
  return folder / ("pippin_" + std::to_string(capability) + "_" +
                   std::to_string(std::hash<std::string>{}(source)) + ".cubin");
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string compile_cuda(const cu::Driver& driver, const std::string& source, int capability) {
  void* program = nullptr;
  if (driver.create_program(&program, source.c_str(), "pippin.cu", 0, nullptr, nullptr))
    throw Error(Code::internal, "[gpu] CUDA's compiler takes no program");
  // From Hopper on, "a" gives nothing that our texts use.
  const auto target = "--gpu-architecture=sm_" + std::to_string(capability);
  const std::array<const char*, 2> options = {target.c_str(), "--std=c++17"};
  const auto result = driver.compile(program, static_cast<int>(options.size()), options.data());
  const auto log = log_of(driver, program);
  std::size_t size = 0;
  std::string code;
  if (!result && !driver.code_size(program, &size)) {
    code.resize(size);
    driver.code(program, code.data());
  }
  driver.destroy_program(&program);
  if (code.empty()) throw Error(Code::internal, "[gpu] a kernel does not compile: " + log);
  return code;
}

}  // namespace

const cu::Driver* cuda_driver() {
  static const auto driver = look_up_all();
  return driver ? &*driver : nullptr;
}

int cuda_capability() {
  const auto& info = mx::device_info(mx::Device::gpu);
  const auto number = [&](const char* name) {
    const auto found = info.find(name);
    return found == info.end() ? 0 : static_cast<int>(std::get<std::size_t>(found->second));
  };
  return number("compute_capability_major") * 10 + number("compute_capability_minor");
}

std::string cuda_code(const cu::Driver& driver, const std::string& source) {
  const int capability = cuda_capability();
  const auto path = code_path(source, capability);
  if (auto kept = content_of(path); !kept.empty()) return kept;
  auto code = compile_cuda(driver, source, capability);
  std::error_code failure;  // without a place for it, it is compiled again
  std::filesystem::create_directories(path.parent_path(), failure);
  const auto unfinished = path.string() + "." + std::to_string(getpid());
  if (std::ofstream(unfinished, std::ios::binary)
          .write(code.data(), static_cast<std::streamsize>(code.size())))
    std::filesystem::rename(unfinished, path, failure);
  return code;
}

}  // namespace pippin::kernels::gpu
