// Behind the public Engine: the model's text side, and the loop that runs the model.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "engine/answer.h"
#include "engine/constraint_maker.h"
#include "engine/loop.h"
#include "engine/prompt.h"
#include "pippin/engine.h"
#include "text/parsers/registry.h"

namespace pippin::engine {

/// All methods are thread-safe; see Engine.
class Frontend {
 public:
  Frontend(const std::filesystem::path& model_dir, const EngineOptions& options,
           Engine::Progress progress);

  std::vector<ChatStream> chat(const ChatRequest& request, int num_choices);
  std::vector<ChatStream> complete(const CompletionRequest& request, int num_choices);
  BenchResult bench(int batch, int prompt_tokens, int new_tokens, bool profile);
  BenchResult bench_picture(std::shared_ptr<const Pixels> picture, bool profile);

  ClearedCaches clear_caches();

  const ModelInfo& info() const { return info_; }
  const PromptBuilder& prompts() const { return prompts_; }
  EngineStats stats() const;

 private:
  std::pair<std::unique_ptr<Runner>, Loop::Options> set_up(const std::filesystem::path& model_dir,
                                                           const EngineOptions& options,
                                                           const Engine::Progress& progress);
  void apply(const SamplingOptions& sampling, const StopOptions& stop, Sequence& sequence) const;
  std::int64_t activation_bytes(const models::Model& model, const EngineOptions& options,
                                const nn::KvStorage& kv, const kernels::CpuBackendPtr& cpu) const;
  /// By the scheduler's clock, of an answer that is asked for now.
  double deadline_ms(double timeout_s) const;
  void choose_output_format(const EngineOptions& options);
  void warm_up(int max_batch_tokens);
  std::vector<ChatStream> submit(const Sequence& prompt, int num_choices,
                                 const std::function<AnswerOptions()>& options,
                                 const std::function<std::unique_ptr<Constraint>()>& constraint);

  ModelInfo info_;
  PromptBuilder prompts_;
  text::OutputFormat output_format_;
  std::unique_ptr<ConstraintMaker> constraints_;
  kernels::CpuBackendPtr cpu_;  ///< the model's; only its profile is read here
  std::int64_t grammar_bytes_ = 0;
  int max_queue_ = 0;
  double request_timeout_s_ = 0;
  std::size_t max_unread_tokens_ = 0;
  std::vector<std::int32_t> end_tokens_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace pippin::engine
