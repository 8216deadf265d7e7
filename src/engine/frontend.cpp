#include "engine/frontend.h"

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "base/memory.h"
#include "engine/option_checks.h"

namespace pippin::engine {
namespace {

std::uint64_t random_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace

void Frontend::apply(const SamplingOptions& sampling, const StopOptions& stop,
                     Sequence& sequence) const {
  check(sampling, prompts_.vocab_size);
  const auto room = info_.max_context - sequence.num_prompt;  // at least 1: PromptBuilder saw to it
  check(stop.max_tokens >= 0, "max_tokens", "at least 1");
  check(stop.timeout_s >= 0, "timeout", "at least 0");
  sequence.sampling = sampling;
  check(stop.min_tokens >= 0 && (stop.max_tokens == 0 || stop.min_tokens <= stop.max_tokens),
        "min_tokens", "in [0, max_tokens]");
  check(std::all_of(stop.token_ids.begin(), stop.token_ids.end(),
                    [&](auto token) { return token < prompts_.vocab_size; }),
        "stop_token_ids", "of tokens of the vocabulary");
  sequence.seed = sampling.seed.value_or(random_seed());
  sequence.max_tokens = stop.max_tokens > 0 ? std::min(stop.max_tokens, room) : room;
  sequence.min_tokens = std::min(stop.min_tokens, sequence.max_tokens);
  sequence.end_tokens = stop.token_ids;
  if (!stop.ignore_eos)
    sequence.end_tokens.insert(sequence.end_tokens.end(), end_tokens_.begin(), end_tokens_.end());
}

ClearedCaches Frontend::clear_caches() {
  const auto before = resident_bytes();
  const auto grammars = static_cast<std::int64_t>(constraints_->clear());
  auto cleared = loop_->clear_caches().get();
  cleared.grammars = grammars;
  cleared.resident_before = before;
  return cleared;
}

EngineStats Frontend::stats() const {
  EngineStats stats = loop_->stats();
  stats.gpu_kernel_mismatches =
      std::count_if(info_.kernels.begin(), info_.kernels.end(),
                    [](const KernelProof& proof) { return !proof.right; });
  stats.grammars = constraints_->stats();
  return stats;
}

void Frontend::prepare(const ChatRequest& request, Ready ready) const {
  constraints_->prepare(request, std::move(ready));
}

void Frontend::prepare(const CompletionRequest& request, Ready ready) const {
  constraints_->prepare(request, std::move(ready));
}

std::int64_t Frontend::count_tokens(const ChatRequest& request) const {
  return static_cast<std::int64_t>(render(request).tokens.size());
}

std::vector<std::int32_t> Frontend::tokenize(const std::string& text, bool add_special) const {
  return prompts_.tokenizer->encode(text, add_special);
}

std::string Frontend::detokenize(const std::vector<std::int32_t>& tokens) const {
  return prompts_.decode(tokens);
}

std::string Frontend::token_bytes(std::int32_t token) const {
  return prompts_.tokenizer->token_bytes(token);
}

RenderedPrompt Frontend::render(const ChatRequest& request) const {
  return prompts_.render(request);
}

double Frontend::deadline_ms(double timeout_s) const {
  double least = std::numeric_limits<double>::infinity();
  for (const double limit : {timeout_s, request_timeout_s_})
    if (limit > 0) least = std::min(least, limit);
  return steady_ms() + 1000 * least;
}

// Sequences of one prompt: the first computes it, the others wait for its pages.
ChatStreams Frontend::submit(const Sequence& prompt, int num_choices,
                             const std::function<AnswerOptions()>& options,
                             const std::function<std::unique_ptr<Constraint>()>& constraint) {
  check(num_choices >= 1, "n", "at least 1");
  ChatStreams streams;
  for (int i = 0; i < num_choices; ++i) {
    auto sequence = std::make_shared<Sequence>(prompt);
    sequence->output = std::make_shared<TokenStream>();
    sequence->output->stall_at(max_unread_tokens_);
    sequence->constraint = constraint();
    check(!sequence->constraint || sequence->min_tokens == 0, "min_tokens",
          "0 where the answer's form is asked for, which says itself where it may end");
    sequence->seed += static_cast<std::uint64_t>(i);
    auto answer = std::make_unique<Answer>(sequence->output, prompts_.tokenizer, options());
    loop_->submit(std::move(sequence));
    streams.push_back(std::move(answer));
  }
  return streams;
}

namespace {

// `request` is of a chat or a completion.
template <class Request>
AnswerOptions answer_options(const Request& request, const Sequence& sequence) {
  AnswerOptions options;
  options.stop_strings = request.stop.strings;
  options.include_stop_strings = request.stop.include_strings;
  options.min_tokens = sequence.min_tokens;
  options.list_tokens = request.list_tokens || request.sampling.top_logprobs >= 0;
  options.prompt = {sequence.num_prompt, sequence.num_media(), sequence.num_history, {}};
  if (request.list_tokens) options.prompt.ids = sequence.tokens;
  return options;
}

// As many as may spell one character.
std::vector<std::int32_t> last_tokens(const Sequence& sequence) {
  const auto count = std::min<std::ptrdiff_t>(8, std::ssize(sequence.tokens));
  return {sequence.tokens.end() - count, sequence.tokens.end()};
}
// What takes long while a request is prepared goes on only while somebody waits and there is time.
class Waiting {
 public:
  Waiting(const RequestHooks& hooks, double deadline_ms)
      : hooks_(hooks), deadline_ms_(deadline_ms) {}

  template <class Work>
  auto run(const Work& work) const {
    try {
      return work([this] { return (!hooks_.wanted || hooks_.wanted()) && !is_late(); });
    } catch (const Error& error) {
      if (error.code() != Code::cancelled || !is_late()) throw;
      throw Error(Code::deadline_exceeded,
                  "the request's time is over before its grammar is compiled");
    }
  }

 private:
  bool is_late() const { return steady_ms() >= deadline_ms_; }

  const RequestHooks& hooks_;
  const double deadline_ms_;
};

}  // namespace

ChatStreams Frontend::chat(ChatRequest request, int num_choices) {
  Sequence sequence;
  sequence.deadline_ms = deadline_ms(request.stop.timeout_s);
  const auto prompt = prompts_.build(request, sequence);
  const auto before = std::string_view(prompt.text).substr(0, prompt.answer);
  const auto begun = std::string_view(prompt.text).substr(prompt.answer);
  const Waiting waiting(request.hooks, sequence.deadline_ms);
  sequence.priority = request.priority;
  apply(request.sampling, request.stop, sequence);
  return submit(
      sequence, num_choices,
      [&] {
        AnswerOptions options = answer_options(request, sequence);
        options.parser = output_format_.parser(before, request.tools_json);
        options.begun = begun;
        if (!begun.empty()) options.tokens_before = last_tokens(sequence);
        options.parallel_tool_calls = request.parallel_tool_calls;
        return options;
      },
      [&] {
        return waiting.run(
            [&](auto wanted) { return constraints_->make(request, before, begun, wanted); });
      });
}

ChatStreams Frontend::complete(CompletionRequest request, int num_choices) {
  Sequence sequence;
  sequence.deadline_ms = deadline_ms(request.stop.timeout_s);
  prompts_.build(request, sequence);
  const Waiting waiting(request.hooks, sequence.deadline_ms);
  sequence.priority = request.priority;
  apply(request.sampling, request.stop, sequence);
  return submit(
      sequence, num_choices,
      [&] {
        AnswerOptions options = answer_options(request, sequence);
        options.tokens_before = last_tokens(sequence);
        return options;
      },
      [&] {
        return waiting.run([&](auto wanted) { return constraints_->make(request, wanted); });
      });
}

}  // namespace pippin::engine
