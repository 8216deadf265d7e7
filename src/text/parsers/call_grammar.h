// Tool calls that a model is made to write: their grammar, in the format that the parsers read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/grammar.h"

namespace pippin::text {

/// Which calls an answer may or must have.
struct CallRules {
  std::vector<std::string> allowed = {};  ///< names of tools; empty: all that are offered
  bool many = true;                       ///< several calls; without, one
  /// Text may stand around them, or instead of them; arguments only keep to schemas of tools that are "strict".
  bool text = false;
  std::string answer_schema =
      {};  ///< or else the answer is JSON that this schema allows; empty: it is not
};

/// The grammar of calls of the tools (JSON as in ChatRequest), with arguments that each tool's schema allows. `format` is a tool parser's
/// name (registry.h); `spells_arguments_tag`: the vocabulary has Mistral's "[ARGS]", whose calls are written otherwise.
/// Throws Error(invalid_argument) naming the format where no grammar is known for it.
Grammar call_grammar(std::string_view format, std::string_view tools_json, const CallRules& rules,
                     bool spells_arguments_tag);

/// Whether an answer of several messages may begin with what the model thinks, in as many messages as it likes.
enum class Thoughts { first, none };

/// The same for gpt-oss' answers, which are messages of several channels.
Grammar channel_call_grammar(std::string_view tools_json, const CallRules& rules,
                             Thoughts thoughts = Thoughts::first);
/// An answer (not calls) in the final channel.
Grammar channel_answer_grammar(const Grammar& answer, Thoughts thoughts = Thoughts::first);

/// The formats that calls can be forced in, for messages.
std::string call_grammar_formats();

}  // namespace pippin::text
