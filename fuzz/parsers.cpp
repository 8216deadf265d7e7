// Answers in every format of calls and reasoning. The first line names the two formats, then whether tools are offered ("T"),
// the special tokens come as such ("M"), and the prompt has opened a thought ("O"). However an answer is split, its events
// are valid and say what they say when it comes at once; wherever it is cut, they say the beginning of that.
#include <algorithm>
#include <random>
#include <sstream>
#include <string>

#include "base/files.h"
#include "fuzzing.h"
#include "text/parsers/registry.h"
#include "text/parsers/sections.h"
#include "text/parsers/testing.h"

namespace pippin::fuzz {
namespace {

using text::AnswerEnd;
using text::FoldedAnswer;
using text::OutputFormat;
using text::Piece;

class Subject {
 public:
  explicit Subject(Input& input) : format_(choose(input)) {
    const std::string_view flags = input.word();
    const auto flag = [&](char name) { return flags.find(name) != std::string_view::npos; };
    if (flag('T')) tools_ = tools();
    marks_are_tokens_ = flag('M');
    if (flag('O')) prompt_ = "?\n" + std::string(format_.reasoning_tags().open);
  }

  /// Whether there is anything to tell apart.
  bool parses() const { return parser() != nullptr; }

  std::vector<Piece> cut(std::string_view answer) const {
    if (!marks_are_tokens_) return {{std::string(answer)}};
    return text::cut_at_markers(std::string(answer), parser()->markers());
  }

  FoldedAnswer parse(const std::vector<Piece>& pieces, AnswerEnd end = AnswerEnd::whole) const {
    const FoldedAnswer answer = text::parse_in_pieces(*parser(), pieces, end);
    if (!answer.problem.empty()) fail(answer.problem, described(answer));
    return answer;
  }

  void expect_same(const std::vector<Piece>& pieces, const FoldedAnswer& whole) const {
    const FoldedAnswer answer = parse(pieces);
    if (!(answer == whole))
      fail("the split changes the answer", described(whole) + "\nin pieces:\n" + described(answer));
  }

  /// Without the last `count` pieces.
  void expect_beginning(std::vector<Piece> pieces, std::size_t count,
                        const FoldedAnswer& whole) const {
    pieces.resize(pieces.size() - std::min(count, pieces.size()));
    const FoldedAnswer cut = parse(pieces, AnswerEnd::cut);
    if (!text::begins(cut, whole))
      fail("a cut answer says something else", described(whole) + "\ncut:\n" + described(cut));
  }

 private:
  static OutputFormat choose(Input& input) {
    const auto tool_parsers = OutputFormat::tool_parsers();
    const auto reasoning_parsers = OutputFormat::reasoning_parsers();
    const auto& calls = tool_parsers[index_of(input.word(), tool_parsers)];
    const auto& reasoning = reasoning_parsers[index_of(input.word(), reasoning_parsers)];
    return OutputFormat::choose(calls, reasoning, "", "");
  }

  static const std::string& tools() {
    static const std::string text =
        read_text(PIPPIN_SOURCE_DIR "/src/text/testdata/transcripts/tools.json");
    return text;
  }

  static std::string described(const FoldedAnswer& answer) {
    std::ostringstream out;
    out << answer;
    return out.str();
  }

  std::unique_ptr<text::OutputParser> parser() const { return format_.parser(prompt_, tools_); }

  const OutputFormat format_;
  std::string prompt_, tools_;
  bool marks_are_tokens_ = false;
};

void run(Input input) {
  std::minstd_rand random(hash_of(input.line));
  const Subject subject(input);
  if (!subject.parses()) return;
  const auto pieces = subject.cut(input.rest);
  const FoldedAnswer whole = subject.parse(pieces);
  subject.expect_same(text::split_everywhere(pieces), whole);
  auto split = pieces;
  for (int i = 0; i < 4; ++i) {
    split = text::split_at(split, 1 + random() % (input.rest.size() + 1));
    subject.expect_same(split, whole);
  }
  const auto bytes = text::split_everywhere(pieces);
  for (int i = 0; i < 4; ++i) subject.expect_beginning(bytes, random() % (bytes.size() + 1), whole);
}

}  // namespace
}  // namespace pippin::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pippin::fuzz::run({data, size});
  return 0;
}
