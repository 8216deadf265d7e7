// A chat that has been asked, in whatever API, as native types: past it there is no JSON.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pippin/request.h"
#include "server/chat/messages.h"

namespace pippin::server {

/// What an answer tells of its tokens.
struct TokenWishes {
  bool logprobs = false;  ///< of each, and of as many others as SamplingOptions::top_logprobs
  bool ids = false;       ///< of the prompt's and the answer's (vLLM's return_token_ids)
  bool named_by_id =
      false;  ///< "token_id:7" in place of the text beside a log-probability (vLLM's)
  bool prompt_logprobs = false;  ///< of the prompt's tokens (vLLM's)
};

/// A request for a chat's next message, understood.
struct ChatCall {
  ChatRequest request;  ///< complete but for the pixels of `media`
  std::vector<MediaSource> media;
  std::string model;  ///< as sent; empty where absent
  /// Seconds that the model stays loaded behind the answer, where the request says; 0: not at all; less than 0: for good.
  std::optional<double> keep_alive_s = {};
  /// A conversation that is longer than the context is cut (server/chat/truncation).
  bool truncate = false;
  int num_choices = 1;  ///< answers wanted (`n`), each drawn by itself; all but one take ChatReply
  TokenWishes tokens;
  bool stream = false;
  bool include_usage = false;        ///< a last chunk with the usage
  std::vector<std::string> ignored;  ///< names that are unknown: "foo", "messages.0.bar"
  /// By tools' names, the fields that their schemas stand in: "tools.0.input_schema".
  std::map<std::string, std::string, std::less<>> tool_fields;
};

/// POST /v1/completions, understood. Its choices are numbered prompt by prompt: all of the first, then all of the second ...
struct CompletionCall {
  std::vector<CompletionRequest> requests;  ///< one a prompt, at least one
  std::string model;                        ///< as sent; empty where absent
  std::optional<double> keep_alive_s = {};  ///< as of a ChatCall
  int num_choices = 1;                      ///< of each prompt
  bool echo = false;                        ///< choices begin with the prompt
  bool prompt_only = false;  ///< and end there: of the prompt's echo max_tokens may be 0
  TokenWishes tokens;
  bool stream = false;
  bool include_usage = false;
  std::vector<std::string> ignored;  ///< names that are unknown
};

}  // namespace pippin::server
