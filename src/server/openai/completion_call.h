// A text completion request: JSON -> native types. Past this point there is no JSON.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/request.h"
#include "server/chat_call.h"
#include "server/field_table.h"

namespace pippin::server {

/// POST /v1/completions, understood. Its choices are numbered prompt by prompt: all of the first, then all of the second ...
struct CompletionCall {
  std::vector<CompletionRequest> requests;  ///< one a prompt, at least one
  std::string model;                        ///< as sent; empty where absent
  int num_choices = 1;                      ///< of each prompt
  bool echo = false;                        ///< choices begin with the prompt
  bool prompt_only = false;  ///< and end there: of the prompt's echo max_tokens may be 0
  TokenWishes tokens;
  bool stream = false;
  bool include_usage = false;
  std::vector<std::string> ignored;  ///< names that are unknown
};

/// See parse_chat.
CompletionCall parse_completion(std::string_view body, const SamplingOptions& defaults = {});

/// Every field that a completion may carry.
std::span<const Field> completion_fields();

}  // namespace pippin::server
