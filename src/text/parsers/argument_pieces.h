// Arguments of calls in formats that don't write them as JSON, for grammars of such calls.
#pragma once

#include <string_view>

#include "base/json.h"
#include "text/parsers/tools.h"

namespace pippin::text {

/// How arguments are written. See rust/src/grammar/call_grammar.rs.
struct ArgumentLayout {
  std::string_view notation;      ///< "python", "gemma" or "tags"; empty for JSON
  std::string_view key = {};      ///< of tags: before a value; KEY stands for its name
  std::string_view end = {};      ///< of tags: behind a value
  std::string_view closing = {};  ///< of tags: the part of `end` by which the parser finds it
  std::string_view quote = {};    ///< of gemma: around texts
  /// For tags where a call says each value's type: JSON of what stands between key and value, by the type's name.
  std::string_view kinds = {};
};

/// What a tool's schema says of its arguments, as a piece of call_grammar's. `tools` are the request's, by which the parser tells
/// bare texts from other values.
json::object argument_piece(const ArgumentLayout& layout, const json::object& parameters,
                            const Tools& tools, std::string_view tool);

/// The same where the schema is not kept to: any of the tool's arguments, with any values.
json::object free_argument_piece(const ArgumentLayout& layout, const json::object& parameters,
                                 const Tools& tools, std::string_view tool);

}  // namespace pippin::text
