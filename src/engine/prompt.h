// From a chat to what the engine computes: tokens with the placeholders of pictures and videos in them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/prompt_media.h"
#include "engine/sequence.h"
#include "pippin/request.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace pippin::engine {

/// What turns a model's chats into tokens. Immutable: any thread may use it at once.
struct PromptBuilder {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  ///< null: the checkpoint has none
  std::optional<VisionInput> vision;                        ///< absent: the model sees nothing

  std::int64_t max_context = 0;     ///< tokens of prompt and answer together
  std::int32_t vocab_size = 0;      ///< the model's; ids beyond have no embedding
  std::size_t max_token_bytes = 0;  ///< of the longest token, to refuse endless prompts unread

  /// Renders, tokenizes and lays out the placeholders of pictures and frames. Fills tokens, num_prompt, num_history,
  /// media and positions. Throws Error(invalid_argument) where the template refuses the messages, pictures or videos can't
  /// be placed, or the context can't hold the prompt: before any of their pixels is read.
  /// Returns the prompt as it was rendered.
  std::string build(const ChatRequest& request, Sequence& sequence) const;

  /// The same for plain text.
  void build(const std::string& text, Sequence& sequence) const;

 private:
  std::vector<std::int32_t> encode(const std::string& text, bool add_special) const;
  /// Where the last assistant's message ends among the prompt's tokens (pictures not laid out); 0 without one.
  std::size_t history_end(const ChatRequest& request, text::ChatInput input,
                          const std::string& prompt, const PromptMedia& media,
                          std::size_t num_tokens) const;
  void check_length(std::int64_t num_tokens) const;
};

}  // namespace pippin::engine
