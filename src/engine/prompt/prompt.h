// From a chat to what the engine computes: tokens with the placeholders of pictures and videos in them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/prompt/media.h"
#include "engine/schedule/sequence.h"
#include "pippin/engine.h"
#include "pippin/request.h"
#include "text/chat_template.h"
#include "text/open_prompt.h"
#include "text/tokenizer.h"

namespace pippin::engine {

/// What turns a model's chats into tokens. Immutable: any thread may use it at once.
struct PromptBuilder {
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  ///< null: the checkpoint has none
  std::optional<VisionInput> vision;                        ///< absent: the model sees nothing
  std::string_view thought_tag;                             ///< begins reasoning; empty: none does

  std::int64_t max_context = 0;  ///< tokens of prompt and answer together
  std::int32_t vocab_size = 0;   ///< the model's; ids beyond have no embedding
  models::PositionsFn* positions = models::count_positions;  ///< the model's
  std::size_t max_token_bytes = 0;  ///< of the longest token, to refuse endless prompts unread

  /// Renders, tokenizes and lays out the placeholders of pictures and frames. Fills tokens, num_prompt, num_history,
  /// media and positions. Throws Error(invalid_argument) where the template refuses the messages, pictures or videos can't
  /// be placed, or the context can't hold the prompt: before any of their pixels is read.
  /// Returns the prompt as it was rendered.
  text::OpenPrompt build(const ChatRequest& request, Sequence& sequence) const;

  /// The same for a plain text or given tokens.
  void build(const CompletionRequest& request, Sequence& sequence) const;

  /// How this model is asked to fill the gap between a text and its suffix. Throws Error(invalid_argument) where it does not know how.
  std::string with_gap(const std::string& text, const std::string& suffix) const;

  /// A chat's text and tokens, whatever their number.
  RenderedPrompt render(const ChatRequest& request) const;
  /// Throws Error(invalid_argument) for ids that are no tokens.
  std::string decode(const std::vector<std::int32_t>& tokens) const;

 private:
  /// `field` of the request is to blame for what is wrong.
  std::vector<std::int32_t> encode(const std::string& text, bool add_special,
                                   const std::string& field) const;
  /// Errors of the template name the message that is to blame, where that is found.
  text::OpenPrompt rendered(const ChatRequest& request, text::ChatInput input) const;
  text::OpenPrompt render_messages(const ChatRequest& request, text::ChatInput input) const;
  /// Where the last assistant's message ends (of those before one that goes on) among the prompt's tokens (pictures not laid out); 0 without one.
  std::size_t history_end(const ChatRequest& request, text::ChatInput input,
                          const std::string& prompt, const PromptMedia& media,
                          std::size_t num_tokens) const;
  void check_length(std::int64_t num_tokens, const std::string& field) const;
  void check_tokens(const std::vector<std::int32_t>& tokens, const char* field) const;
};

}  // namespace pippin::engine
