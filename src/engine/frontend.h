// The engine over a model directory: the model's text side, and the loop that runs the model.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/answer/answer.h"
#include "engine/bench.h"
#include "engine/constrain/maker.h"
#include "engine/prompt/prompt.h"
#include "engine/run/kernel_proof.h"
#include "engine/run/loop.h"
#include "pippin/engine.h"
#include "text/parsers/registry.h"

namespace pippin::engine {

/// All methods are thread-safe; see Engine.
class Frontend final : public Engine {
 public:
  Frontend(const std::filesystem::path& model_dir, const EngineOptions& options, Progress progress);

  using Engine::chat;
  ChatStreams chat(ChatRequest request, int num_choices) override;
  ChatStreams complete(CompletionRequest request, int num_choices) override;
  void prepare(const ChatRequest& request, Ready ready) const override;
  void prepare(const CompletionRequest& request, Ready ready) const override;
  std::int64_t count_tokens(const ChatRequest& request) const override;
  std::vector<std::int32_t> tokenize(const std::string& text, bool add_special) const override;
  std::string detokenize(const std::vector<std::int32_t>& tokens) const override;
  std::string token_bytes(std::int32_t token) const override;
  RenderedPrompt render(const ChatRequest& request) const override;
  ClearedCaches clear_caches() override;
  const ModelInfo& info() const override { return info_; }
  EngineStats stats() const override;

  BenchResult bench(int batch, int prompt_tokens, int new_tokens, bool profile,
                    const SamplingOptions& sampling = greedy_sampling());
  BenchResult bench_picture(std::shared_ptr<const Pixels> picture, bool profile);

 private:
  std::pair<std::unique_ptr<Runner>, Loop::Options> set_up(const std::filesystem::path& model_dir,
                                                           const EngineOptions& options,
                                                           const Progress& progress);
  void apply(const SamplingOptions& sampling, const StopOptions& stop, Sequence& sequence) const;
  void choose_kernels(const models::Model& model, const EngineOptions& options,
                      const nn::KvStorage& kv);
  std::int64_t activation_bytes(const models::Model& model, const EngineOptions& options,
                                const nn::KvStorage& kv, const kernels::CpuBackendPtr& cpu) const;
  /// By the scheduler's clock, of an answer that is asked for now.
  double deadline_ms(double timeout_s) const;
  void choose_output_format(const EngineOptions& options);
  void warm_up(int max_batch_tokens);
  ChatStreams submit(const Sequence& prompt, int num_choices,
                     const std::function<AnswerOptions()>& options,
                     const std::function<std::unique_ptr<Constraint>()>& constraint);

  ModelInfo info_;
  PromptBuilder prompts_;
  text::OutputFormat output_format_;
  std::unique_ptr<ConstraintMaker> constraints_;
  kernels::CpuBackendPtr cpu_;  ///< the model's; only its profile is read here
  std::int64_t grammar_bytes_ = 0;
  int max_batch_tokens_ = 0, max_queue_ = 0;
  double request_timeout_s_ = 0;
  std::size_t max_unread_tokens_ = 0;
  std::vector<std::int32_t> end_tokens_;
  std::optional<ChosenKernels>
      kernels_;  ///< made and used by the loop's thread, whose end it outlives
  std::unique_ptr<Loop> loop_;
};

}  // namespace pippin::engine
