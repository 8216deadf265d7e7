// Calls written as elements, a parameter each: bare text that becomes JSON by the tool's schema.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/parsers/sections.h"
#include "text/parsers/tools.h"

namespace pippin::text {

/// Strings are passed on as they are generated; other values when they are complete.
class XmlCalls final : public CallReader {
 public:
  /// What stands around the parts of a call: `<function=` NAME `>` `<parameter=` KEY `>` VALUE `</parameter>` `</function>`.
  struct Layout {
    std::string_view call;  ///< empty: the name stands right behind the markup's tag
    std::vector<std::string_view> name_end;  ///< any of these ends the name
    std::string_view head_end =
        {};  ///< what stands before it behind the name means nothing; empty: nothing does
    bool name_end_stays = false;  ///< and belongs to what follows
    std::string_view key, key_end;
    std::string_view value;  ///< empty: the value stands right behind key_end
    std::string_view value_end;
    std::string_view call_end;        ///< the markup's own end where only one call fits in
    bool lines_around_value = false;  ///< a line break on both sides is not part of it
    /// Behind a key that this ends (instead of key_end) stands what type the value has.
    std::string_view type = {}, type_end = {};
    std::string_view text_type = {};  ///< the type's name for texts; other values are JSON
    /// Around all arguments as one JSON object, in the place of parameters; empty: that never comes.
    std::string_view object = {}, object_end = {};
    /// Around texts that may hold markup; empty: there are none such.
    std::string_view quote = {}, quote_end = {};
  };

  XmlCalls(Tags tags, Layout layout, std::shared_ptr<const Tools> tools)
      : CallReader(std::move(tags)), layout_(std::move(layout)), tools_(std::move(tools)) {}

  void begin(std::string_view tag) override;
  Progress read(Input& input, OutputWriter& writer) override;

 private:
  enum class State { between, name, head, parameters, object, key, type, before_value, value };

  Progress step(Input& input, OutputWriter& writer);
  Progress read_between(Input& input);
  Progress read_name(Input& input, OutputWriter& writer);
  Progress read_head(Input& input);
  Progress read_parameters(Input& input, OutputWriter& writer);
  Progress read_object(Input& input, OutputWriter& writer);
  Progress read_key(Input& input, OutputWriter& writer);
  Progress read_type(Input& input);
  Progress read_before_value(Input& input);
  Progress read_value(Input& input, OutputWriter& writer);
  void begin_value(OutputWriter& writer);
  void end_value(OutputWriter& writer);

  const Layout layout_;
  const std::shared_ptr<const Tools> tools_;
  State state_ = State::between;
  bool bare_call_ = false;  ///< begun by the call's own tag
  std::string name_, key_;
  std::string type_;   ///< the value's, as the call says
  std::string value_;  ///< so far, of those that wait
  std::string_view value_end_;
  ValueTypes types_;
  bool first_ = true;  ///< no parameter has been passed on
  bool value_begun_ = false;
};

}  // namespace pippin::text
