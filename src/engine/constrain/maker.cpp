#include "engine/constrain/maker.h"

#include <algorithm>
#include <utility>

#include "pippin/error.h"
#include "text/parsers/channels.h"
#include "text/parsers/input.h"
#include "text/parsers/sections.h"

namespace pippin::engine {
namespace {

using Start = AnswerConstraint::Start;
using text::Thoughts;

constexpr std::string_view harmony = "harmony";  // the format of messages in channels

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

[[noreturn]] void refuse_budget() {
  refuse("thinking_budget", "needs a model whose reasoning is marked by tokens of their own");
}

// The field that asks for the grammar.
std::string field_of(const text::Grammar& grammar, const ChatRequest& request) {
  const bool of_tools = grammar.kind == text::Grammar::Kind::calls && !request.tools_json.empty();
  return of_tools ? "tools" : request.format.field;
}

// A strict tool's fault names the part of its schema first: "'tools.0.function.parameters.properties.x' ...".
std::string blamed(const Error& error, const std::string& field) {
  const std::string_view message = error.what();
  const auto begin = message.find('\'');
  if (field != "tools" || begin == std::string_view::npos) return field;
  const auto path = message.substr(begin + 1, message.find('\'', begin + 1) - begin - 1);
  return path.starts_with("tools.") ? std::string(path) : field;
}

void report_ignored(const text::Matcher& matcher, const ChatRequest& request) {
  if (!request.hooks.on_ignored) return;
  for (const std::string& field : matcher.ignored()) request.hooks.on_ignored(field);
}

// What of the answer's grammar the prompt has written already: of a message that it leaves open the header, and of its text what is
// there.
std::string begun_by(std::string_view prompt) {
  const auto open = text::channels::open_message(prompt);
  const auto channel = open.header.find(text::channels::channel);
  if (!open.in_body) return {};
  if (channel == std::string_view::npos)  // no grammar knows such messages
    return open.body.empty() ? "" : std::string(text::channels::message).append(open.body);
  return std::string(open.header.substr(channel)).append(text::channels::message).append(open.body);
}

[[noreturn]] void refuse_beginning(const std::string& field) {
  refuse(field, "allows no answer that begins as the last message does");
}

}  // namespace

ConstraintMaker::ConstraintMaker(std::shared_ptr<const text::Tokenizer> tokenizer,
                                 text::OutputFormat format, std::vector<std::int32_t> end_tokens,
                                 std::int64_t grammar_bytes)
    : tokenizer_(std::move(tokenizer)),
      format_(std::move(format)),
      end_tokens_(std::move(end_tokens)),
      marks_(marks_of(*tokenizer_, format_.reasoning_tags())),
      channel_marks_(ChannelMarks::find(*tokenizer_)),
      grammar_bytes_(grammar_bytes) {}

std::unique_ptr<Constraint> ConstraintMaker::make(const ChatRequest& request,
                                                  std::string_view prompt, std::string_view begun,
                                                  const Wanted& wanted) {
  if (request.thinking_budget && *request.thinking_budget < 0)
    refuse("thinking_budget", "must be at least 0");
  // Messages tell by themselves what was begun.
  if (format_.has_channels())
    return make_in_channels(request, std::string(prompt).append(begun), wanted);
  return make_in_text(request, prompt, begun, wanted);
}

std::unique_ptr<Constraint> ConstraintMaker::make_in_text(const ChatRequest& request,
                                                          std::string_view prompt,
                                                          std::string_view begun,
                                                          const Wanted& wanted) {
  const auto grammar = grammar_of(request);
  const auto& budget = request.thinking_budget;
  const bool limits = budget && !marks_.open.empty();
  if (!grammar && !limits) return nullptr;

  if (limits && !marks_are_tokens()) refuse_budget();
  AnswerConstraint::Options options{start_of(prompt), marks_, {}, {}, end_tokens_};
  if (limits) options.budget = budget;
  if (grammar) {
    options.matcher = compile(*grammar, field_of(*grammar, request), asking(request, wanted));
    report_ignored(*options.matcher, request);
    if (budget == 0 && begun.empty() && options.start == Start::undecided)
      options.start = Start::answer;
  }
  auto constraint = std::make_unique<AnswerConstraint>(std::move(options));
  if (!begun.empty() && !constraint->go_on_from(tokenizer_->encode(begun)))
    refuse_beginning(field_of(*grammar, request));
  return constraint;
}

std::unique_ptr<Constraint> ConstraintMaker::make_in_channels(const ChatRequest& request,
                                                              std::string_view prompt,
                                                              const Wanted& wanted) {
  const auto grammar = grammar_of(request);
  auto budget = budget_in_channels(request, prompt, wanted);
  std::optional<text::Matcher> matcher;
  if (grammar) {
    const auto field = field_of(*grammar, request);
    matcher = compile(*grammar, field, asking(request, wanted));
    report_ignored(*matcher, request);
    for (const auto token : tokenizer_->encode(begun_by(prompt))) {
      if (!matcher->allows(token)) refuse_beginning(field);
      matcher->accept(token);
    }
  }
  if (!matcher && !budget) return nullptr;
  return std::make_unique<ChannelConstraint>(std::move(matcher), std::move(budget));
}

std::optional<ChannelConstraint::Budget> ConstraintMaker::budget_in_channels(
    const ChatRequest& request, std::string_view prompt, const Wanted& wanted) {
  if (!request.thinking_budget || format_.reasoning_parser() != harmony) return {};
  if (!channel_marks_) refuse_budget();
  const bool with_calls = format_.tool_parser() == harmony && !request.tools_json.empty();
  ChannelConstraint::Budget budget{*request.thinking_budget,
                                   {tokenizer_, *channel_marks_, prompt, with_calls},
                                   tokenizer_->encode(text::channels::next_message),
                                   tokenizer_->encode(text::channels::final_header)};
  if (const auto grammar = grammar_behind_thoughts(request))
    budget.answer = compile(*grammar, field_of(*grammar, request), asking(request, wanted));
  return budget;
}

std::unique_ptr<Constraint> ConstraintMaker::make(const CompletionRequest& request,
                                                  const Wanted& wanted) {
  const ResponseFormat& format = request.format;
  if (!restricts(format)) return nullptr;
  AnswerConstraint::Options options;
  options.matcher = compile(engine::grammar_of(format), format.field, asking(request, wanted));
  return std::make_unique<AnswerConstraint>(std::move(options));
}

void ConstraintMaker::prepare(const ChatRequest& request, Ready ready) {
  std::vector<text::Grammar> grammars;
  try {
    grammars = grammars_of(request);
  } catch (const Error&) {
    // make() says so, behind whatever is wrong with the prompt
  }
  prepare(request, std::move(grammars), std::move(ready));
}

void ConstraintMaker::prepare(const CompletionRequest& request, Ready ready) {
  std::vector<text::Grammar> grammars;
  if (restricts(request.format)) grammars.push_back(engine::grammar_of(request.format));
  prepare(request, std::move(grammars), std::move(ready));
}

template <class Request>
void ConstraintMaker::prepare(const Request& request, std::vector<text::Grammar> grammars,
                              Ready ready) {
  if (grammars.empty()) return ready(nullptr);
  struct Preparing {
    explicit Preparing(std::size_t count) : left(count) {}
    Mutex mutex;
    std::size_t left GUARDED_BY(mutex);
    std::shared_ptr<Grammars> compiled = std::make_shared<Grammars>();
    Ready ready;
  };
  const auto preparing = std::make_shared<Preparing>(grammars.size());
  preparing->ready = std::move(ready);
  for (text::Grammar& grammar : grammars) {
    grammar.salt = request.cache_salt;
    compiler().post(grammar, request.client, request.hooks.wanted,
                    [preparing, grammar](Grammars::Found matcher, std::exception_ptr failure) {
                      MutexLock lock(preparing->mutex);
                      if (preparing->left > 0) {  // else it is told again, for want of memory
                        preparing->compiled->add(grammar, std::move(matcher), std::move(failure));
                        if (--preparing->left > 0) return;
                      }
                      lock.unlock();
                      preparing->ready(preparing->compiled);
                    });
  }
}

// All that make() compiles.
std::vector<text::Grammar> ConstraintMaker::grammars_of(const ChatRequest& request) const {
  std::vector<text::Grammar> grammars;
  if (auto grammar = grammar_of(request)) grammars.push_back(std::move(*grammar));
  if (!request.thinking_budget || format_.reasoning_parser() != harmony) return grammars;
  if (auto grammar = grammar_behind_thoughts(request)) grammars.push_back(std::move(*grammar));
  return grammars;
}

std::optional<text::Grammar> ConstraintMaker::grammar_of(const ChatRequest& request) const {
  const auto& choice = request.tool_choice;
  const bool offers = !request.tools_json.empty();
  if (choice.required || (offers && (choice.strict || restricts(request.format))))
    return grammar_of_calls(request, Thoughts::first);
  if (!restricts(request.format)) return {};
  return grammar_of_answer(request.format, Thoughts::first);
}

// Where tools are offered they may be called there, too.
std::optional<text::Grammar> ConstraintMaker::grammar_behind_thoughts(
    const ChatRequest& request) const {
  if (!request.tools_json.empty() && format_.tool_parser() == harmony)
    return grammar_of_calls(request, Thoughts::none);
  if (!restricts(request.format)) return {};
  return grammar_of_answer(request.format, Thoughts::none);
}

text::Grammar ConstraintMaker::grammar_of_calls(const ChatRequest& request,
                                                Thoughts thoughts) const {
  const auto& choice = request.tool_choice;
  if (format_.tool_parser() == "none")
    refuse("tool_choice", "can't be kept to: this model's format of calls is not known");
  text::CallRules rules{choice.allowed, request.parallel_tool_calls, false, ""};
  // An answer that must call has no text, which is what a format speaks of.
  if (!choice.required) rules.answer_schema = answer_schema_of(request.format);
  rules.text = !choice.required && !restricts(request.format);
  if (format_.has_channels())
    return text::channel_call_grammar(request.tools_json, rules, thoughts);
  return text::call_grammar(format_.tool_parser(), request.tools_json, rules,
                            tokenizer_->token_to_id("[ARGS]").has_value());
}

text::Grammar ConstraintMaker::grammar_of_answer(const ResponseFormat& format,
                                                 Thoughts thoughts) const {
  auto answer = engine::grammar_of(format);
  return format_.has_channels() ? text::channel_answer_grammar(answer, thoughts)
                                : std::move(answer);
}

text::GrammarCompiler& ConstraintMaker::compiler() {
  const MutexLock lock(mutex_);
  if (!compiler_) {
    text::GrammarCompiler::Options options;
    options.max_bytes = static_cast<std::size_t>(grammar_bytes_);
    options.max_grammar_bytes = std::min(options.max_grammar_bytes, options.max_bytes / 4);
    compiler_ = std::make_unique<text::GrammarCompiler>(tokenizer_, end_tokens_, options);
  }
  return *compiler_;
}

std::size_t ConstraintMaker::clear() {
  const MutexLock lock(mutex_);
  return compiler_ ? compiler_->clear() : 0;
}

GrammarStats ConstraintMaker::stats() const {
  const MutexLock lock(mutex_);
  if (compiler_) return compiler_->stats();
  GrammarStats stats;
  stats.limit_bytes = grammar_bytes_;
  return stats;
}

text::Matcher ConstraintMaker::compile(text::Grammar grammar, const std::string& field,
                                       const Asking& asking) {
  grammar.salt = asking.salt;
  try {
    const auto prepared = asking.grammars ? asking.grammars->find(grammar) : nullptr;
    auto matcher = prepared ? compiler().begin(*prepared)
                            : compiler().compile(grammar, asking.wanted, asking.client);
    matcher.blame(field);
    return matcher;
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), blamed(error, field));
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
