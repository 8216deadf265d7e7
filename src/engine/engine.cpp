// The public Engine and ChatStream: thin shells that keep the insides out of the API.
#include "pippin/engine.h"

#include "engine/answer.h"
#include "engine/frontend.h"

namespace pippin {

ChatStream::ChatStream(std::unique_ptr<engine::Answer> answer) : answer_(std::move(answer)) {}
ChatStream::ChatStream(ChatStream&&) noexcept = default;
ChatStream& ChatStream::operator=(ChatStream&&) noexcept = default;
ChatStream::~ChatStream() = default;

std::optional<ChatEvent> ChatStream::next() { return answer_->next(); }
std::optional<ChatEvent> ChatStream::poll() { return answer_->poll(); }
bool ChatStream::finished() const { return answer_->finished(); }
AnswerTimes ChatStream::times() const { return answer_->times(); }
void ChatStream::when_ready(std::function<void()> ready) { answer_->when_ready(std::move(ready)); }

Engine::Engine(std::unique_ptr<engine::Frontend> frontend) : frontend_(std::move(frontend)) {}
Engine::~Engine() = default;

std::unique_ptr<Engine> Engine::load(const std::filesystem::path& model_dir,
                                     const EngineOptions& options, Progress progress) {
  return std::unique_ptr<Engine>(
      new Engine(std::make_unique<engine::Frontend>(model_dir, options, std::move(progress))));
}

ChatStream Engine::chat(ChatRequest request) { return frontend_->chat(request); }
ChatStream Engine::complete(const std::string& prompt, const SamplingOptions& sampling,
                            const StopOptions& stop, const ResponseFormat& format) {
  return frontend_->complete(prompt, sampling, stop, format);
}
BenchResult Engine::bench(int batch, int prompt_tokens, int new_tokens, bool profile) {
  return frontend_->bench(batch, prompt_tokens, new_tokens, profile);
}
BenchResult Engine::bench_picture(std::shared_ptr<const Pixels> picture, bool profile) {
  return frontend_->bench_picture(std::move(picture), profile);
}
ClearedCaches Engine::clear_caches() { return frontend_->clear_caches(); }
const ModelInfo& Engine::info() const { return frontend_->info(); }
EngineStats Engine::stats() const { return frontend_->stats(); }

}  // namespace pippin
