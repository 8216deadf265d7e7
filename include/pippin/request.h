// What is asked of an engine, and what it answers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pippin/client.h"
#include "pippin/pixels.h"
#include "pippin/video.h"

namespace pippin {

/// A token made more or less likely.
struct LogitBias {
  std::int32_t token = 0;
  float bias = 0;  ///< added to its logit, in [-100, 100]
};

/// A token that a model said or could have said.
struct TokenLogprob {
  std::int32_t token = 0;
  /// The natural logarithm of its probability among all tokens, after logit_bias and the penalties, before temperature and
  /// filters; 0 where not asked for.
  float logprob = 0;
  std::string bytes = {};  ///< what it stands for; only part of a character where tokens split one
};

/// A token of an answer.
struct AnswerToken : TokenLogprob {
  std::vector<TokenLogprob> top = {};  ///< the likeliest in its place, likeliest first
  std::int64_t rank = 0;  ///< of a prompt's token: 1 where no other one was likelier; 0 of others
};

/// How the next token is chosen. The order is: logit_bias, the penalties, temperature, top_k, top_p,
/// min_p, then one draw.
struct SamplingOptions {
  /// 0 is greedy: the most likely token, the lowest id on a tie.
  float temperature = 1.0f;
  /// Keep the smallest set of most likely tokens whose probability reaches top_p, in (0, 1]; 1
  /// keeps all.
  float top_p = 1.0f;
  /// Keep the top_k most likely tokens; 0 keeps all.
  int top_k = 0;
  /// Drop tokens less likely than min_p times the most likely one, in [0, 1]; 0 drops none.
  float min_p = 0.0f;
  /// Equal seeds give equal answers, alone or in any batch; without one every request differs.
  std::optional<std::uint64_t> seed;
  /// Subtracted from the logits of tokens that the answer has so far, in [-2, 2].
  float presence_penalty = 0.0f;
  /// The same for each time that it has them, in [-2, 2].
  float frequency_penalty = 0.0f;
  /// Divides the positive and multiplies the negative logits of tokens that the prompt or the answer
  /// has, in [0.01, 100]; 1 changes nothing.
  float repetition_penalty = 1.0f;
  /// Tokens of the vocabulary, each once.
  std::vector<LogitBias> logit_bias;
  /// Tell each token's log-probability and those of this many likeliest ones, in [0, 20]; -1 tells none.
  int top_logprobs = -1;
  /// The same of the prompt's tokens, which are all computed for it then, whatever is cached.
  int prompt_logprobs = -1;

  /// Whether a token's logit depends on the tokens before it.
  bool penalizes() const {
    return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0;
  }
};

/// When an answer ends.
struct StopOptions {
  /// Tokens generated at most; 0 takes all that the context still holds (to which a larger number
  /// is cut, too).
  std::int64_t max_tokens = 0;
  /// Token ids that end the answer beside the model's own end tokens; never part of the text.
  std::vector<std::int32_t> token_ids;
  /// Texts that end the answer; it stops before the first that appears in what is said as text, not in reasoning or calls.
  std::vector<std::string> strings;
  /// The answer stops behind that text instead.
  bool include_strings = false;
  /// Go on past the model's end tokens (benchmarks).
  bool ignore_eos = false;
  /// No end token is generated, and no text ends the answer, before it has so many tokens.
  std::int64_t min_tokens = 0;
  /// Seconds that the answer may take in all, from when it is asked for: one that has not ended by then fails with
  /// Error(deadline_exceeded). 0: as long as EngineOptions::request_timeout_s says, which is the most in any case.
  double timeout_s = 0;
};

/// What an answer must be. It is kept to token by token: an answer that ends by itself is what was asked for.
struct ResponseFormat {
  enum class Kind {
    text,         ///< anything
    json_object,  ///< a JSON object
    json_schema,  ///< JSON that the schema `text` allows
    regex,        ///< what the regular expression `text` matches as a whole
    choice,       ///< one of the strings of the JSON array `text`
    grammar,  ///< what the rule `start` of the Lark grammar `text` derives (llguidance's dialect), or `root` of a GBNF one
  };
  Kind kind = Kind::text;
  std::string text = {};
  std::string field = "response_format";  ///< of the request, for errors
};

/// Which tools an answer calls. Forced calls are written in the model's own format, with arguments that their schemas allow.
struct ToolChoice {
  bool required = false;  ///< the answer is calls
  std::vector<std::string> allowed =
      {};  ///< names of the tools that may be called then; empty: all
  /// Where it calls, the arguments are what the schemas of tools with "strict": true allow.
  bool strict = false;
};

/// A piece of a message: text, a picture or a video.
struct ContentPart {
  std::string text;                          ///< used where both others are null
  std::shared_ptr<const Pixels> image = {};  ///< a decoded picture
  std::shared_ptr<const Video> video = {};   ///< the sampled frames of a clip
  std::string field = {};  ///< of the request, for errors that a picture or video is to blame for
};

/// One message of a chat.
struct Message {
  std::string role;  ///< system, user, assistant, tool ... as the model's template knows them
  std::vector<ContentPart> content;
  /// Further members of the message as a JSON object text ({"tool_calls": [...], "name": ...}),
  /// given to the model's template as they are. Empty for none.
  std::string extra_json;
  std::string field = {};  ///< of the request, for errors that the message is to blame for
};

/// Where the prompt of a chat ends and its answer begins.
enum class PromptEnd {
  answer,        ///< behind what the template puts before an answer
  messages,      ///< where the template ends the last message
  last_message,  ///< within the last message, the assistant's: the answer continues its text, or its reasoning where it has no text
};

/// Called while a request is prepared, on the caller's thread. Each may be empty.
struct RequestHooks {
  /// Asked from time to time where that takes long; false: nobody waits for the answer any more, so it ends with Error(cancelled).
  /// After Engine::prepare any thread asks, until that is `ready`.
  std::function<bool()> wanted;
  /// Told the part of a tool's schema ("tools.0.function.parameters.properties.x.format") that a forced call may not keep to.
  std::function<void(const std::string& field)> on_ignored;
};

/// Grammars that Engine::prepare has compiled.
class Grammars;

struct ChatRequest {
  std::vector<Message> messages;
  std::string field = "messages";  ///< of the request, for errors that all of them are to blame for
  PromptEnd prompt_end = PromptEnd::answer;
  /// JSON array of the tools that may be called, as OpenAI defines them; empty for none.
  std::string tools_json;
  /// Those of them that the template is given, where not all: the messages tell of the others.
  std::optional<std::string> template_tools_json;
  std::string template_kwargs_json;  ///< JSON object of further template variables; empty for none
  ToolChoice tool_choice;
  /// The format of the answer after the reasoning. With tools (JSON alone then) the answer is in the format or calls.
  ResponseFormat format;
  /// Tokens of thinking at most, where the model thinks; then it has to answer. Absent: as many as it likes.
  std::optional<std::int64_t> thinking_budget;
  /// Several calls in one answer; without, the answer ends behind the first.
  bool parallel_tool_calls = true;
  int priority = 0;  ///< lower ones go first, of those that wait and of those that run
  /// Requests share cached pages, encoded pictures and compiled grammars only with requests of the same salt, in memory and on disk.
  std::string cache_salt = {};
  /// Events tell the answer's tokens, as they do with sampling.top_logprobs, and the first one the prompt's.
  bool list_tokens = false;
  SamplingOptions sampling;
  StopOptions stop;
  Client client;  ///< whose turns its work takes
  std::shared_ptr<const Grammars> grammars =
      {};  ///< of Engine::prepare; null: compiled while the caller waits
  RequestHooks hooks;
};

/// A text to be continued, without a template.
struct CompletionRequest {
  std::string text;  ///< tokenized with what the tokenizer puts around a text (BOS ...)
  std::vector<std::int32_t> tokens;  ///< where not empty, the prompt instead
  std::string
      suffix;  ///< what follows the gap that is to be filled; empty: the text goes on at its end
  int priority = 0;             ///< as in ChatRequest
  std::string cache_salt = {};  ///< as in ChatRequest
  bool list_tokens = false;     ///< as in ChatRequest
  SamplingOptions sampling;
  StopOptions stop;
  ResponseFormat format;                          ///< what the text that is added may be
  Client client;                                  ///< as in ChatRequest
  std::shared_ptr<const Grammars> grammars = {};  ///< as in ChatRequest
  RequestHooks hooks;
};

enum class FinishReason {
  stop,
  length,
  tool_calls,  ///< the model is done and has called tools
};

/// What an answer cost, in tokens.
struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t cached_tokens =
      0;  ///< of the prompt's tokens, those whose KV pages were found in the cache
  /// The prompt's tokens that stand for pictures and did not wait for the encoder: their KV was found in the
  /// cache, or else the picture's features in the media cache.
  std::int64_t media_cached = 0;
  std::int64_t reasoning_tokens = 0;  ///< of the completion's tokens, those of reasoning
};

/// When an answer got how far; the clock's epoch stands for what has not happened.
struct AnswerTimes {
  using Time = std::chrono::steady_clock::time_point;
  Time submitted;    ///< queued
  Time admitted;     ///< first given pages
  Time first_token;  ///< generated
  Time last_token;   ///< the latest one
};

/// A piece of a tool call: its name and id in the first, then its arguments as they are generated.
struct ToolCallDelta {
  int index = 0;  ///< which of the answer's calls, from 0; pieces of one are not mixed with others'
  std::string id;    ///< of the first piece
  std::string name;  ///< of the first piece
  std::string
      arguments;  ///< continues JSON, which is complete unless the answer was cut off or is malformed
};

/// One event of an answer: text, reasoning or a piece of a call as it is generated, one of them an event. Exactly one event has
/// `finish`; it ends the stream.
struct ChatEvent {
  std::string text;  ///< whole UTF-8 characters; may be empty
  std::optional<FinishReason> finish;
  Usage usage;                 ///< complete with `finish`; so far before
  std::string reasoning = {};  ///< what the model thinks before it answers, as `text`
  std::optional<ToolCallDelta> tool_call = {};
  AnswerTimes::Time at = {};  ///< when the last token of it was generated
  std::optional<std::size_t> stop_string =
      {};  ///< with `finish`: which of StopOptions::strings ended it
  /// The answer's tokens, where asked for: each once, in order, with the first event after which it counts (its first byte has
  /// been told, whatever was held back for a stop string, a whole character or markup). Those of markup are among them, those
  /// that end the answer and all behind a stop string's beginning are not.
  std::vector<AnswerToken> tokens = {};
  std::vector<std::int32_t> prompt_tokens = {};  ///< of the first event, where asked for
  /// The prompt's tokens, in the first event and where asked for; the first of them has no probability (0).
  std::vector<AnswerToken> prompt_logprobs = {};
};

}  // namespace pippin
