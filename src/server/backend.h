// What the server needs of an engine. An interface, so that the whole HTTP side is tested without a model.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "pippin/engine.h"
#include "pippin/request.h"

namespace pippin::server {

/// One answer being generated; see ChatStream for what the methods promise. Dropping it cancels the request.
class EventSource {
 public:
  virtual ~EventSource() = default;
  virtual std::optional<ChatEvent> poll() = 0;
  virtual bool finished() const = 0;
  virtual void when_ready(std::function<void()> ready) = 0;
  virtual AnswerTimes times() const = 0;
};

/// All methods are thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Throws Error like Engine::chat, on whose thread's time it prepares the prompt, too.
  virtual std::unique_ptr<EventSource> chat(ChatRequest request) = 0;
  /// Of the prompt that chat() would answer; see Engine::count_tokens.
  virtual std::int64_t count_tokens(const ChatRequest& request) = 0;
  virtual ModelInfo info() const = 0;
  /// Returns at once.
  virtual EngineStats stats() const = 0;
  /// See Engine::clear_caches.
  virtual ClearedCaches clear_caches() = 0;
};

/// The backend over a loaded engine, which must outlive it.
std::unique_ptr<Backend> make_backend(Engine& engine);

}  // namespace pippin::server
