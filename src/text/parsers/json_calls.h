// Calls written as JSON: {"name": ..., "arguments": {...}}, or a list of such objects.
#pragma once

#include <memory>
#include <string>

#include "text/parsers/sections.h"
#include "text/parsers/tools.h"

namespace pippin::text {

/// Arguments are passed on as they are generated, in the model's own spelling. Names may stand behind them; then they wait.
/// "parameters" and "tool_name" are understood, too, and arguments that are a string of JSON.
class JsonCalls final : public CallReader {
 public:
  struct Options {
    /// Only calls of these tools are calls: for formats whose markup may as well be an answer in JSON. Null: any are.
    std::shared_ptr<const Tools> offered = nullptr;
    /// Calls get random ids of so many letters; 0: none.
    std::size_t id_letters = 0;
  };

  explicit JsonCalls(Tags tags) : JsonCalls(std::move(tags), Options()) {}
  JsonCalls(Tags tags, Options options)
      : CallReader(std::move(tags)), options_(std::move(options)) {}

  void begin(std::string_view tag) override;
  Progress read(Input& input, OutputWriter& writer) override;
  bool surely_calls(std::string_view text) const override;

 private:
  enum class State { before, inside, behind };

  Progress read_before(Input& input);
  Progress read_inside(Input& input, OutputWriter& writer);
  Progress read_behind(Input& input);
  bool take(char byte, Input& input, OutputWriter& writer);
  bool take_event(const JsonEvent& event, Input& input, OutputWriter& writer);
  bool take_member(const JsonEvent& event, Input& input, OutputWriter& writer);
  bool take_name(const std::string& name, Input& input, OutputWriter& writer);
  bool take_end(Input& input, OutputWriter& writer);
  void pass_arguments(std::string_view text, OutputWriter& writer);
  /// The arguments are complete.
  void finish_call(Input& input, OutputWriter& writer);

  const Options options_;
  State state_ = State::before;
  JsonScanner scanner_;
  int call_depth_ = 0;  ///< 1 where calls are in a list
  std::string key_;     ///< the last one in the call's own object
  bool in_arguments_ = false;
  bool called_ = false;  ///< the call's name is known
  bool has_arguments_ = false;
  bool any_call_ = false;  ///< in this markup
  std::string waiting_;    ///< arguments whose tool is not known yet
};

}  // namespace pippin::text
