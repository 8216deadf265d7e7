#include "main/engine_options.h"

#include <map>

#include "main/option_group.h"
#include "text/parsers/registry.h"

namespace pippin {
namespace {

const std::map<std::string, DType> dtypes = {{"auto", DType::automatic},
                                             {"float32", DType::float32},
                                             {"float16", DType::float16},
                                             {"bfloat16", DType::bfloat16}};

const std::vector<std::string> types = {"auto", "float32", "float16", "bfloat16"};

using Group = OptionGroup;

void add_device_options(CLI::App& app, EngineOptions& engine, EngineUnits& units) {
  Group group(app, "Device: CPU or GPU, arithmetic, threads");
  group.choice("--device", engine.device, {"cpu", "gpu"}, "cpu or gpu [a GPU where there is one]");
  group.choice("--dtype", units.dtype, types,
               "Arithmetic: auto, float32, float16, bfloat16 [auto]");
  group.choice("--kv-dtype", units.kv_dtype, types,
               "Stored attention cache [auto: float16 on a CPU, else as --dtype]");
  group
      .choice("--kv-bits", engine.kv_bits, {8, 4},
              "Keep the attention cache in 8 or 4 bits a number, in place of --kv-dtype [off]")
      ->type_name("N");
  group.number("--threads", engine.threads, 0, 1024, "Threads of a CPU's kernels [all cores]");
  group.choice("--cpu-activations", units.cpu_activations, {"int8", "float32"},
               "Before quantized weights on a CPU: int8, or float32 (slower, exact) [int8]");
  group.choice(
      "--gpu-kernels", units.gpu_kernels, {"auto", "own", "mlx"},
      "On a GPU: Pippin's kernels where they are right and faster, wherever they are right, "
      "or MLX's [auto]");
  group.flag("--no-warmup", units.no_warmup,
             "Leave compiling a GPU's kernels to the first requests");
}

void add_memory_options(CLI::App& app, EngineOptions& engine, EngineUnits& units) {
  Group group(app, "Memory: how much it takes, and for how long a context");
  group.number("--max-context", engine.max_context, std::int64_t{1}, no_limit,
               "Longest prompt and answer together, in tokens [the model's]");
  auto* fraction = group.number("--memory-fraction", engine.memory_fraction, 0.01, 1.0,
                                "Share of the memory that the engine takes, all of it for the "
                                "attention cache where given [0.8]");
  group.number("--memory-gb", units.memory_gb, 0.01, 1e6, "The same in GB")->excludes(fraction);
  group.number("--kv-gb", units.kv_gb, 0.001, 1e6,
               "Memory for the attention cache, in GB [a quarter of all]");
  group.number("--kv-tokens", engine.kv_pool_tokens, std::int64_t{1}, no_limit,
               "Tokens that this cache holds [4 contexts, within --kv-gb]");
  group.flag("--preallocate-kv", engine.preallocate_kv,
             "Take all of its memory at the start instead of as it is used");
}

void add_cache_options(CLI::App& app, EngineOptions& engine, EngineUnits& units) {
  Group group(app, "Caches: what is kept of prompts and pictures");
  group.add("--cache-dir", engine.cache_dir, "FOLDER",
            "Keep what was read and seen here for the next start, too [none]");
  group.number("--cache-disk-gb", units.cache_disk_gb, 0.001, 1e6,
               "Size of that folder at most, in GB [10]");
  group.number("--media-cache-mb", units.media_cache_mb, std::int64_t{0}, no_limit,
               "Memory for encoded pictures and videos, in MB; 0 keeps none [up to 512]");
  group.number("--page-size", engine.page_size, 1, 1024,
               "Tokens in a page of the attention cache [16]");
  group.number("--snapshot-tokens", engine.snapshot_tokens, 1, 1 << 24,
               "Tokens between snapshots of recurrent layers' states, a multiple of --page-size "
               "[by their size, 512 to 2048]");
  group.flag("--no-prefix-cache", units.no_prefix_cache, "Read every prompt anew (to compare)");
}

void add_batch_options(CLI::App& app, EngineOptions& engine, EngineUnits& units) {
  Group group(app, "Batching: answers at once and their pace, tool calls");
  group.number("--max-sequences", engine.max_sequences, 1, 1 << 16,
               "Answers generated at once [64]");
  group.number("--max-batch-tokens", engine.max_batch_tokens, 1, 1 << 20,
               "Tokens computed in one step [512, on a GPU 2048]");
  group.number("--max-itl-ms", engine.max_itl_ms, 2, 60000,
               "Time between a stream's tokens aimed at while prompts are read beside it [100]");
  group.flag("--no-overlap", units.no_overlap,
             "Launch a GPU's step only once the one before is read (to compare)");
  group.choice("--tool-parser", engine.tool_parser, text::OutputFormat::tool_parsers(),
               "How tool calls are read from answers: a format, auto or none [auto]");
  group.choice("--reasoning-parser", engine.reasoning_parser,
               text::OutputFormat::reasoning_parsers(),
               "How reasoning is told from answers: a format, auto or none [auto]");
}

}  // namespace

void add_engine_options(CLI::App& app, EngineOptions& engine, EngineUnits& units) {
  add_device_options(app, engine, units);
  add_memory_options(app, engine, units);
  add_cache_options(app, engine, units);
  add_batch_options(app, engine, units);
}

void finish_engine(EngineOptions& engine, const EngineUnits& units) {
  engine.kv_pool_bytes = static_cast<std::int64_t>(units.kv_gb * (1 << 30));
  engine.cache_disk_bytes = static_cast<std::int64_t>(units.cache_disk_gb * (1 << 30));
  engine.memory_bytes = static_cast<std::int64_t>(units.memory_gb * (1 << 30));
  if (units.media_cache_mb >= 0) engine.media_cache_bytes = units.media_cache_mb << 20;
  engine.prefix_cache = !units.no_prefix_cache;
  engine.overlap = !units.no_overlap;
  engine.warm_up = !units.no_warmup;
  engine.dtype = dtypes.at(units.dtype);
  engine.kv_dtype = dtypes.at(units.kv_dtype);
  engine.gpu_kernels = units.gpu_kernels == "mlx"   ? GpuKernels::mlx
                       : units.gpu_kernels == "own" ? GpuKernels::own
                                                    : GpuKernels::automatic;
  engine.cpu_activations =
      units.cpu_activations == "int8" ? CpuActivations::int8 : CpuActivations::float32;
}

void add_offline(CLI::App& app, bool& offline) {
  app.add_flag("--offline", offline, "Ask no hub for a model: take it from the cache");
}

}  // namespace pippin
