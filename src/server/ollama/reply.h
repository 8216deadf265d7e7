// Native types -> the JSON of Ollama's API: lines in a stream, or one object.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/json.h"
#include "server/chat/answer.h"
#include "server/chat/reply.h"

namespace pippin::server {

/// A stream is a line of JSON for each piece, and a last one with "done", counts and durations in nanoseconds. A call is told whole.
class OllamaReply final : public Reply {
 public:
  enum class Kind {
    chat,      ///< "message": {"role", "content", "thinking", "tool_calls"}
    generate,  ///< "response" and "thinking"
  };

  OllamaReply(Kind kind, std::string model, bool logprobs);

  StreamForm form() const override;
  std::string open() override { return {}; }
  std::string add(std::size_t choice, const ChatEvent& event) override;
  std::string close() override;
  std::string fail(const Error& error) override;
  void fold(std::size_t choice, const ChatEvent& event) override;
  std::string whole() override;

 private:
  using Time = std::chrono::steady_clock::time_point;

  json::object part(const std::string& text, const std::string& thinking,
                    std::vector<ToolCallDelta> calls) const;
  /// Sets the members of the answer's last object.
  void add_end(json::object& object) const;
  void add_logprobs(json::object& object, const std::vector<AnswerToken>& tokens) const;

  const Kind kind_;
  const std::string model_;
  const bool logprobs_;
  const Time begun_;
  ChatAnswer answer_;  ///< of a stream: without what has been told but calls and usage
  std::size_t num_calls_told_ = 0;
  Time first_token_ = {}, last_token_ = {};
};

/// What is answered where no answer is asked for. done_reason: "load" or "unload".
std::string ollama_loaded(OllamaReply::Kind kind, const std::string& model,
                          const char* done_reason);

/// "2026-11-29T15:30:00.123456Z"
std::string ollama_time(std::chrono::system_clock::time_point time);

}  // namespace pippin::server
