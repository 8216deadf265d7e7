// What the server needs of an engine. An interface, so that the whole HTTP side is tested without a model.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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

using EventSources = std::vector<std::unique_ptr<EventSource>>;

/// All methods are thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;
  /// One source a choice, in order. Throws Error like Engine::chat, on whose thread's time it prepares the prompt, too.
  virtual EventSources chat(ChatRequest request, int num_choices) = 0;
  virtual EventSources complete(CompletionRequest request, int num_choices) = 0;
  /// See Engine.
  virtual std::vector<std::int32_t> tokenize(const std::string& text, bool add_special) = 0;
  virtual std::string detokenize(const std::vector<std::int32_t>& tokens) = 0;
  virtual std::string token_bytes(std::int32_t token) = 0;
  virtual RenderedPrompt render(const ChatRequest& request) = 0;
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
