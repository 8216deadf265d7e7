#include "text/grammar.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "pippin/error.h"
#include "text/rust.h"

namespace pippin::text {
namespace {

constexpr const char* where = "grammar";

}  // namespace

Matcher::Matcher(Matcher&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), field_(std::move(other.field_)) {}

Matcher& Matcher::operator=(Matcher&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(field_, other.field_);
  return *this;
}

Matcher::~Matcher() { pippin_matcher_free(handle_); }

Matcher Matcher::copy() const {
  PippinMatcher* copy = nullptr;
  rust::Buffer error;
  rust::check(pippin_matcher_copy(handle_, &copy, error.out()), error, where, field_);
  Matcher matcher(copy);
  matcher.field_ = field_;
  return matcher;
}

void Matcher::fill(std::span<std::uint32_t> words) {
  rust::Buffer error;
  const auto status = pippin_matcher_fill(handle_, words.data(), words.size(), error.out());
  rust::check(status, error, where, field_);
}

bool Matcher::allows(std::int32_t token) {
  std::int32_t allowed = 0;
  rust::Buffer error;
  rust::check(pippin_matcher_allows(handle_, token, &allowed, error.out()), error, where, field_);
  return allowed != 0;
}

void Matcher::accept(std::int32_t token) {
  rust::Buffer error;
  rust::check(pippin_matcher_consume(handle_, token, error.out()), error, where, field_);
}

std::vector<std::int32_t> Matcher::forced() {
  PippinIds raw{nullptr, 0};
  rust::Buffer error;
  rust::check(pippin_matcher_forced(handle_, &raw, error.out()), error, where, field_);
  const std::unique_ptr<PippinIds, void (*)(PippinIds*)> owner(&raw, pippin_ids_free);
  return {raw.data, raw.data + raw.size};
}

bool Matcher::finished() const { return pippin_matcher_is_finished(handle_) != 0; }

std::vector<std::string> Matcher::ignored() const {
  rust::Buffer lines;
  pippin_matcher_ignored(handle_, lines.out());
  std::vector<std::string> parts;
  std::istringstream stream{std::string(lines.view())};
  for (std::string line; std::getline(stream, line);) parts.push_back(line);
  return parts;
}

std::int64_t Matcher::bytes() const {
  return static_cast<std::int64_t>(pippin_matcher_bytes(handle_));
}

GrammarCompiler::GrammarCompiler(std::shared_ptr<const Tokenizer> tokenizer,
                                 std::span<const std::int32_t> end_tokens, Options options)
    : options_(options) {
  rust::Buffer error;
  const PippinGrammarOptions limits{options.threads, options.max_waiting, options.max_bytes,
                                    options.max_grammar_bytes};
  const auto status = pippin_grammars_new(tokenizer->handle(), end_tokens.data(), end_tokens.size(),
                                          &limits, &handle_, error.out());
  rust::check(status, error, where);
}

GrammarCompiler::~GrammarCompiler() { pippin_grammars_free(handle_); }

Matcher GrammarCompiler::compile(const Grammar& grammar, const Wanted& wanted) {
  try {
    return compile_or_find(grammar, wanted);
  } catch (const Error& error) {
    count(error);
    throw;
  }
}

Matcher GrammarCompiler::compile_or_find(const Grammar& grammar, const Wanted& wanted) {
  if (grammar.text.size() > options_.max_text_bytes)
    throw Error(Code::invalid_argument, "[grammar] it has " + std::to_string(grammar.text.size()) +
                                            " bytes, more than " +
                                            std::to_string(options_.max_text_bytes));
  auto compiled = find(grammar);
  make_room();
  if (!compiled) compiled = keep(grammar, compile_anew(grammar, wanted));
  return compiled->copy();
}

Matcher GrammarCompiler::compile_anew(const Grammar& grammar, const Wanted& wanted) const {
  PippinMatcher* matcher = nullptr;
  rust::Buffer error;
  const auto ask = [](void* context) -> std::int32_t {
    return (*static_cast<const Wanted*>(context))() ? 1 : 0;
  };
  Wanted asked = wanted;
  const auto status = pippin_grammar_compile(
      handle_, static_cast<int>(grammar.kind), rust::bytes(grammar.text), grammar.text.size(),
      static_cast<std::uint32_t>(options_.time_limit.count()), asked ? +ask : nullptr, &asked,
      &matcher, error.out());
  rust::check(status, error, where);
  return Matcher(matcher);
}

std::shared_ptr<const Matcher> GrammarCompiler::find(const Grammar& grammar) {
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(kept_.begin(), kept_.end(),
                                  [&](const Kept& kept) { return kept.grammar == grammar; });
  if (found == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found);
  return found->matcher;
}

// Two that compile the same grammar at once both keep it; the older one is dropped in time.
std::shared_ptr<const Matcher> GrammarCompiler::keep(const Grammar& grammar, Matcher matcher) {
  auto shared = std::make_shared<const Matcher>(std::move(matcher));
  ++compiled_;
  std::lock_guard lock(mutex_);
  kept_.push_front({grammar, shared});
  kept_text_bytes_ += grammar.text.size();
  while (kept_.size() > options_.max_kept ||
         (kept_.size() > 1 && kept_text_bytes_ > options_.max_kept_text_bytes))
    drop_last();
  return shared;
}

// For one more of the largest, as far as those that are kept take it.
void GrammarCompiler::make_room() {
  std::lock_guard lock(mutex_);
  const std::size_t room = std::min(options_.max_grammar_bytes, options_.max_bytes / 2);
  while (!kept_.empty() && pippin_grammars_bytes(handle_) > options_.max_bytes - room) drop_last();
}

void GrammarCompiler::drop_last() {
  kept_text_bytes_ -= kept_.back().grammar.text.size();
  kept_.pop_back();
}

void GrammarCompiler::count(const Error& error) {
  if (error.code() == Code::invalid_argument)
    ++refused_;
  else if (error.code() == Code::resource_exhausted || error.code() == Code::unavailable)
    ++busy_;
}

std::size_t GrammarCompiler::clear() {
  std::list<Kept> dropped;
  std::lock_guard lock(mutex_);
  dropped.swap(kept_);
  kept_text_bytes_ = 0;
  return dropped.size();
}

std::size_t GrammarCompiler::num_kept() const {
  std::lock_guard lock(mutex_);
  return kept_.size();
}

GrammarStats GrammarCompiler::stats() const {
  GrammarStats stats;
  stats.kept = static_cast<std::int64_t>(num_kept());
  stats.bytes = static_cast<std::int64_t>(pippin_grammars_bytes(handle_));
  stats.limit_bytes = static_cast<std::int64_t>(options_.max_bytes);
  stats.waiting = static_cast<std::int64_t>(pippin_grammars_waiting(handle_));
  stats.compiled = compiled_;
  stats.refused = refused_;
  stats.busy = busy_;
  return stats;
}

}  // namespace pippin::text
