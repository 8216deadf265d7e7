// Native types -> the JSON of a text completion, streamed and whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "server/chat/answer.h"
#include "server/chat/call.h"
#include "server/chat/reply.h"

namespace pippin::server {

/// text_completion objects and "[DONE]", or a single one.
class CompletionReply final : public Reply {
 public:
  struct Options {
    std::string id;
    std::string model;
    std::int64_t created = 0;    ///< in seconds since 1970
    bool include_usage = false;  ///< each chunk has a usage member, null but in a last one
    std::size_t num_prompts = 1;
    std::size_t num_choices = 1;        ///< of each prompt
    std::vector<std::string> echoes{};  ///< what each prompt's choices begin with; empty: nothing
    bool prompt_only = false;           ///< an answer is not told but for its echo
    TokenWishes tokens = {};
  };

  explicit CompletionReply(Options options);

  std::string open() override;
  std::string add(std::size_t choice, const ChatEvent& event) override;
  std::string close() override;
  std::string fail(const Error& error) override;
  void fold(std::size_t choice, const ChatEvent& event) override;
  std::string whole() override;

 private:
  std::string echo_of(std::size_t choice) const;
  /// The prompt is echoed with its tokens' log-probabilities, which are known when the first token is.
  bool tells_echo() const { return !options_.echoes.empty() && options_.tokens.logprobs; }
  Usage usage() const;

  const Options options_;
  std::vector<ChatAnswer> answers_;  ///< so far; of streamed ones only the usage
  std::vector<std::size_t>
      offsets_;  ///< characters of each choice's text whose tokens have been told
};

}  // namespace pippin::server
