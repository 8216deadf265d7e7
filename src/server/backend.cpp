#include "server/backend.h"

#include <utility>

namespace pippin::server {
namespace {

class EngineSource final : public EventSource {
 public:
  explicit EngineSource(ChatStream stream) : stream_(std::move(stream)) {}
  std::optional<ChatEvent> poll() override { return stream_.poll(); }
  bool finished() const override { return stream_.finished(); }
  void when_ready(std::function<void()> ready) override { stream_.when_ready(std::move(ready)); }
  AnswerTimes times() const override { return stream_.times(); }

 private:
  ChatStream stream_;
};

EventSources sources_of(std::vector<ChatStream> streams) {
  EventSources sources;
  for (ChatStream& stream : streams)
    sources.push_back(std::make_unique<EngineSource>(std::move(stream)));
  return sources;
}

class EngineBackend final : public Backend {
 public:
  explicit EngineBackend(Engine& engine) : engine_(engine) {}
  EventSources chat(ChatRequest request, int num_choices) override {
    return sources_of(engine_.chat(std::move(request), num_choices));
  }
  EventSources complete(CompletionRequest request, int num_choices) override {
    return sources_of(engine_.complete(std::move(request), num_choices));
  }
  std::vector<std::int32_t> tokenize(const std::string& text, bool add_special) override {
    return engine_.tokenize(text, add_special);
  }
  std::string detokenize(const std::vector<std::int32_t>& tokens) override {
    return engine_.detokenize(tokens);
  }
  std::string token_bytes(std::int32_t token) override { return engine_.token_bytes(token); }
  RenderedPrompt render(const ChatRequest& request) override { return engine_.render(request); }
  std::int64_t count_tokens(const ChatRequest& request) override {
    return engine_.count_tokens(request);
  }
  ModelInfo info() const override { return engine_.info(); }
  EngineStats stats() const override { return engine_.stats(); }
  ClearedCaches clear_caches() override { return engine_.clear_caches(); }

 private:
  Engine& engine_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(Engine& engine) {
  return std::make_unique<EngineBackend>(engine);
}

}  // namespace pippin::server
