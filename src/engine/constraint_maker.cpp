#include "engine/constraint_maker.h"

#include <utility>

#include "pippin/error.h"
#include "text/parsers/call_grammar.h"
#include "text/parsers/input.h"
#include "text/parsers/sections.h"

namespace pippin::engine {
namespace {

using Start = AnswerConstraint::Start;

[[noreturn]] void refuse(const std::string& field, const std::string& why) {
  throw Error(Code::invalid_argument, "'" + field + "' " + why, field);
}

ReasoningMarks marks_of(const text::Tokenizer& tokenizer, const text::ReasoningTags& tags) {
  ReasoningMarks marks;
  if (tags.open.empty() || tags.close.empty()) return marks;
  marks.open = tokenizer.encode(tags.open);
  marks.close = tokenizer.encode(tags.close);
  for (const auto* text : {"\n", "\n\n"})
    if (const auto tokens = tokenizer.encode(text); tokens.size() == 1)
      marks.breaks.push_back(tokens.front());
  return marks;
}

text::Grammar grammar_of(const ResponseFormat& format) {
  using Asked = ResponseFormat::Kind;
  using Kind = text::Grammar::Kind;
  switch (format.kind) {
    case Asked::json_schema:
      return {Kind::json_schema, format.text};
    case Asked::regex:
      return {Kind::regex, format.text};
    case Asked::choice:
      return {Kind::choice, format.text};
    case Asked::grammar:
      return {Kind::lark, format.text};
    case Asked::text:
    case Asked::json_object:
      break;
  }
  return {Kind::json_object, ""};
}

bool restricts(const ResponseFormat& format) { return format.kind != ResponseFormat::Kind::text; }

// Beside calls.
std::string answer_schema_of(const ResponseFormat& format) {
  switch (format.kind) {
    case ResponseFormat::Kind::text:
      return "";
    case ResponseFormat::Kind::json_object:
      return R"({"type": "object"})";
    case ResponseFormat::Kind::json_schema:
      return format.text;
    default:
      refuse(format.field,
             "can't be this beside 'tools', only JSON can (or set tool_choice to \"none\")");
  }
}

}  // namespace

ConstraintMaker::ConstraintMaker(std::shared_ptr<const text::Tokenizer> tokenizer,
                                 text::OutputFormat format, std::vector<std::int32_t> end_tokens)
    : tokenizer_(std::move(tokenizer)),
      format_(std::move(format)),
      end_tokens_(std::move(end_tokens)),
      marks_(marks_of(*tokenizer_, format_.reasoning_tags())) {}

std::unique_ptr<Constraint> ConstraintMaker::make(const ChatRequest& request,
                                                  std::string_view prompt) {
  const auto grammar = grammar_of(request);
  const auto& budget = request.thinking_budget;
  const bool limits = budget && !marks_.open.empty();
  if (budget && *budget < 0) refuse("thinking_budget", "must be at least 0");
  if (budget && format_.has_channels())
    refuse("thinking_budget", "is not supported with this model's format of reasoning");
  if (!grammar && !limits) return nullptr;

  if (limits && !marks_are_tokens())
    refuse("thinking_budget", "needs a model whose reasoning is marked by tokens of their own");
  AnswerConstraint::Options options{start_of(prompt), marks_, {}, {}, end_tokens_};
  if (limits) options.budget = budget;
  if (grammar) {
    const bool of_tools =
        grammar->kind == text::Grammar::Kind::calls && !request.tools_json.empty();
    const auto& field = of_tools ? "tools" : request.format.field;
    options.matcher = compile(*grammar, field);
    if (budget == 0 && options.start == Start::undecided) options.start = Start::answer;
  }
  return std::make_unique<AnswerConstraint>(std::move(options));
}

std::unique_ptr<Constraint> ConstraintMaker::make(const ResponseFormat& format) {
  if (!restricts(format)) return nullptr;
  AnswerConstraint::Options options;
  options.matcher = compile(engine::grammar_of(format), format.field);
  return std::make_unique<AnswerConstraint>(std::move(options));
}

std::optional<text::Grammar> ConstraintMaker::grammar_of(const ChatRequest& request) const {
  const auto& choice = request.tool_choice;
  const bool offers = !request.tools_json.empty();
  const bool calls = choice.required || (offers && (choice.strict || restricts(request.format)));
  if (!calls && !restricts(request.format)) return {};
  if (!calls) return in_channel(engine::grammar_of(request.format));
  if (format_.tool_parser() == "none")
    refuse("tool_choice", "can't be kept to: this model's format of calls is not known");
  text::CallRules rules{choice.allowed, request.parallel_tool_calls, false, ""};
  // An answer that must call has no text, which is what a format speaks of.
  if (!choice.required) rules.answer_schema = answer_schema_of(request.format);
  rules.text = !choice.required && !restricts(request.format);
  if (format_.has_channels()) return text::channel_call_grammar(request.tools_json, rules);
  return text::call_grammar(format_.tool_parser(), request.tools_json, rules,
                            tokenizer_->token_to_id("[ARGS]").has_value());
}

text::Grammar ConstraintMaker::in_channel(text::Grammar answer) const {
  return format_.has_channels() ? text::channel_answer_grammar(answer) : std::move(answer);
}

text::Matcher ConstraintMaker::compile(const text::Grammar& grammar, const std::string& field) {
  try {
    std::call_once(made_, [this] {
      compiler_ = std::make_unique<text::GrammarCompiler>(tokenizer_, end_tokens_);
    });
    return compiler_->compile(grammar);
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), field);
  }
}

bool ConstraintMaker::marks_are_tokens() const {
  return marks_.open.size() == 1 && marks_.close.size() == 1;
}

// A template opens reasoning, or (where it is switched off) opens and closes it.
Start ConstraintMaker::start_of(std::string_view prompt) const {
  const auto tags = format_.reasoning_tags();
  if (marks_.open.empty()) return Start::answer;
  const auto end = text::trimmed(prompt);
  if (end.ends_with(text::trimmed(tags.open))) {
    if (marks_.close.size() == 1) return Start::reasoning;
    refuse("response_format",
           "can't follow this model's reasoning, whose end is no token of its own");
  }
  const bool closed = end.ends_with(text::trimmed(tags.close));
  return closed || !marks_are_tokens() ? Start::answer : Start::undecided;
}

}  // namespace pippin::engine
