// Arguments of calls in formats that write each between tags and texts without quotes, for grammars of such calls.
#pragma once

#include <string_view>

#include "base/json.h"

namespace pippin::text {

/// How an argument is written: key, value, value_end.
struct ArgumentLayout {
  std::string_view key;  ///< KEY stands for its name
  std::string_view value_end;
};

/// Of a schema's properties, in their order, what call_grammar's pieces are (rust/src/call_grammar.rs). A text may hold anything but
/// `value_end`; what is no text is JSON that its schema allows. Arguments that `parameters` does not name don't come. Throws
/// Error(invalid_argument) naming an argument whose schema can't be kept to: texts with more than an enum's bounds.
json::array argument_pieces(const json::object& parameters, const ArgumentLayout& layout);

/// The same where schemas are not kept to: any of these arguments, with any text.
json::array free_argument_pieces(const json::object& parameters, const ArgumentLayout& layout);

}  // namespace pippin::text
