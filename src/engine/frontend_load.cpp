// How a model directory becomes an engine: device, weights, memory, kernels, the text side. See engine/frontend.h.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/memory.h"
#include "base/pause.h"
#include "engine/cache/memory_budget.h"
#include "engine/disk/fingerprint.h"
#include "engine/frontend.h"
#include "engine/option_checks.h"
#include "engine/run/dry_run.h"
#include "kernels/gpu/kernel.h"
#include "models/registry.h"
#include "text/parsers/sections.h"

namespace pippin::engine {
namespace {

void choose_device(const std::string& device) {
  kernels::gpu::prepare_environment();
  const bool has_gpu = mx::is_available(mx::Device::gpu);
  if (device == "gpu" && !has_gpu)
    throw Error(Code::invalid_argument, "this MLX has no GPU to run on", "device");
  mx::set_default_device(has_gpu && device != "cpu" ? mx::Device::gpu : mx::Device::cpu);
}

mx::Dtype fixed_dtype(DType dtype) {
  if (dtype == DType::float16) return mx::float16;
  return dtype == DType::bfloat16 ? mx::bfloat16 : mx::float32;
}

mx::Dtype choose_dtype(DType dtype, const std::filesystem::path& model_dir) {
  if (dtype != DType::automatic) return fixed_dtype(dtype);
  return mx::default_device() == mx::Device::cpu ? mx::float32
                                                 : models::checkpoint_dtype(model_dir);
}

// The CPU's kernels compute in float32; other arithmetic there is MLX's.
kernels::CpuBackendPtr make_backend(const EngineOptions& options, mx::Dtype dtype) {
  if (mx::default_device() != mx::Device::cpu || dtype != mx::float32) return nullptr;
  return std::make_shared<kernels::CpuBackend>(
      kernels::CpuOptions{options.threads, options.cpu_activations == CpuActivations::float32});
}

nn::KvStorage choose_kv_storage(const EngineOptions& options, mx::Dtype dtype,
                                const kernels::CpuBackendPtr& cpu) {
  nn::KvStorage storage{dtype, options.kv_bits, options.preallocate_kv};
  if (options.kv_dtype != DType::automatic)
    storage.dtype = fixed_dtype(options.kv_dtype);
  else if (options.kv_bits == 0 && cpu && !cpu->exact_activations)
    storage.dtype = mx::float16;
  return storage;
}

void check_heads(const std::vector<nn::LayerState>& layers, const nn::KvStorage& kv) {
  for (const auto& layer : nn::paged_layers(layers))
    for (const int dim : {layer.key_dim, layer.value_dim})
      check(kv.bits == 0 || dim % 8 == 0, "kv_bits",
            "0 for heads of " + std::to_string(dim) + " numbers, no multiple of 8");
}

MemoryBudget::CacheNeeds cache_needs(const models::ModelTraits& traits, const nn::KvStorage& kv,
                                     const EngineOptions& options, std::int64_t context) {
  MemoryBudget::CacheNeeds needs;
  needs.page_bytes = nn::page_bytes(traits.layers, kv, options.page_size);
  needs.slot_bytes = nn::slot_bytes(traits.layers);
  needs.snapshot_tokens =
      options.snapshot_tokens > 0
          ? options.snapshot_tokens
          : default_snapshot_tokens(needs.page_bytes, needs.slot_bytes, options.page_size);
  needs.context = context;
  needs.window_page_bytes = nn::window_page_bytes(traits.layers, kv, options.page_size);
  needs.window = {nn::largest_window(traits.layers), options.page_size, options.max_batch_tokens};
  return needs;
}

// With a step's tokens chosen where the user chose none. On the default device.
EngineOptions suited_to_device(EngineOptions options) {
  constexpr int on_cpu = 512, on_gpu = 2048;
  if (options.max_batch_tokens == 0)
    options.max_batch_tokens =
        std::max(options.max_sequences, mx::default_device() == mx::Device::gpu ? on_gpu : on_cpu);
  return options;
}

// What the process may use of the machine's memory where its device has another; 0 where that is one.
std::int64_t separate_host_memory() {
  const bool shared =
      mx::default_device() == mx::Device::cpu || mx::metal::is_available();  // Metal's is unified
  return shared ? 0 : memory_limit_bytes();
}

void report(const MemorySplit& memory) {
  const auto mb = [](std::int64_t bytes) { return (bytes + (1 << 20) - 1) >> 20; };
  spdlog::info(
      "[engine] memory in MB: {} of {} for weights {}, activations {}, grammars {}, encoded "
      "pictures {}, decoded ones {}, attention cache {}, recurrent states {}",
      mb(memory.budget), mb(memory.limit), mb(memory.weights), mb(memory.activations),
      mb(memory.grammars), mb(memory.media), mb(memory.decoded), mb(memory.pages),
      mb(memory.states));
}

std::string text_of(mx::Dtype dtype) {
  std::ostringstream text;
  text << dtype;
  return text.str();
}

std::string text_of(const nn::KvStorage& kv) {
  return kv.bits ? std::to_string(kv.bits) + " bits" : text_of(kv.dtype);
}

// To be raised whenever pages or features come to lie otherwise in memory, or a model to be computed otherwise.
constexpr const char* layout_version = "layout 1";

// Kernels of other instruction sets add in another order: their pages would do, but not give the same tokens to the last bit.
std::vector<std::string> setup_of(const EngineOptions& options, mx::Dtype dtype,
                                  const nn::KvStorage& kv, const kernels::CpuBackendPtr& cpu,
                                  bool windows_apart) {
  const std::string device = mx::default_device() == mx::Device::cpu ? "cpu" : "gpu";
  std::vector<std::string> setup = {layout_version, std::string("mlx ") + mx::version(),
                                    device,         text_of(dtype),
                                    text_of(kv),    std::to_string(options.page_size)};
  if (windows_apart) setup.emplace_back("windows apart");
  if (cpu) {
    setup.emplace_back(cpu::name_of(cpu->kernels.isa));
    setup.emplace_back(cpu->exact_activations ? "float32 activations" : "int8 activations");
  }
  return setup;
}

std::shared_ptr<DiskStore> open_disk_store(const std::filesystem::path& model_dir,
                                           const EngineOptions& options, mx::Dtype dtype,
                                           const nn::KvStorage& kv,
                                           const kernels::CpuBackendPtr& cpu, bool windows_apart) {
  if (options.cache_dir.empty()) return nullptr;
  DiskStoreOptions disk;
  disk.directory = options.cache_dir;
  disk.model = model_fingerprint(model_dir, setup_of(options, dtype, kv, cpu, windows_apart));
  disk.max_bytes = options.cache_disk_bytes;
  try {
    return std::make_shared<DiskStore>(std::move(disk));
  } catch (const Error& unusable) {
    spdlog::warn("[engine] {}; going on without it", unusable.what());
    return nullptr;
  }
}

std::size_t longest_token(const text::Tokenizer& tokenizer) {
  std::size_t longest = 1;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    if (const auto token = tokenizer.id_to_token(id)) longest = std::max(longest, token->size());
  return longest;
}

std::string name_of(const std::filesystem::path& model_dir) {
  const auto path = std::filesystem::weakly_canonical(model_dir);
  if (path.extension() == ".gguf") return path.stem().string();
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

std::shared_ptr<const text::ChatTemplate> load_template(const std::filesystem::path& model_dir) {
  try {
    return std::make_shared<text::ChatTemplate>(text::ChatTemplate::load(model_dir));
  } catch (const Error& error) {
    if (error.code() != Code::not_found) throw;
    spdlog::warn("[engine] {}: chat requests will be refused", error.what());
    return nullptr;
  }
}

// A checkpoint may name fewer tokens that end an answer than its format has.
void add_end_marks(const text::OutputFormat& format, const text::Tokenizer& tokenizer,
                   std::int64_t vocab_size, std::vector<std::int32_t>& ends) {
  for (const auto mark : format.end_marks()) {
    const auto id = tokenizer.token_to_id(mark);
    if (id && tokenizer.is_special(*id) && *id < vocab_size &&
        std::find(ends.begin(), ends.end(), *id) == ends.end())
      ends.push_back(*id);
  }
}

// So that the engines' thread, which other engines need, waits for no disk.
void read_through(const std::filesystem::path& model) {
  std::vector<std::filesystem::path> files;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(model, ignored)) files.push_back(model);
  for (const auto& item : std::filesystem::directory_iterator(model, ignored))
    if (item.path().extension() == ".safetensors") files.push_back(item.path());
  std::vector<char> piece(std::size_t{4} << 20);
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    while (file.read(piece.data(), static_cast<std::streamsize>(piece.size()))) {
    }
  }
}

std::optional<VisionInput> load_vision(const std::filesystem::path& model_dir,
                                       const models::ModelTraits& traits,
                                       const text::Tokenizer& tokenizer) {
  if (!traits.image_token) return {};
  VisionInput input;
  input.image_token = *traits.image_token;
  const auto spelling = [&](std::int32_t token) {
    return tokenizer.id_to_token(token).value_or("");
  };
  input.image_text = spelling(input.image_token);
  input.image_processor = media::ImageProcessorConfig::load(model_dir);
  if (!traits.video_tokens) return input;
  input.video_token = traits.video_tokens->pad;
  input.video_text = spelling(input.video_token);
  input.start_text = spelling(traits.video_tokens->start);
  input.end_text = spelling(traits.video_tokens->end);
  if (!input.video_text.empty())
    input.video_processor = media::VideoProcessorConfig::load(model_dir);
  return input;
}

}  // namespace

Frontend::Frontend(const std::filesystem::path& model_dir, const EngineOptions& options,
                   Progress progress) {
  init_default_log();
  check(options);
  info_.name = name_of(model_dir);
  // What is cheap and often wrong comes before the weights.
  models::check_model_type(model_dir);
  prompts_.tokenizer = text::Tokenizer::load(model_dir);
  prompts_.max_token_bytes = longest_token(*prompts_.tokenizer);
  prompts_.chat_template = load_template(model_dir);
  const auto thread = EngineThread::of_process();
  const bool alone = !thread->has_tenants();
  if (!alone) read_through(model_dir);
  const std::function<void()> pause = [&] { thread->let_others_work(); };
  const auto load = [&] {
    std::optional<Pauses> pauses;
    if (!alone) pauses.emplace(pause);
    return set_up(model_dir, options, progress);
  };
  loop_ = std::make_unique<Loop>(load, thread);
  choose_output_format(options);
  if (options.warm_up && info_.device == "gpu") warm_up(max_batch_tokens_);
}

void Frontend::choose_output_format(const EngineOptions& options) {
  const auto& chat = prompts_.chat_template;
  output_format_ = text::OutputFormat::choose(options.tool_parser, options.reasoning_parser,
                                              chat ? chat->source(true) : "", info_.model_type);
  prompts_.thought_tag = output_format_.reasoning_tags().open;
  info_.tool_parser = output_format_.tool_parser();
  info_.reasoning_parser = output_format_.reasoning_parser();
  info_.tool_parser_warning = output_format_.warning();
  for (const char* name : {"reasoning_effort", "enable_thinking", "thinking"})
    if (chat && chat->source(true).find(name) != std::string::npos)
      info_.thinking_switches.emplace_back(name);
  add_end_marks(output_format_, *prompts_.tokenizer, prompts_.vocab_size, end_tokens_);
  constraints_ = std::make_unique<ConstraintMaker>(prompts_.tokenizer, output_format_, end_tokens_,
                                                   grammar_bytes_);
  spdlog::info("[engine] tool calls are read as {}, reasoning as {}", info_.tool_parser,
               info_.reasoning_parser);
  if (!info_.tool_parser_warning.empty()) spdlog::warn("[engine] {}", info_.tool_parser_warning);
}

// MLX has other kernels for one row and for up to 16, 32 and 64 rows than for more, and we have some for up to 8, 16 and 128.
// Compiling one of MLX's takes half a minute; compiled ones are found on disk by the next start.
void Frontend::warm_up(int max_batch_tokens) {
  const auto start = std::chrono::steady_clock::now();
  spdlog::info("[engine] warming up the GPU (minutes on a new machine, then seconds)");
  for (const int rows : {2, 9, 17, 33, 65, 129, 512})
    if (rows <= max_batch_tokens && rows + 2 <= info_.max_context) bench(1, rows, 2, false);
  // Prompts of a whole step each: some end, and go on with tokens that are not read yet, beside others.
  if (max_batch_tokens + 2 <= info_.max_context && max_queue_ >= 3)
    bench(3, max_batch_tokens, 2, false);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  spdlog::info("[engine] the GPU is warm after {:.0f} s", taken.count());
}

// On CPUs a step of some rows stands for the largest, which would take seconds; so it does on a GPU whose kernels are not to be
// compiled yet.
std::int64_t Frontend::activation_bytes(const models::Model& model, const EngineOptions& options,
                                        const nn::KvStorage& kv,
                                        const kernels::CpuBackendPtr& cpu) const {
  DryRun run;
  run.page_size = options.page_size;
  run.rows = options.max_batch_tokens;
  run.logit_rows = options.max_sequences + max_scored_rows;
  run.picture_rows = static_cast<int>(EncoderOptions().max_rows);
  if (mx::default_device() == mx::Device::gpu && options.warm_up) run.measured_rows = 0;
  run.kv = kv;
  run.cpu = cpu;
  if (prompts_.vision) run.pictures = &prompts_.vision->image_processor;
  return measure_activations(model, run);
}

// Kernels that are not to be compiled yet can't be proved.
void Frontend::choose_kernels(const models::Model& model, const EngineOptions& options,
                              const nn::KvStorage& kv) {
  if (mx::default_device() != mx::Device::gpu) return;
  if (!options.warm_up && options.gpu_kernels == GpuKernels::automatic) return;
  ProofOptions proof{options.page_size, kv, options.max_sequences, options.max_batch_tokens};
  // Each row has a recurrent state of its own, up to a hundred megabytes; steps of more rows are MLX's.
  constexpr std::int64_t state_bytes = std::int64_t{1} << 29;
  if (const auto each = nn::slot_bytes(model.traits().layers); each > 0)
    proof.max_sequences =
        static_cast<int>(std::clamp<std::int64_t>(state_bytes / each, 1, proof.max_sequences));
  kernels_.emplace(model, proof, options.gpu_kernels);
  info_.kernels = kernels_->proofs();
  mx::clear_cache();
}

std::pair<std::unique_ptr<Runner>, Loop::Options> Frontend::set_up(
    const std::filesystem::path& model_dir, const EngineOptions& given, const Progress& progress) {
  choose_device(given.device);
  const EngineOptions options = suited_to_device(given);
  MemoryBudget memory(device_memory_bytes(), options);
  const auto dtype = choose_dtype(options.dtype, model_dir);
  const auto cpu = cpu_ = make_backend(options, dtype);
  const auto kv = choose_kv_storage(options, dtype, cpu);
  const auto show_progress = [&](double fraction) {
    if (progress) progress(fraction);
    pause_point();
  };
  auto model =
      models::load_model(model_dir, {.dtype = dtype, .cpu = cpu, .progress = show_progress});
  mx::clear_cache();  // of the checkpoint's own tensors, packed or converted by now
  pause_point();
  choose_kernels(*model, options, kv);
  pause_point();
  std::optional<ChosenKernels::InUse> kernels_in_use;
  if (kernels_) kernels_in_use.emplace(*kernels_);
  const auto& traits = model->traits();

  check_heads(traits.layers, kv);
  std::int64_t context =
      options.max_context ? std::min(options.max_context, traits.max_context) : traits.max_context;
  prompts_.vision = load_vision(model_dir, traits, *prompts_.tokenizer);
  const bool overlap = options.overlap && mx::default_device() == mx::Device::gpu;
  const int steps = overlap ? 2 : 1;  // at once
  memory.take_model(model->weight_bytes(), steps * activation_bytes(*model, options, kv, cpu));
  pause_point();
  grammar_bytes_ = memory.grant_grammars();
  const auto media_bytes = memory.grant_media(traits.image_token.has_value());
  memory.grant_decoded(traits.image_token.has_value(), separate_host_memory());
  const auto needs = cache_needs(traits, kv, options, context);
  const auto [pages, slots, window_pages] = memory.grant_cache(needs);
  const auto disk = open_disk_store(model_dir, options, dtype, kv, cpu, window_pages > 0);
  // Slots are numbered in 32 bits.
  check(pages <= std::numeric_limits<std::int32_t>::max() / options.page_size, "kv_pool_tokens",
        "less than 2^31");
  if (pages * options.page_size < context) {
    context = pages * options.page_size;
    spdlog::warn("[engine] the KV pool holds {} tokens, fewer than the model's context of {}",
                 context, traits.max_context);
  }

  max_batch_tokens_ = options.max_batch_tokens;
  info_.model_type = traits.model_type;
  info_.max_context = context;
  info_.takes_images = traits.image_token.has_value();
  info_.num_parameters = model->num_parameters();
  info_.weight_bytes = model->weight_bytes();
  info_.device = mx::default_device() == mx::Device::cpu ? "cpu" : "gpu";
  prompts_.max_context = context;
  prompts_.vocab_size = traits.vocab_size;
  prompts_.positions = traits.positions;
  end_tokens_ = traits.end_tokens;
  if (end_tokens_.empty() && prompts_.tokenizer->eos_id())
    end_tokens_.push_back(*prompts_.tokenizer->eos_id());
  std::erase_if(end_tokens_, [&](auto id) { return id < 0 || id >= traits.vocab_size; });
  if (prompts_.vision && prompts_.vision->video_processor)
    info_.video_sampling = prompts_.vision->video_processor->sampling;

  RunnerOptions runner{options.page_size, static_cast<int>(pages), {}, kv, cpu};
  runner.disk = disk;
  runner.num_slots = static_cast<int>(slots);
  runner.num_window_pages = static_cast<int>(window_pages);
  runner.encoder.cache_bytes = media_bytes;
  runner.encoder.step = std::chrono::milliseconds(options.max_itl_ms) / 2;
  Loop::Options loop;
  loop.num_pages = runner.num_pages;
  loop.num_slots = runner.num_slots;
  loop.num_window_pages = runner.num_window_pages;
  loop.window = needs.window;
  loop.snapshot_tokens = needs.snapshot_tokens;
  loop.memory = memory.split();
  report(memory.split());
  loop.page_size = options.page_size;
  loop.prefix_cache = options.prefix_cache;
  loop.overlap = overlap;
  loop.scheduler.max_batch_tokens = options.max_batch_tokens;
  loop.scheduler.max_sequences = options.max_sequences;
  loop.scheduler.max_itl_ms = options.max_itl_ms;
  max_queue_ = options.max_queue;
  request_timeout_s_ = options.request_timeout_s;
  max_unread_tokens_ = static_cast<std::size_t>(options.max_unread_tokens);
  loop.max_queue = options.max_queue;
  loop.stuck_after_s = options.stuck_after_s;
  loop.disk = disk;
  loop.before_step = options.before_step;
  loop.on_step = options.on_step;
  loop.kernels = kernels_ ? &*kernels_ : nullptr;
  return {std::make_unique<Runner>(std::move(model), runner), loop};
}

}  // namespace pippin::engine
