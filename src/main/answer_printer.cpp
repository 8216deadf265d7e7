#include "main/answer_printer.h"

#include <utility>

#include <spdlog/fmt/fmt.h>

namespace pippin {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* dim = "\033[2m";
constexpr const char* plain = "\033[0m";
constexpr const char* replacement = "\xEF\xBF\xBD";

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

std::string without_controls(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool is_c1 = byte == 0xC2 && next >= 0x80 && next < 0xA0;  // U+0080 to U+009F
    const bool is_c0 = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F;
    if (is_c0 || is_c1)
      shown += replacement;
    else
      shown += text[i];
    if (is_c1) ++i;
  }
  return shown;
}

AnswerPrinter::AnswerPrinter(Output answer, Output remarks) : answer_(answer), remarks_(remarks) {}

void AnswerPrinter::print(const ChatEvent& event) {
  usage_ = event.usage;
  if (first_ == Clock::time_point()) first_ = Clock::now();
  last_ = Clock::now();
  if (!event.reasoning.empty()) {
    if (!std::exchange(thinking_, true) && remarks_.terminal) remarks_.stream << dim;
    remarks_.stream << (remarks_.terminal ? without_controls(event.reasoning) : event.reasoning)
                    << std::flush;
    reasoning_ += event.reasoning;
  }
  if (event.text.empty()) return;
  end_thought();
  answer_.stream << (answer_.terminal ? without_controls(event.text) : event.text) << std::flush;
  text_ += event.text;
}

void AnswerPrinter::end_thought() {
  if (!std::exchange(thinking_, false)) return;
  remarks_.stream << (remarks_.terminal ? plain : "") << "\n\n" << std::flush;
}

void AnswerPrinter::finish() {
  end_thought();
  answer_.stream << std::endl;
}

std::string AnswerPrinter::stats(Clock::time_point begun) const {
  const double rest = seconds(last_ - first_);
  const double speed = rest > 0 ? static_cast<double>(usage_.completion_tokens - 1) / rest : 0.0;
  return fmt::format(
      "[{} prompt tokens read in {:.2f} s, {} of them cached; {} tokens generated, {:.1f} a "
      "second]",
      usage_.prompt_tokens, first_ == Clock::time_point() ? 0.0 : seconds(first_ - begun),
      usage_.cached_tokens, usage_.completion_tokens, speed);
}

}  // namespace pippin
