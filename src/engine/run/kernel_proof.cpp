#include "engine/run/kernel_proof.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "base/digest.h"
#include "base/log.h"
#include "engine/run/replay.h"
#include "engine/run/sampler.h"
#include "kernels/gpu/tokens.h"
#include "kernels/layout.h"

namespace pippin::engine {
namespace {

namespace gpu = kernels::gpu;

// A decode row reads pages of one long prompt, as many as its length wants, and writes to a page of its own.
class Steps {
 public:
  Steps(const models::Model& model, const ProofOptions& options)
      : model_(model),
        options_(options),
        prompt_(static_cast<int>(
            std::min<std::int64_t>(options.max_batch_tokens, model.traits().max_context - 1))),
        prompt_pages_((prompt_ + options.page_size - 1) / options.page_size),
        state_(model.traits().layers,
               {prompt_pages_ + options.max_sequences, options.page_size, options.max_sequences},
               options.kv) {
    std::vector<std::int32_t> slots(static_cast<std::size_t>(options.max_sequences));
    std::iota(slots.begin(), slots.end(), 0);
    state_.slots().clear_pages(slots);
  }

  int longest_prompt() const { return prompt_; }

  /// Logits of a prompt's last token.
  mx::array prompt(int rows) {
    std::vector<std::int32_t> positions(static_cast<std::size_t>(rows));
    std::iota(positions.begin(), positions.end(), 0);
    const auto pages = pages_of(-1, rows);
    return run({{pages, rows, rows}}, positions, {rows - 1}, {{0, 0, rows}});
  }

  /// Logits of decode rows, [rows, V].
  mx::array decode(int rows) {
    std::vector<kernels::ContextRows> contexts;
    std::vector<kernels::StateRows> states;
    std::vector<std::int32_t> positions, wanted;
    std::vector<std::vector<std::int32_t>> pages;  // the contexts refer to them
    for (int row = 0; row < rows; ++row) pages.push_back(pages_of(row, length_of(row)));
    for (int row = 0; row < rows; ++row) {
      contexts.push_back({pages[static_cast<std::size_t>(row)], length_of(row), 1});
      states.push_back({row, row, 1});
      positions.push_back(length_of(row) - 1);
      wanted.push_back(row);
    }
    return run(contexts, positions, wanted, std::move(states));
  }

  /// The same rows as decode() has them.
  Batch batch(int rows) const {
    Batch batch;
    for (int row = 0; row < rows; ++row) {
      auto sequence = std::make_shared<Sequence>();
      sequence->tokens.assign(static_cast<std::size_t>(length_of(row)), token(row));
      sequence->num_prompt = sequence->num_tokens();
      sequence->positions = models::count_positions(sequence->num_prompt, {});
      sequence->pages = pages_of(row, length_of(row));
      batch.chunks.push_back({sequence, length_of(row) - 1, 1, true, -1, 0});
    }
    return batch;
  }
  nn::ModelState& state() { return state_; }

 private:
  // Ragged: some end within a page, some with it, some have more parts than one.
  int length_of(int row) const {
    return std::min(prompt_pages_ * options_.page_size, 1 + row * 149 % std::max(prompt_, 1));
  }
  // The token of a step's row: any one, the same each time.
  std::int32_t token(int row) const {
    return static_cast<std::int32_t>((static_cast<std::int64_t>(row) + 1) * 7919 %
                                     model_.traits().vocab_size);
  }
  std::vector<std::int32_t> pages_of(int row, int length) const {
    std::vector<std::int32_t> pages(
        static_cast<std::size_t>((length + options_.page_size - 1) / options_.page_size));
    std::iota(pages.begin(), pages.end(), 0);
    if (row >= 0) pages.back() = prompt_pages_ + row;
    return pages;
  }

  mx::array run(const std::vector<kernels::ContextRows>& contexts,
                const std::vector<std::int32_t>& positions, const std::vector<std::int32_t>& wanted,
                std::vector<kernels::StateRows> states) {
    const auto ints = [](const std::vector<std::int32_t>& values) {
      return mx::array(values.begin(), {static_cast<int>(values.size())}, mx::int32);
    };
    const auto& traits = model_.traits();
    const int rows = static_cast<int>(positions.size());
    std::vector<std::int32_t> tokens;
    for (int row = 0; row < rows; ++row) tokens.push_back(token(row));
    const models::StepInput input{
        ints(tokens),
        mx::contiguous(mx::broadcast_to(ints(positions), {traits.position_axes, rows})),
        true,
        ints(wanted),
        kernels::make_layout(contexts, options_.page_size, {},
                             nn::by_gpu_kernels(traits.layers, options_.kv)),
        {},
        std::move(states)};
    auto logits = model_.forward(input, state_);
    const auto made = gpu::before_cast(logits);  // an array that is computed doesn't know
    auto results = state_.arrays();
    results.insert(results.end(), {logits, sample(logits, greedy_rows(wanted.size())).tokens});
    mx::eval(std::move(results));
    if (gpu::compares()) try_sampling(made);
    return logits;
  }

  // Rows of each kind that is launched in another way. Filters keep little, so that a wrong cut takes another token.
  static void try_sampling(const mx::array& made) {
    const auto logits = [&] { return mx::astype(made, mx::float32); };
    const auto count = static_cast<std::size_t>(made.shape(0));
    const std::vector<std::uint32_t> mask(static_cast<std::size_t>(made.shape(1) + 31) / 32,
                                          0xb6db6db6u);
    auto rows = greedy_rows(count);
    const auto choose = [&] { sample(logits(), rows).tokens.eval(); };
    for (std::size_t i = 0; i < count; ++i) {
      rows[i].options.temperature = 1;
      rows[i].uniform = uniform_of(1, static_cast<std::int64_t>(i));
    }
    choose();
    for (std::size_t i = 0; i < count; ++i) {
      rows[i].options.top_p = 0.3f;
      rows[i].options.top_k = i % 2 ? 0 : 5;
      rows[i].options.min_p = i % 3 ? 0 : 0.01f;
    }
    choose();
    for (std::size_t i = 0; i < count; ++i) {
      rows[i].options.logit_bias = {{0, -5}, {7, 5}};
      if (i % 3 != 2) rows[i].allowed = mask;
    }
    choose();
  }

  static std::vector<SampleRow> greedy_rows(std::size_t count) {
    std::vector<SampleRow> rows(count);
    for (auto& row : rows) row.options.temperature = 0;
    return rows;
  }

  const models::Model& model_;
  const ProofOptions& options_;
  int prompt_, prompt_pages_;
  nn::ModelState state_;
};

// Decode steps of one side, as the engine would run them.
class Side {
 public:
  Side(const models::Model& model, const ProofOptions& options)
      : steps_(model, options), replays_(Replays::make(model, options.page_size)) {
    steps_.prompt(steps_.longest_prompt());
  }

  /// Logits of so many rows, [rows, V].
  mx::array decode(int rows) { return decode(rows, steps_.batch(rows)); }

  /// Microseconds a step, the best of `calls`.
  double time(int rows, int calls) {
    const auto batch = steps_.batch(rows);
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < calls; ++i) {
      const auto start = std::chrono::steady_clock::now();
      decode(rows, batch);
      const std::chrono::duration<double, std::micro> taken =
          std::chrono::steady_clock::now() - start;
      best = std::min(best, taken.count());
    }
    return calls > 0 ? best : 0;
  }

 private:
  mx::array decode(int rows, const Batch& batch) {
    if (replays_)
      if (const auto replayed = replays_->launch(batch, steps_.state(), false, {})) {
        auto logits = mx::astype(replayed->logits, mx::float32) + mx::array(0.0f);
        logits.eval();
        return logits;
      }
    return steps_.decode(rows);
  }

  Steps steps_;
  std::unique_ptr<Replays> replays_;
};

// 1, 2, 4 ... and the largest.
std::vector<int> row_counts(const ProofOptions& options) {
  std::vector<int> counts;
  for (int rows = 1; rows < options.max_sequences; rows *= 2) counts.push_back(rows);
  counts.push_back(options.max_sequences);
  return counts;
}

// What makes a step, as a number: each operation that the model uses and whose it is, and how many layers there are.
std::uint64_t hash_of(const models::Model& model, const ProofOptions& options,
                      const std::vector<gpu::Proof>& tried) {
  Hasher hasher;
  hasher.update_value(static_cast<std::uint64_t>(model.traits().layers.size()));
  for (const int number : {options.page_size, options.max_batch_tokens, options.kv.bits})
    hasher.update_value(number);
  for (const auto& proof : tried) {
    hasher.update_value(static_cast<int>(proof.use.operation));
    hasher.update_value(static_cast<int>(proof.use.dtype));
    hasher.update_value(proof.use.numbers);
    hasher.update_value(static_cast<int>(gpu::chosen(proof.use)));
  }
  std::uint64_t hash = 0;
  const auto digest = hasher.finish();
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

// The steps' proofs, nothing found out yet.
std::vector<gpu::Proof> unproved_steps(const models::Model& model, const ProofOptions& options,
                                       const std::vector<gpu::Proof>& tried) {
  const auto hash = hash_of(model, options, tried);
  std::vector<gpu::Proof> steps;
  for (const int rows : row_counts(options))
    steps.push_back(
        {gpu::step_use(model.traits().vocab_size, rows, options.kv.dtype, hash), 0, 0, 0, 0, {}});
  return steps;
}

// Those of `known`, where all are.
std::optional<std::vector<gpu::Proof>> known_steps(std::vector<gpu::Proof> steps,
                                                   const std::vector<gpu::Proof>& known) {
  for (auto& step : steps) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const auto& proof) { return proof.use == step.use; });
    if (found == known.end()) return {};
    step = *found;
  }
  return steps;
}

}  // namespace

std::vector<gpu::Proof> prove_kernels(const models::Model& model, const ProofOptions& options,
                                      std::vector<gpu::Proof> known) {
  Steps steps(model, options);
  gpu::Trial trial(std::move(known), options.calls);
  for (int rows = 2; rows < steps.longest_prompt(); rows *= 2) steps.prompt(rows);
  steps.prompt(steps.longest_prompt());
  for (const int rows : row_counts(options)) steps.decode(rows);
  return trial.proofs();
}

std::vector<gpu::Proof> prove_steps(const models::Model& model, const ProofOptions& options,
                                    const std::vector<gpu::Proof>& tried,
                                    const std::vector<gpu::Proof>& known) {
  const int calls = (options.calls + 3) / 4;
  const auto steps = unproved_steps(model, options, tried);
  if (auto kept = known_steps(steps, known)) return std::move(*kept);
  std::vector<gpu::Proof> proofs;
  try {
    Side own(model, options);
    auto mlx = [&] {
      const gpu::UseExecutorHere none(nullptr);
      return Side(model, options);
    }();
    for (const auto& step : steps) {
      const int rows = step.use.numbers[0];
      auto& proof = proofs.emplace_back(step);
      const auto mine = own.decode(rows);
      proof.own_us = own.time(rows, calls);
      const gpu::UseExecutorHere none(nullptr);
      gpu::measure_step(mine, mlx.decode(rows), proof);
      proof.mlx_us = mlx.time(rows, calls);
    }
  } catch (const std::exception& thrown) {
    if (proofs.empty()) proofs.push_back(steps.front());
    proofs.back().failure = thrown.what();
  }
  return proofs;
}

namespace {

KernelProof published(const gpu::Proof& proof, bool used) {
  return {gpu::text_of(proof.use), proof.error,   proof.bound, proof.own_us, proof.mlx_us,
          proof.failure,           proof.right(), used};
}

void warn(const gpu::Proof& proof) {
  if (proof.failure.empty())
    spdlog::warn("[gpu] our kernels differ from MLX's operations by {:.2g} (at most {:.2g}): {}",
                 proof.error, proof.bound, gpu::text_of(proof.use));
  else
    spdlog::warn("[gpu] our kernel failed: {}: {}", gpu::text_of(proof.use), proof.failure);
}

// Where steps are replayed, all of a decode step's operations must be ours, and MLX spends nothing on each of them: their time within MLX's
// stream says little. Of all others it does.
bool pays(const gpu::Proof& proof, const ProofOptions& options, bool replayed) {
  const int rows = proof.use.numbers[0];  // 0: attention of prompts
  return (replayed && rows > 0 && rows < 2 * options.max_sequences) || proof.own_us <= proof.mlx_us;
}

// Each number of rows counts alike.
bool steps_pay(const std::vector<gpu::Proof>& steps) {
  double ratios = 0;
  for (const auto& step : steps) ratios += step.own_us / std::max(step.mlx_us, 1.0);
  return ratios <= static_cast<double>(steps.size());
}

// Those of other models stay.
void keep(const std::vector<gpu::Proof>& proofs, const std::filesystem::path& file) {
  const auto known = gpu::read_proofs(file);
  std::map<gpu::Use, gpu::Proof> all;
  for (const auto* some : {&known, &proofs})
    for (const auto& proof : *some) all.insert_or_assign(proof.use, proof);
  if (all.size() == known.size()) return;
  std::vector<gpu::Proof> list;
  for (const auto& [use, proof] : all) list.push_back(proof);
  gpu::write_proofs(file, list);
}

}  // namespace

void ChosenKernels::report(const gpu::Proof& proof, bool used) {
  if (!proof.right()) warn(proof);
  proofs_.push_back(published(proof, used));
}

ChosenKernels::ChosenKernels(const models::Model& model, const ProofOptions& options,
                             GpuKernels wanted, const std::filesystem::path& file) {
  if (wanted == GpuKernels::mlx) {
    use_mlx();
    return;
  }
  auto executor = gpu::device_executor();
  if (!executor) return;
  const gpu::Attempt attempt(file);
  if (attempt.died_before() && wanted == GpuKernels::automatic) {
    spdlog::warn(
        "[gpu] the program ended while it tried our kernels: MLX's operations run (`pippin "
        "check-gpu` tries again)");
    use_mlx();
    return;
  }
  decided_ = true;
  executor_ = std::move(executor);
  prove(model, options, wanted, file);
}

// Without choices of its own an engine has those of nobody.
ChosenKernels::InUse::InUse(ChosenKernels& kernels) : kernels_(kernels) {
  if (kernels_.decided_) executor_.emplace(kernels_.executor_.get());
  gpu::swap_choices(kernels_.choices_);
}

ChosenKernels::InUse::~InUse() { gpu::swap_choices(kernels_.choices_); }

void ChosenKernels::use_mlx() {
  decided_ = true;
  executor_.reset();
}

void ChosenKernels::prove(const models::Model& model, const ProofOptions& options,
                          GpuKernels wanted, const std::filesystem::path& file) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<InUse> in_use(std::in_place, *this);
  const auto known = gpu::read_proofs(file);
  spdlog::info("[gpu] comparing our kernels with MLX's operations (half a minute for a new model)");
  const auto proofs = prove_kernels(model, options, known);
  keep(proofs, file);
  const bool replayed = gpu::executor()->make_player() != nullptr;
  std::vector<gpu::Use> own;
  for (const auto& proof : proofs) {
    const bool used =
        proof.right() && (wanted == GpuKernels::own || pays(proof, options, replayed));
    if (used) own.push_back(proof.use);
    report(proof, used);
  }
  gpu::use_only(own);
  const auto steps = prove_steps(model, options, proofs, known);
  in_use.reset();
  keep(steps, file);
  const bool right =
      std::all_of(steps.begin(), steps.end(), [](const auto& s) { return s.right(); });
  const bool steps_used = right && (wanted == GpuKernels::own || steps_pay(steps));
  for (const auto& step : steps) report(step, steps_used);
  if (!steps_used) {
    use_mlx();
    for (auto& proof : proofs_) proof.used = false;
  }
  const auto used = std::count_if(proofs_.begin(), proofs_.end(),
                                  [](const KernelProof& proof) { return proof.used; });
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  spdlog::info("[gpu] our kernels do {} of {} operations, found out in {:.1f} s", used,
               proofs_.size(), taken.count());
}

}  // namespace pippin::engine
