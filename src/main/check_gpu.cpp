#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>

#include <spdlog/fmt/fmt.h>

#include "engine/bench.h"
#include "main/check_gpu.h"
#include "main/commands.h"
#include "main/load.h"
#include "main/model_source.h"
#include "pippin/engine.h"

namespace pippin {
namespace {

std::string verdict(const KernelProof& proof) {
  if (!proof.failure.empty()) return "FAILED: " + proof.failure;
  if (!proof.right) return "WRONG";
  return proof.used ? "own" : "MLX's";
}

std::string time(double microseconds) {
  return microseconds > 0 ? fmt::format("{:.1f}", microseconds) : "";
}

void print_speed(Engine& engine, int batch) {
  constexpr int prompt_tokens = 128, new_tokens = 64;
  engine::bench(engine, batch, prompt_tokens, 8);  // compiles
  const auto result = engine::bench(engine, batch, prompt_tokens, new_tokens);
  std::cout << fmt::format("{} at once: {:.0f} tokens a second\n", batch,
                           batch * (new_tokens - 1) / result.decode_s)
            << std::flush;
}

}  // namespace

std::string kernel_table(const std::vector<KernelProof>& proofs) {
  auto table = fmt::format("{:<68} {:>9} {:>9} {:>9} {:>9}  {}\n", "operation", "error", "at most",
                           "own us", "MLX us", "used");
  for (const auto& proof : proofs)
    table += fmt::format("{:<68} {:>9.1e} {:>9.1e} {:>9} {:>9}  {}\n", proof.use, proof.error,
                         proof.bound, time(proof.own_us), time(proof.mlx_us), verdict(proof));
  return table;
}

int check_gpu(const CheckGpuCommand& command, const std::filesystem::path& program) {
  auto options = command.engine;
  options.device = "gpu";
  engine::try_gpu_kernels_again();
  const ModelSource source = get_model(command.model, program, options, command.offline);
  const std::unique_ptr<Engine> engine = load_model(source, options);
  const auto& kernels = engine->info().kernels;
  std::cout << "pippin " << PIPPIN_VERSION << ", " << engine::gpu_name() << ", " << source.name
            << '\n'
            << kernel_table(kernels) << std::flush;
  const auto wrong = std::count_if(kernels.begin(), kernels.end(),
                                   [](const KernelProof& proof) { return !proof.right; });
  if (wrong) std::cout << fmt::format("{} are wrong: MLX does them\n", wrong);
  for (const int batch : {1, 16}) print_speed(*engine, batch);
  return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace pippin
