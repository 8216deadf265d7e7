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

ChatStream Engine::chat(ChatRequest request) {
  return std::move(frontend_->chat(request, 1).front());
}
std::vector<ChatStream> Engine::chat(ChatRequest request, int num_choices) {
  return frontend_->chat(request, num_choices);
}
std::int64_t Engine::count_tokens(const ChatRequest& request) const {
  return static_cast<std::int64_t>(render(request).tokens.size());
}
std::vector<ChatStream> Engine::complete(CompletionRequest request, int num_choices) {
  return frontend_->complete(request, num_choices);
}
std::vector<std::int32_t> Engine::tokenize(const std::string& text, bool add_special) const {
  return frontend_->prompts().tokenizer->encode(text, add_special);
}
std::string Engine::detokenize(const std::vector<std::int32_t>& tokens) const {
  return frontend_->prompts().decode(tokens);
}
std::string Engine::token_bytes(std::int32_t token) const {
  return frontend_->prompts().tokenizer->token_bytes(token);
}
RenderedPrompt Engine::render(const ChatRequest& request) const {
  return frontend_->prompts().render(request);
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
