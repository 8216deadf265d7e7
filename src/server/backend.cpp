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

class EngineBackend final : public Backend {
 public:
  explicit EngineBackend(Engine& engine) : engine_(engine) {}
  std::unique_ptr<EventSource> chat(ChatRequest request) override {
    return std::make_unique<EngineSource>(engine_.chat(std::move(request)));
  }
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
