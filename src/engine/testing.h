// The engine below the tokenizer, on tiny seeded checkpoints. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "engine/run/loop.h"
#include "kernels/emulated/emulation.h"
#include "kernels/gpu/kernel.h"
#include "media/digest.h"
#include "media/image_processor.h"
#include "models/registry.h"

namespace pippin::engine::testing {

inline const std::filesystem::path model_dir =
    std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden/qwen3_vl-f32";

inline const std::filesystem::path quantized_model_dir =
    std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden/qwen3_vl-mlx-4bit";

/// Which operations compute.
enum class How { mlx, cpu_float32, cpu_int8, mlx_kv8, mlx_kv4, cpu_kv8, cpu_kv4, gpu_emulated };

inline bool on_cpu_kernels(How how) {
  return how == How::cpu_float32 || how == How::cpu_int8 || how == How::cpu_kv8 ||
         how == How::cpu_kv4;
}
inline bool rounds_activations(How how) { return on_cpu_kernels(how) && how != How::cpu_float32; }

inline std::string name_of(const ::testing::TestParamInfo<How>& info) {
  constexpr const char* names[] = {"mlx",     "cpu_float32", "cpu_int8", "mlx_kv8",
                                   "mlx_kv4", "cpu_kv8",     "cpu_kv4",  "gpu_emulated"};
  return names[static_cast<int>(info.param)];
}

/// Which kernels `how` wants of a GPU, until it is destroyed: no loop outlives it.
class GpuKernels {
 public:
  explicit GpuKernels(How how) {
    if (how == How::gpu_emulated) use_.emplace(kernels::gpu::emulated_executor());
  }

 private:
  std::optional<kernels::gpu::UseExecutor> use_;
};

inline nn::KvStorage kv_of(How how) {
  switch (how) {
    case How::cpu_int8:
      return {mx::float16};
    case How::mlx_kv8:
    case How::cpu_kv8:
      return {mx::float32, 8};
    case How::mlx_kv4:
    case How::cpu_kv4:
      return {mx::float32, 4};
    default:
      return {mx::float32};
  }
}

struct Config {
  How how = How::mlx;
  int num_pages = 64;
  int max_batch_tokens = 512;
  bool prefix_cache = true;
  std::int64_t media_cache_bytes = 1 << 20;
  std::filesystem::path cache_dir = {};  ///< empty: no disk store
  std::function<void(const StepRecord&)> on_step = {};
  std::function<void()> before_step = {};
  double stuck_after_s = 60;
  std::function<void()> before_read = {}, before_reset = {};
  bool overlap = false;
  std::function<double()> now_ms =
      steady_ms;  ///< the scheduler's clock, which planning a step begins with
};

inline kernels::CpuBackendPtr backend_of(How how) {
  if (!on_cpu_kernels(how)) return nullptr;
  return std::make_shared<kernels::CpuBackend>(
      kernels::CpuOptions{.threads = 2, .exact_activations = how == How::cpu_float32});
}

inline std::shared_ptr<DiskStore> disk_of(const Config& config) {
  if (config.cache_dir.empty()) return nullptr;
  DiskStoreOptions options;
  options.directory = config.cache_dir;
  options.model[0] = static_cast<std::uint8_t>(config.how);
  return std::make_shared<DiskStore>(options);
}

inline std::unique_ptr<Loop> make_loop(const Config& config) {
  return std::make_unique<Loop>([config] {
    const auto cpu = backend_of(config.how);
    auto model = models::load_model(
        rounds_activations(config.how) ? quantized_model_dir : model_dir, {.cpu = cpu});
    const auto disk = disk_of(config);
    RunnerOptions runner{16,  config.num_pages, {config.media_cache_bytes}, kv_of(config.how), cpu,
                         disk};
    Loop::Options loop;
    loop.disk = disk;
    loop.num_pages = config.num_pages;
    loop.prefix_cache = config.prefix_cache;
    loop.scheduler.max_batch_tokens = config.max_batch_tokens;
    loop.scheduler.max_sequences = 16;
    loop.scheduler.now_ms = config.now_ms;
    loop.max_queue = 40;
    loop.on_step = config.on_step;
    loop.before_step = config.before_step;
    loop.stuck_after_s = config.stuck_after_s;
    loop.before_read = config.before_read;
    loop.before_reset = config.before_reset;
    loop.overlap = config.overlap;
    return std::pair{std::make_unique<Runner>(std::move(model), runner), loop};
  });
}

inline constexpr std::int32_t image_token = 142;  // of the golden checkpoints' config.json

inline Pixels noise(int height, int width, unsigned seed) {
  Pixels pixels{height, width, {}};
  std::mt19937 random(seed);
  pixels.rgb.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  for (auto& value : pixels.rgb) value = static_cast<std::uint8_t>(random());
  return pixels;
}

inline std::shared_ptr<const LazyPatches> as_cut(media::Patches patches) {
  return std::make_shared<LazyPatches>([patches = std::move(patches)] { return patches; });
}

inline void add_picture(Sequence& sequence, const Pixels& pixels) {
  auto patches = media::make_patches(pixels, media::ImageProcessorConfig::load(model_dir));
  const media::PatchGrid merged{1, patches.grid.h / 2, patches.grid.w / 2};
  const models::MediaSpan span{sequence.num_tokens(), merged.num_patches(), merged};
  sequence.tokens.insert(sequence.tokens.end(), static_cast<std::size_t>(span.length), image_token);
  sequence.media.push_back({span, media::pixel_digest(pixels), as_cut(std::move(patches))});
}

/// What the sequence has so far is its prompt.
inline void close_prompt(Sequence& sequence) {
  sequence.num_prompt = sequence.num_tokens();
  std::vector<models::MediaSpan> spans;
  for (const auto& item : sequence.media) spans.push_back(item.span);
  sequence.positions = models::mrope_positions(sequence.num_prompt, spans);
}

inline std::shared_ptr<Sequence> make_sequence(int prompt, unsigned words,
                                               const std::vector<unsigned>& pictures = {},
                                               float temperature = 0) {
  auto sequence = std::make_shared<Sequence>();
  std::mt19937 random(words);
  const auto add_words = [&](int count) {
    for (int i = 0; i < count; ++i)
      sequence->tokens.push_back(static_cast<std::int32_t>(random() % 130));
  };
  add_words(prompt / 2);
  for (const auto seed : pictures)
    add_picture(*sequence, noise(64 + static_cast<int>(seed % 3) * 32, 96, seed));
  add_words(prompt - prompt / 2);
  close_prompt(*sequence);
  sequence->max_tokens = 12;
  sequence->sampling.temperature = temperature;
  sequence->seed = words;
  return sequence;
}

inline std::vector<std::int32_t> read_all(const Sequence& sequence) {
  std::vector<std::int32_t> tokens;
  while (const auto event = sequence.output->next())
    if (!event->finish) tokens.push_back(event->token);
  return tokens;
}

/// What a reader gets that leaves after so many tokens.
struct PartlyRead {
  std::vector<std::int32_t> tokens;
  bool whole = false;            ///< the answer ended before the reader left
  std::optional<Error> failure;  ///< which ended the answer
};

inline PartlyRead read_some(const Sequence& sequence, std::size_t leaves_after) {
  PartlyRead read;
  try {
    while (const auto event = sequence.output->next()) {
      read.whole = event->finish.has_value();
      if (read.whole) break;
      read.tokens.push_back(event->token);
      if (read.tokens.size() >= leaves_after) break;
    }
    sequence.output->cancel();
  } catch (const Error& error) {
    read.failure = error;
  }
  return read;
}

inline std::vector<std::int32_t> answer(Loop& loop, const std::shared_ptr<Sequence>& sequence) {
  loop.submit(sequence);
  return read_all(*sequence);
}

/// The stats once nothing runs. A step on this tiny model takes about a millisecond; the stats follow the answer's end.
inline EngineStats idle_stats(const Loop& loop) {
  for (int i = 0; i < 5000 && loop.stats().sequences_running > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return loop.stats();
}

}  // namespace pippin::engine::testing
