#include "text/parsers/call_grammar.h"

#include <algorithm>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::text {
namespace {

// How a format writes calls: before, then each call's head (up to the arguments) and tail, separators between, after.
struct Layout {
  std::string_view format;
  std::string_view before;
  std::string_view head;  ///< NAME stands for the tool's name
  std::string_view tail;
  std::string_view separator;
  std::string_view after;
  bool own_token;  ///< calls begin with a token that no text has
};

// A line break that a model may leave out is written as \v.
constexpr Layout layouts[] = {
    {"hermes", "", "<tool_call>\v{\"name\": \"NAME\", \"arguments\": ", "}\v</tool_call>", "\v", "",
     true},
    {"llama3_json", "", "{\"name\": \"NAME\", \"parameters\": ", "}", "; ", "", false},
    {"mistral", "[TOOL_CALLS][", "{\"name\": \"NAME\", \"arguments\": ", "}", ", ", "]", true},
    {"mistral, named", "", "[TOOL_CALLS]NAME[ARGS]", "", "", "", true},
    {"nemotron", "<TOOLCALL>[", "{\"name\": \"NAME\", \"arguments\": ", "}", ", ", "]</TOOLCALL>",
     true},
    {"granite", "<|tool_call|>[", "{\"name\": \"NAME\", \"arguments\": ", "}", ", ", "]", true},
};

const Layout& layout_of(std::string_view format, bool spells_arguments_tag) {
  const auto name = format == "mistral" && spells_arguments_tag ? "mistral, named" : format;
  const auto found = std::find_if(std::begin(layouts), std::end(layouts),
                                  [&](const Layout& layout) { return layout.format == name; });
  if (found == std::end(layouts))
    throw Error(Code::invalid_argument,
                "calls can't be forced in this model's format of calls, '" + std::string(format) +
                    "' (they can in hermes, llama3_json, mistral, nemotron and granite)",
                "tool_choice");
  return *found;
}

void add_text(json::array& pieces, std::string_view text) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find('\v', begin), text.size());
    if (end > begin) pieces.emplace_back(text.substr(begin, end - begin));
    if (end < text.size()) pieces.push_back(json::object{{"optional", "\n"}});
    begin = end + 1;
  }
}

json::array pieces_of(std::string_view text) {
  json::array pieces;
  add_text(pieces, text);
  return pieces;
}

std::string named(std::string_view head, const std::string& name) {
  std::string text(head);
  text.replace(text.find("NAME"), 4, name);
  return text;
}

// Names are written into JSON and markup as they are.
void check_name(const std::string& name) {
  const auto plain = [](unsigned char c) { return c > ' ' && c != '"' && c != '\\' && c != '<'; };
  if (name.empty() || !std::all_of(name.begin(), name.end(), plain))
    throw Error(Code::invalid_argument, "the tool's name '" + name + "' can't be forced", "tools");
}

json::value arguments_of(const json::object& function, const CallRules& rules) {
  const json::value any_object = json::object{{"type", "object"}};
  const auto* strict = function.if_contains("strict");
  if (rules.text && !(strict && *strict == true)) return any_object;
  const auto* parameters = function.if_contains("parameters");
  const bool given = parameters && parameters->is_object() && !parameters->as_object().empty();
  return given ? *parameters : any_object;
}

// A tool's description, in OpenAI's shape or bare. Tools come from programs, too, which nobody has checked.
const json::object& described(const json::value& tool) {
  const json::object* object = tool.if_object();
  if (const json::value* function = object ? object->if_contains("function") : nullptr)
    object = function->if_object();
  const json::value* name = object ? object->if_contains("name") : nullptr;
  if (!name || !name->is_string())
    throw Error(Code::invalid_argument, "each of the tools must be an object with a name", "tools");
  return *object;
}

json::array call_of(const Layout& layout, const json::object& function, const CallRules& rules) {
  const std::string name(function.at("name").as_string());
  check_name(name);
  json::array pieces = pieces_of(named(layout.head, name));
  pieces.push_back(json::object{{"schema", arguments_of(function, rules)}});
  add_text(pieces, layout.tail);
  return pieces;
}

bool is_allowed(const CallRules& rules, std::string_view name) {
  return rules.allowed.empty() ||
         std::find(rules.allowed.begin(), rules.allowed.end(), name) != rules.allowed.end();
}

}  // namespace

Grammar call_grammar(std::string_view format, std::string_view tools_json, const CallRules& rules,
                     bool spells_arguments_tag) {
  const Layout& layout = layout_of(format, spells_arguments_tag);
  if (rules.text && !layout.own_token)
    throw Error(Code::invalid_argument,
                "'strict' tools need tool_choice required or a name with this model, whose calls "
                "have no mark that tells them from text",
                "tools");
  json::array calls;
  const json::value tools = parse_json(tools_json, "tools");
  if (!tools.is_array()) throw Error(Code::invalid_argument, "the tools must be an array", "tools");
  for (const auto& tool : tools.as_array()) {
    const json::object& function = described(tool);
    if (is_allowed(rules, std::string_view(function.at("name").as_string())))
      calls.push_back(call_of(layout, function, rules));
  }
  json::object spec{{"before", pieces_of(layout.before)},
                    {"calls", std::move(calls)},
                    {"separator", pieces_of(layout.separator)},
                    {"after", pieces_of(layout.after)},
                    {"many", rules.many},
                    {"text", rules.text}};
  if (!rules.answer_schema.empty()) spec["answer"] = parse_json(rules.answer_schema, "the schema");
  return {Grammar::Kind::calls, json::serialize(spec)};
}

}  // namespace pippin::text
