#include "text/parsers/sections.h"

#include <algorithm>
#include <utility>

namespace pippin::text {
namespace {

using Kind = OutputEvent::Kind;

void add(std::vector<std::string_view>& list, std::string_view tag) {
  if (!tag.empty()) list.push_back(tag);
}

}  // namespace

void CallReader::begin_call(Input& input, OutputWriter& writer, std::string name, std::string id) {
  input.stop_recording();
  writer.begin_call(std::move(name), std::move(id));
}

void CallReader::end_call(Input& input, OutputWriter& writer) {
  writer.end_call();
  input.record("");
}

SectionParser::SectionParser(ReasoningTags reasoning, std::unique_ptr<CallReader> calls,
                             bool in_reasoning)
    : reasoning_(reasoning),
      calls_(std::move(calls)),
      state_(in_reasoning ? State::reasoning : State::text) {
  add(markers_, reasoning_.open);
  add(markers_, reasoning_.close);
  if (in_reasoning) writer_.end_section();
  if (!calls_) return;
  const auto& tags = calls_->tags();
  markers_.insert(markers_.end(), tags.begin.begin(), tags.begin.end());
  markers_.insert(markers_.end(), tags.inner.begin(), tags.inner.end());
  add(markers_, tags.end);
}

OutputEvents SectionParser::feed(std::string_view text) {
  input_.append(text);
  run();
  return writer_.take();
}

OutputEvents SectionParser::feed_marker(std::string_view marker) {
  // A model may go from reasoning to a call without closing the one; as a special token the tag can't be a mere mention.
  if (state_ == State::reasoning && calls_ &&
      std::count(calls_->tags().begin.begin(), calls_->tags().begin.end(), marker)) {
    writer_.say(Kind::reasoning, input_.take(input_.rest().size()));
    writer_.end_section();
    state_ = State::text;
  }
  return feed(marker);
}

OutputEvents SectionParser::finish(AnswerEnd end) {
  if (end == AnswerEnd::cut) {
    settle_cut();
  } else {
    input_.close();
    run();
    if (state_ == State::calls && !writer_.call_open()) give_back();
    if (writer_.call_open()) writer_.add_arguments(input_.take(input_.rest().size()));
  }
  writer_.finish();
  return writer_.take();
}

// What the input still holds may be the beginning of markup, before which white space goes.
void SectionParser::settle_cut() {
  const bool in_markup = state_ == State::calls && !writer_.call_open();
  if (in_markup && bare_ && writer_.num_calls() == calls_before_) {
    auto text = input_.stop_recording();
    text += input_.take(input_.rest().size());
    if (!calls_->surely_calls(text)) return writer_.say(Kind::text, text);
  }
  if (in_markup || !input_.empty()) writer_.end_section();
}

void SectionParser::run() {
  for (bool changed = true; changed;) {
    switch (state_) {
      case State::text:
        changed = read_text();
        break;
      case State::reasoning:
        changed = read_reasoning();
        break;
      case State::calls:
        changed = read_calls();
        break;
      case State::broken_call:
        changed = read_broken_call();
        break;
    }
  }
}

bool SectionParser::read_text() {
  if (writer_.at_start()) {
    while (!input_.empty() && is_space(input_.front())) writer_.say(Kind::text, input_.take(1));
    if (input_.empty()) return false;
    if (begin_section()) return true;
    if (may_begin_section()) return false;
  }
  const auto tags = calls_ ? std::span(calls_->tags().begin) : std::span<const std::string_view>();
  const auto found = input_.find(tags);
  writer_.say(Kind::text, input_.take(found.before));
  if (!calls_ && !writer_.at_start()) writer_.say_space();
  return found.tag && begin_calls(tags[*found.tag], false);
}

// What counts only where a text begins.
bool SectionParser::begin_section() {
  if (!reasoning_.open.empty() && input_.at(reasoning_.open) == Input::Match::yes) {
    input_.take(reasoning_.open.size());
    writer_.end_section();
    state_ = State::reasoning;
    return true;
  }
  // A bare tag ('[') may be the beginning of that of reasoning ("[THINK]").
  if (!calls_ || input_.at(reasoning_.open) == Input::Match::maybe) return false;
  for (const auto tag : calls_->tags().bare)
    if (input_.at(tag) == Input::Match::yes) return begin_calls(tag, true);
  return false;
}

bool SectionParser::may_begin_section() const {
  const auto maybe = [&](std::string_view tag) { return input_.at(tag) == Input::Match::maybe; };
  return maybe(reasoning_.open) ||
         (calls_ && std::any_of(calls_->tags().bare.begin(), calls_->tags().bare.end(), maybe));
}

bool SectionParser::begin_calls(std::string_view tag, bool bare) {
  input_.record(writer_.take_space());
  if (!bare) input_.take(tag.size());
  calls_->begin(bare ? std::string_view() : tag);
  bare_ = bare;
  calls_before_ = writer_.num_calls();
  state_ = State::calls;
  return true;
}

bool SectionParser::read_reasoning() {
  const auto found = input_.find({&reasoning_.close, 1});
  writer_.say(Kind::reasoning, input_.take(found.before));
  if (!found.tag) return false;
  input_.take(reasoning_.close.size());
  writer_.end_section();
  state_ = State::text;
  return true;
}

bool SectionParser::read_calls() {
  const auto progress = calls_->read(input_, writer_);
  if (progress == CallReader::Progress::more) return false;
  if (progress == CallReader::Progress::broken && writer_.call_open()) {
    state_ = State::broken_call;
  } else if (progress == CallReader::Progress::broken) {
    give_back();
  } else {
    input_.stop_recording();
    writer_.end_call();
    writer_.end_section();
    state_ = State::text;
  }
  return true;
}

bool SectionParser::read_broken_call() {
  const auto end = calls_->tags().end;
  const auto found = input_.find({&end, end.empty() ? 0u : 1u});
  writer_.add_arguments(input_.take(found.before));
  if (!found.tag) return false;
  input_.take(end.size());
  writer_.end_call();
  writer_.end_section();
  state_ = State::text;
  return true;
}

void SectionParser::give_back() {
  auto text = input_.stop_recording();
  if (input_.closed()) text += input_.take(input_.rest().size());
  const bool has_called = writer_.num_calls() > calls_before_;
  if (has_called) writer_.end_section();
  if (!has_called || !only_closes(text)) writer_.say(Kind::text, text);
  state_ = State::text;
}

// What is left of markup behind its last call: brackets, and the end tag or what came of it.
bool SectionParser::only_closes(std::string_view text) const {
  while (!text.empty() && (is_space(text.front()) ||
                           std::string_view("]}),;").find(text.front()) != std::string_view::npos))
    text.remove_prefix(1);
  return calls_->tags().end.starts_with(trimmed(text));
}

}  // namespace pippin::text
