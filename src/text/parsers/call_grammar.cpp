#include "text/parsers/call_grammar.h"

#include <algorithm>
#include <iterator>

#include "base/json.h"
#include "pippin/error.h"
#include "text/parsers/argument_pieces.h"
#include "text/parsers/channels.h"
#include "text/parsers/named_calls.h"
#include "text/parsers/python_calls.h"

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
  bool own_token;                 ///< calls begin with a token that no text has
  ArgumentLayout arguments = {};  ///< where they are no JSON
  /// What stands before all that, unless the prompt ends in it.
  std::string_view opening = {};
};

constexpr ArgumentLayout dsml_arguments{
    .notation = "tags",
    .key = "<｜DSML｜parameter name=\"KEY\" string=\"",
    .end = "</｜DSML｜parameter>\n",
    .closing = "</｜DSML｜parameter>",
    .kinds =
        R"({"string": "true\">", "number": "false\">", "boolean": "false\">", "null": "false\">",
                "object": "false\">", "array": "false\">"})"};
constexpr std::string_view k3_kinds =
    R"({"string": "string\"<|sep|>", "number": "number\"<|sep|>", "boolean": "boolean\"<|sep|>",
        "null": "null\"<|sep|>", "object": "object\"<|sep|>", "array": "array\"<|sep|>"})";

// A line break that a model may leave out is written as \v, a number as \a. A format's name may be there twice: its calls are written
// in either way, as the model likes.
constexpr Layout layouts[] = {
    {"hermes", "", "<tool_call>\v{\"name\": \"NAME\", \"arguments\": ", "}\v</tool_call>", "\v", "",
     true},
    {"llama3_json", "", "{\"name\": \"NAME\", \"parameters\": ", "}", "; ", "", false},
    {"mistral", "[TOOL_CALLS][", "{\"name\": \"NAME\", \"arguments\": ", "}", ", ", "]", true},
    {"mistral, named", "", "[TOOL_CALLS]NAME[ARGS]", "", "", "", true},
    {"nemotron", "<TOOLCALL>[", "{\"name\": \"NAME\", \"arguments\": ", "}", ", ", "]</TOOLCALL>",
     true},
    {"granite", "<|tool_call|>[", "{\"name\": \"NAME\", \"arguments\": ", "}", ", ", "]", true},
    {"phi", "<|tool_call|>[", "{\"name\": \"NAME\", \"arguments\": ", "}", ", ", "]<|/tool_call|>",
     true},
    {"kimi_k2", "<|tool_calls_section_begin|>",
     "<|tool_call_begin|>functions.NAME:\a<|tool_call_argument_begin|>", "<|tool_call_end|>", "",
     "<|tool_calls_section_end|>", true},
    {"deepseek", "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>NAME<｜tool▁sep｜>",
     "<｜tool▁call▁end｜>", "\v", "<｜tool▁calls▁end｜>", true},
    {"deepseek", "<｜tool▁calls▁begin｜>",
     "<｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME\n```json\n", "\n```<｜tool▁call▁end｜>", "\v",
     "<｜tool▁calls▁end｜>", true},
    {"command_r", "Action: ```json\n[", "{\"tool_name\": \"NAME\", \"parameters\": ", "}", ", ",
     "]```", false},
    {"qwen3_coder",
     "",
     "<tool_call>\n<function=NAME>\n",
     "</function>\n</tool_call>",
     "\v",
     "",
     true,
     {.notation = "tags",
      .key = "<parameter=KEY>\n",
      .end = "\n</parameter>\n",
      .closing = "</parameter>"}},
    {"minimax",
     "<minimax:tool_call>\n",
     "<invoke name=\"NAME\">\n",
     "</invoke>\n",
     "",
     "</minimax:tool_call>",
     true,
     {.notation = "tags",
      .key = "<parameter name=\"KEY\">",
      .end = "</parameter>\n",
      .closing = "</parameter>"}},
    {"glm",
     "",
     "<tool_call>NAME\n",
     "</tool_call>",
     "\v",
     "",
     true,
     {.notation = "tags",
      .key = "<arg_key>KEY</arg_key>\n<arg_value>",
      .end = "</arg_value>\n",
      .closing = "</arg_value>"}},
    {"glm",
     "",
     "<tool_call>NAME",
     "</tool_call>",
     "\v",
     "",
     true,
     {.notation = "tags",
      .key = "<arg_key>KEY</arg_key><arg_value>",
      .end = "</arg_value>",
      .closing = "</arg_value>"}},
    {"seed_oss",
     "",
     "<seed:tool_call>\n<function=NAME>\n",
     "</function>\n</seed:tool_call>",
     "\v",
     "",
     true,
     {.notation = "tags",
      .key = "<parameter=KEY>",
      .end = "</parameter>\n",
      .closing = "</parameter>"}},
    {"hunyuan_3",
     "<tool_calls:opensource>\n",
     "<tool_call:opensource>NAME<tool_sep:opensource>\n",
     "</tool_call:opensource>\n",
     "",
     "</tool_calls:opensource>",
     true,
     {.notation = "tags",
      .key = "<arg_key:opensource>KEY</arg_key:opensource>\n<arg_value:opensource>",
      .end = "</arg_value:opensource>\n",
      .closing = "</arg_value:opensource>"}},
    {"minicpm5",
     "",
     "<function name=\"NAME\">",
     "</function>",
     "\v",
     "",
     false,
     {.notation = "tags", .key = "<param name=\"KEY\">", .end = "</param>", .closing = "</param>"}},
    {"deepseek_v3_2", "<｜DSML｜function_calls>\n", "<｜DSML｜invoke name=\"NAME\">\n",
     "</｜DSML｜invoke>\n", "", "</｜DSML｜function_calls>", true, dsml_arguments},
    {"deepseek_v4", "<｜DSML｜tool_calls>\n", "<｜DSML｜invoke name=\"NAME\">\n",
     "</｜DSML｜invoke>\n", "", "</｜DSML｜tool_calls>", true, dsml_arguments},
    {"kimi_k3",
     "<|open|>tools<|sep|>",
     "<|open|>call tool=\"NAME\" index=\"\a\"<|sep|>",
     "<|close|>call<|sep|>",
     "",
     "<|close|>tools<|sep|>",
     true,
     {.notation = "tags",
      .key = "<|open|>argument key=\"KEY\" type=\"",
      .end = "<|close|>argument<|sep|>",
      .closing = "<|close|>argument<|sep|>",
      .kinds = k3_kinds},
     "<|open|>response<|sep|><|close|>response<|sep|>"},
    {"muse",
     "",
     " to=NAME<|message|><atem:function_calls>\n<atem:invoke name=\"NAME\">\n",
     "</atem:invoke>\n</atem:function_calls>",
     "<|eom|><|start|>assistant",
     "",
     false,
     {.notation = "tags",
      .key = "<atem:parameter name=\"KEY\">",
      .end = "</atem:parameter>\n",
      .closing = "</atem:parameter>"},
     "<|start|>assistant"},
    {"lfm2",
     "<|tool_call_start|>[",
     "NAME(",
     ")",
     ", ",
     "]<|tool_call_end|>",
     true,
     {.notation = "python"}},
    {"apertus", "<|tools_prefix|>[", "{\"NAME\": ", "}", ", ", "]<|tools_suffix|>", true},
    {"apriel", "<tool_calls>[", "{\"name\": \"NAME\", \"arguments\": ", "}", ", ", "]</tool_calls>",
     true},
    {"minimax_m1", "<tool_calls>\n", "{\"name\": \"NAME\", \"arguments\": ", "}\n", "",
     "</tool_calls>", false},
    {"command_r7b", "<|START_ACTION|>[\n    ",
     "{\"tool_call_id\": \"\a\", \"tool_name\": \"NAME\", \"parameters\": ", "}", ",\n    ",
     "\n]<|END_ACTION|>", true},
    {"firefunction", "functools[", "{\"name\": \"NAME\", \"arguments\": ", "}", ", ", "]", false},
    {"gigachat_3",
     "",
     "function call<|role_sep|>\n{\"name\": \"NAME\", \"arguments\": ",
     "}",
     "<|message_sep|>\n\n",
     "",
     false,
     {},
     "<|message_sep|>\n\n"},
    {"gigachat_3_1", "", "<|function_call|>{\"name\": \"NAME\", \"arguments\": ", "}", "", "",
     true},
    {"functionary_v3_1", "", "<function=NAME>", "</function>", "", "", false},
    {"functionary_v3_2", "", "NAME\n", "", ">>>", "", false},
    {"solar_open",
     "<|tool_calls|>",
     "<|tool_call:begin|>\a<|tool_call:name|>NAME<|tool_call:args|>",
     "<|tool_call:end|>",
     "",
     "<|calls|>",
     true,
     {},
     "<|begin|>assistant"},
    {"pythonic", "[", "NAME(", ")", ", ", "]", false, {.notation = "python"}},
    {"gemma3", "```tool_code\n", "NAME(", ")", "\n", "\n```", false, {.notation = "python"}},
    {"gemma4",
     "",
     "<|tool_call>call:NAME{",
     "}<tool_call|>",
     "",
     "",
     true,
     {.notation = "gemma", .quote = "<|\"|>"}},
    {"functiongemma",
     "",
     "<start_function_call>call:NAME{",
     "}<end_function_call>",
     "",
     "",
     true,
     {.notation = "gemma", .quote = "<escape>"}},
};

constexpr Layout channel_layout = {
    "harmony", "",  "<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>", "", "",
    "",        true};

std::vector<Layout> layouts_of(std::string_view format, bool spells_arguments_tag) {
  const auto name = format == "mistral" && spells_arguments_tag ? "mistral, named" : format;
  std::vector<Layout> found;
  std::copy_if(std::begin(layouts), std::end(layouts), std::back_inserter(found),
               [&](const Layout& layout) { return layout.format == name; });
  if (found.empty())
    throw Error(Code::invalid_argument,
                "calls can't be forced in this model's format of calls, '" + std::string(format) +
                    "' (they can in " + call_grammar_formats() + ")",
                "tool_choice");
  return found;
}

void add_text(json::array& pieces, std::string_view text) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find_first_of("\v\a", begin), text.size());
    if (end > begin) pieces.emplace_back(text.substr(begin, end - begin));
    if (end < text.size())
      pieces.push_back(text[end] == '\v' ? json::object{{"optional", "\n"}}
                                         : json::object{{"number", true}});
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
  for (auto at = text.find("NAME"); at != std::string::npos;
       at = text.find("NAME", at + name.size()))
    text.replace(at, 4, name);
  return text;
}

// Names are written as they are, and the parser must find their end.
void check_name(const std::string& name, const Layout& layout) {
  const auto& notation = layout.arguments.notation;
  const auto in_json = [](unsigned char c) { return c > ' ' && c != '"' && c != '\\' && c != '<'; };
  bool plain = !name.empty() && std::all_of(name.begin(), name.end(), in_json);
  if (!notation.empty()) plain = plain && is_tool_name(name);
  if (notation == "python") plain = plain && std::all_of(name.begin(), name.end(), in_python_name);
  if (!plain)
    throw Error(Code::invalid_argument, "the tool's name '" + name + "' can't be forced", "tools");
}

// Beside text only strict tools' arguments are held to their schemas.
bool is_free(const json::object& function, const CallRules& rules) {
  const auto* strict = function.if_contains("strict");
  return rules.text && !(strict && *strict == true);
}

json::object parameters_of(const json::object& function) {
  const auto* parameters = function.if_contains("parameters");
  const bool given = parameters && parameters->is_object() && !parameters->as_object().empty();
  return given ? parameters->as_object() : json::object{{"type", "object"}};
}

json::object arguments_of(const Layout& layout, const json::object& function,
                          const CallRules& rules, const Tools& tools) {
  const bool free = is_free(function, rules);
  const json::object parameters = parameters_of(function);
  if (layout.arguments.notation.empty())
    return {{"schema", free ? json::object{{"type", "object"}} : parameters}};
  const std::string_view name = function.at("name").as_string();
  return free ? free_argument_piece(layout.arguments, parameters, tools, name)
              : argument_piece(layout.arguments, parameters, tools, name);
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

// `index`: the tool's among all.
json::array call_of(const Layout& layout, const json::object& function, std::size_t index,
                    const CallRules& rules, const Tools& tools) {
  const std::string name(function.at("name").as_string());
  check_name(name, layout);
  json::array pieces = pieces_of(named(layout.head, name));
  json::object arguments = arguments_of(layout, function, rules, tools);
  if (!is_free(function, rules)) {
    const auto* strict = function.if_contains("strict");
    arguments["path"] = "tools." + std::to_string(index) + ".function.parameters";
    arguments["strict"] = strict && *strict == true;
  }
  pieces.push_back(std::move(arguments));
  add_text(pieces, layout.tail);
  return pieces;
}

bool is_allowed(const CallRules& rules, std::string_view name) {
  return rules.allowed.empty() ||
         std::find(rules.allowed.begin(), rules.allowed.end(), name) != rules.allowed.end();
}

json::array before_calls(const Layout& layout) {
  json::array pieces;
  if (!layout.opening.empty()) pieces.push_back(json::object{{"optional", layout.opening}});
  add_text(pieces, layout.before);
  return pieces;
}

json::object spec_of(const std::vector<Layout>& layouts, std::string_view tools_json,
                     const CallRules& rules) {
  json::array calls;
  const json::value tools = parse_json(tools_json, "tools");
  if (!tools.is_array()) throw Error(Code::invalid_argument, "the tools must be an array", "tools");
  const Tools known(tools_json);
  for (std::size_t i = 0; i < tools.as_array().size(); ++i) {
    const json::object& function = described(tools.as_array()[i]);
    if (is_allowed(rules, std::string_view(function.at("name").as_string())))
      for (const Layout& layout : layouts)
        calls.push_back(call_of(layout, function, i, rules, known));
  }
  json::object spec{{"before", before_calls(layouts.front())},
                    {"calls", std::move(calls)},
                    {"separator", pieces_of(layouts.front().separator)},
                    {"after", pieces_of(layouts.front().after)},
                    {"many", rules.many},
                    {"text", rules.text}};
  if (!rules.answer_schema.empty())
    spec["answer"] = json::object{{"schema", parse_json(rules.answer_schema, "the schema")}};
  return spec;
}

// A message of the commentary channel without a recipient is for the user: it may precede calls, but not an answer in a form of its
// own, which it would be part of.
void add_thoughts(json::object& spec) {
  json::array before;
  before.emplace_back(pieces_of("<|channel|>analysis<|message|>"));
  if (!spec.contains("answer")) before.emplace_back(pieces_of("<|channel|>commentary<|message|>"));
  spec["thought"] =
      json::object{{"before", std::move(before)}, {"after", pieces_of(channels::next_message)}};
}

Grammar in_channels(json::object spec, Thoughts thoughts) {
  if (thoughts == Thoughts::first) add_thoughts(spec);
  spec["frame"] = json::array{"<|channel|>final", json::object{{"optional", " <|constrain|>json"}},
                              "<|message|>"};
  return {Grammar::Kind::calls, json::serialize(spec)};
}

json::object answer_of(const Grammar& answer) {
  switch (answer.kind) {
    case Grammar::Kind::json_schema:
      return {{"schema", parse_json(answer.text, "the schema")}};
    case Grammar::Kind::regex:
      return {{"regex", answer.text}};
    case Grammar::Kind::choice:
      return {{"choice", parse_json(answer.text, "the choice")}};
    case Grammar::Kind::lark:
      return {{"lark", answer.text}};
    case Grammar::Kind::json_object:
    case Grammar::Kind::calls:
      break;
  }
  return {{"schema", {{"type", "object"}}}};
}

}  // namespace

Grammar call_grammar(std::string_view format, std::string_view tools_json, const CallRules& rules,
                     bool spells_arguments_tag) {
  const auto layouts = layouts_of(format, spells_arguments_tag);
  if (rules.text && !layouts.front().own_token)
    throw Error(Code::invalid_argument,
                "'strict' tools need tool_choice required or a name with this model, whose calls "
                "have no mark that tells them from text",
                "tools");
  return {Grammar::Kind::calls, json::serialize(spec_of(layouts, tools_json, rules))};
}

// A call ends such an answer.
Grammar channel_call_grammar(std::string_view tools_json, const CallRules& rules,
                             Thoughts thoughts) {
  json::object spec = spec_of({channel_layout}, tools_json, rules);
  spec["many"] = false;
  return in_channels(std::move(spec), thoughts);
}

Grammar channel_answer_grammar(const Grammar& answer, Thoughts thoughts) {
  return in_channels(json::object{{"answer", answer_of(answer)}}, thoughts);
}

std::string call_grammar_formats() {
  std::vector<std::string_view> names;
  for (const Layout& layout : layouts)
    if (layout.format.find(',') == std::string_view::npos &&
        (names.empty() || names.back() != layout.format))
      names.push_back(layout.format);
  std::string list;
  for (const auto name : names) list.append(name).append(", ");
  return list + "harmony";
}

}  // namespace pippin::text
