// See engine/bench.h.
#include <chrono>
#include <random>
#include <utility>

#include "engine/frontend.h"
#include "engine/option_checks.h"

namespace pippin::engine {
namespace {

OperationTimes difference(OperationTimes total, const OperationTimes& before) {
  for (const auto& [name, seconds] : before) total[name] -= seconds;
  return total;
}

}  // namespace

BenchResult Frontend::bench(int batch, int prompt_tokens, int new_tokens, bool profile,
                            const SamplingOptions& sampling) {
  check(batch >= 1, "batch", "at least 1");
  check(prompt_tokens >= 1, "prompt_tokens", "at least 1");
  check(new_tokens >= 1, "new_tokens", "at least 1");
  check(std::int64_t{prompt_tokens} + new_tokens <= info_.max_context, "prompt_tokens",
        "within the context of " + std::to_string(info_.max_context) + " with the new tokens");
  check(batch <= max_queue_, "batch", "at most the queue's " + std::to_string(max_queue_));
  StopOptions stop;
  stop.max_tokens = new_tokens;
  stop.ignore_eos = true;
  std::mt19937_64 random(
      std::random_device{}());  // other prompts each time, so that none is found in the cache
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (int i = 0; i < batch; ++i) {
    auto sequence = std::make_shared<Sequence>();
    while (sequence->num_tokens() < prompt_tokens) {
      const auto token =
          static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(prompts_.vocab_size));
      sequence->tokens.push_back(token);
    }
    sequence->num_prompt = prompt_tokens;
    sequence->positions = prompts_.positions(prompt_tokens, {});
    apply(sampling, stop, *sequence);
    sequences.push_back(std::move(sequence));
  }
  profile = profile && cpu_;
  if (profile) cpu_->set_profiling(true);
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  for (const auto& sequence : sequences) loop_->submit(sequence);
  for (const auto& sequence : sequences) sequence->output->next();
  BenchResult result;
  result.prefill_s = seconds();
  if (profile) result.prefill_operations = cpu_->profile();
  for (const auto& sequence : sequences)
    while (const auto event = sequence->output->next())
      if (event->finish) break;
  result.decode_s = seconds() - result.prefill_s;
  if (profile) {
    result.decode_operations = difference(cpu_->profile(), result.prefill_operations);
    cpu_->set_profiling(false);
  }
  return result;
}

BenchResult Frontend::bench_picture(std::shared_ptr<const Pixels> picture, bool profile) {
  ChatRequest request;
  request.messages.push_back({"user", {{"", std::move(picture)}}, ""});
  request.sampling.temperature = 0;
  request.stop.max_tokens = 1;
  profile = profile && cpu_;
  if (profile) cpu_->set_profiling(true);
  const auto start = std::chrono::steady_clock::now();
  const auto stream = chat(std::move(request));
  while (stream->next()) {
  }
  BenchResult result;
  result.prefill_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (profile) {
    result.prefill_operations = cpu_->profile();
    cpu_->set_profiling(false);
  }
  return result;
}

BenchResult bench(Engine& engine, int batch, int prompt_tokens, int new_tokens, bool profile,
                  const SamplingOptions& sampling) {
  return dynamic_cast<Frontend&>(engine).bench(batch, prompt_tokens, new_tokens, profile, sampling);
}

BenchResult bench_picture(Engine& engine, std::shared_ptr<const Pixels> picture, bool profile) {
  return dynamic_cast<Frontend&>(engine).bench_picture(std::move(picture), profile);
}

std::string gpu_name() {
  std::string name = "no GPU";
  if (mx::default_device() == mx::Device::gpu) {
    const auto& info = mx::device_info(mx::Device::gpu);
    const auto found = info.find("device_name");
    const auto* text = found == info.end() ? nullptr : std::get_if<std::string>(&found->second);
    name = text ? *text : "a GPU";
  }
  return name + ", MLX " + mx::version();
}

void try_gpu_kernels_again() {
  if (mx::is_available(mx::Device::gpu)) kernels::gpu::Attempt::forget(kernels::gpu::proofs_file());
}

}  // namespace pippin::engine
