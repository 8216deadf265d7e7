// Calls written as Python writes them: f(a=1, b="x").
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/parsers/literals.h"
#include "text/parsers/sections.h"
#include "text/parsers/tools.h"

namespace pippin::text {

/// Whether it may be in a name of a tool or argument. Python has no dash and no dot in one, but tools do.
bool in_python_name(char c);

/// One or several, in a list or on lines of their own. Arguments are passed on as they are generated.
class PythonCalls final : public CallReader {
 public:
  /// Only calls of `tools` are calls, since a list may as well be an answer.
  PythonCalls(Tags tags, std::shared_ptr<const Tools> tools)
      : CallReader(std::move(tags)), tools_(std::move(tools)) {}

  void begin(std::string_view tag) override;
  Progress read(Input& input, OutputWriter& writer) override;
  bool surely_calls(std::string_view text) const override;

 private:
  enum class State { between, name, key, behind_key, value, behind_value, behind };

  Progress step(Input& input, OutputWriter& writer);
  Progress read_between(Input& input);
  Progress read_name(Input& input, OutputWriter& writer);
  Progress read_key(Input& input, OutputWriter& writer);
  Progress read_behind_key(Input& input, OutputWriter& writer);
  /// The input ends in a key or behind one; if for good, what there is of it is passed on.
  Progress cut_key(const Input& input, OutputWriter& writer);
  Progress read_value(Input& input, OutputWriter& writer);
  Progress read_behind_value(Input& input, OutputWriter& writer);
  Progress read_behind(Input& input);
  void close_call(Input& input, OutputWriter& writer);

  const std::shared_ptr<const Tools> tools_;
  State state_ = State::between;
  bool in_list_ = false;
  std::string word_;   ///< the name or key being read
  bool first_ = true;  ///< no argument has been passed on
  LiteralReader value_{python_literals};
};

}  // namespace pippin::text
