// What requests of all kinds say in the same words: JSON -> native types.
#pragma once

#include "base/json.h"
#include "pippin/request.h"

namespace pippin::server {

/// Choices of one prompt at most; OpenAI's limit.
inline constexpr int max_choices = 128;
/// As vLLM has it.
inline constexpr int max_top_logprobs = 20;

// What follows throws Error(invalid_argument) naming the field that is malformed or out of range.

/// How tokens are chosen; what the body does not say stays as given. Log-probabilities are not looked at.
SamplingOptions parse_sampling(const Members& body, SamplingOptions sampling);
StopOptions parse_stop(const Members& body);
/// vLLM's "prompt_logprobs": likeliest tokens to tell of each of the prompt's; -1 where it is absent.
int parse_prompt_logprobs(const Members& body, bool stream);
/// "n".
int parse_choices(const Members& body);
int parse_priority(const Members& body);

struct Streaming {
  bool stream = false;
  bool include_usage = false;  ///< a last chunk with the usage
};

/// "stream" and "stream_options".
Streaming parse_streaming(const Members& body);

}  // namespace pippin::server
