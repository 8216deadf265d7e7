// Oracle: transcripts of every family whose content is known (tools/transcripts), and for any text and any split the parse at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <random>

#include "base/files.h"
#include "base/json.h"
#include "base/sanitized.h"
#include "text/parsers/registry.h"
#include "text/parsers/testing.h"
#include "text/parsers/tools.h"
#include "text/test_files.h"
#include "text/transcripts_testing.h"

namespace pippin::text {
namespace {

// Sanitized builds take every so manyth place of a transcript.
constexpr std::size_t stride = rounds(1, 11);

class Subject {
 public:
  Subject(const OutputFormat& format, std::string prompt, const std::string& tools_json)
      : format_(format),
        prompt_(std::move(prompt)),
        tools_(std::make_shared<const Tools>(tools_json)) {}

  std::unique_ptr<OutputParser> parser() const { return format_.parser(prompt_, tools_); }

  FoldedAnswer parse(const std::vector<Piece>& pieces, AnswerEnd end = AnswerEnd::whole) const {
    auto answer = parse_in_pieces(*parser(), pieces, end);
    EXPECT_EQ(answer.problem, "");
    return answer;
  }

  std::vector<Piece> cut(const std::string& text) const {
    return cut_at_markers(text, parser()->markers());
  }

 private:
  const OutputFormat& format_;
  const std::string prompt_;
  const std::shared_ptr<const Tools> tools_;
};

json::object read_transcripts(const std::string& family) {
  return read_json_object(testdata("transcripts/" + family + ".json"));
}

std::string tools_json() { return read_text(testdata("transcripts/tools.json")); }

OutputFormat format_of(const json::object& file) {
  return OutputFormat::choose(json::value_to<std::string>(file.at("tool_parser")),
                              json::value_to<std::string>(file.at("reasoning_parser")), "", "");
}

std::string text_in(const json::object& object, std::string_view key) {
  const auto* member = object.if_contains(key);
  return member ? json::value_to<std::string>(*member) : "";
}

void expect_transcript(const FoldedAnswer& answer, const json::object& transcript) {
  EXPECT_EQ(answer.content, text_in(transcript, "content"));
  EXPECT_EQ(answer.reasoning, text_in(transcript, "reasoning"));
  const auto& calls = transcript.at("calls").as_array();
  ASSERT_EQ(answer.calls.size(), calls.size()) << answer;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto& call = calls[i].as_object();
    EXPECT_EQ(answer.calls[i].name, text_in(call, "name"));
    EXPECT_EQ(answer.calls[i].complete, !call.contains("cut")) << answer;
    if (call.contains("cut")) {
      EXPECT_EQ(answer.calls[i].arguments, text_in(call, "cut"));
    } else if (answer.calls[i].complete) {
      EXPECT_EQ(parse_json(answer.calls[i].arguments, "arguments"), call.at("arguments")) << answer;
    }
    if (const auto* ids = transcript.if_contains("ids")) {
      EXPECT_EQ(answer.calls[i].id, json::value_to<std::string>(ids->at(i)));
    }
  }
}

class Family : public testing::TestWithParam<std::string> {
 protected:
  const json::object file_ = read_transcripts(GetParam());
  const OutputFormat format_ = format_of(file_);
  const std::string tools_ = tools_json();

  Subject subject(const json::object& transcript) const {
    const auto* offered = transcript.if_contains("tools");
    return {format_, text_in(transcript, "prompt"), offered ? "" : tools_};
  }
  /// Harmony knows its marks only as special tokens.
  bool reads_text() const { return format_.tool_parser() != "harmony"; }
};

TEST_P(Family, ReadsItsTranscripts) {
  const auto& transcripts = file_.at("transcripts").as_array();
  EXPECT_GE(transcripts.size(), 30u);
  for (const auto& value : transcripts) {
    const auto& transcript = value.as_object();
    SCOPED_TRACE(text_in(transcript, "name") + ": " + text_in(transcript, "output"));
    const auto subject = this->subject(transcript);
    const auto output = text_in(transcript, "output");
    expect_transcript(subject.parse(subject.cut(output)), transcript);
    if (reads_text()) expect_transcript(subject.parse({{output}}), transcript);
  }
}

TEST_P(Family, ReadsTheSameHoweverItIsSplit) {
  for (const auto& value : file_.at("transcripts").as_array()) {
    const auto& transcript = value.as_object();
    const auto subject = this->subject(transcript);
    const auto output = text_in(transcript, "output");
    SCOPED_TRACE(output);
    for (const auto& pieces : {subject.cut(output), std::vector<Piece>{{output}}}) {
      if (pieces.size() == 1 && !reads_text()) continue;
      const auto whole = subject.parse(pieces);
      EXPECT_EQ(subject.parse(split_everywhere(pieces)), whole);
      for (std::size_t at = 1; at < output.size(); at += stride)
        ASSERT_EQ(subject.parse(split_at(pieces, at)), whole) << "split at " << at;
    }
  }
}

/// The first pieces, cut after `size` bytes; special tokens are there or not.
std::vector<Piece> beginning(const std::vector<Piece>& pieces, std::size_t size) {
  std::vector<Piece> out;
  for (const auto& piece : pieces) {
    if (piece.marker && piece.text.size() > size) break;
    out.push_back({piece.text.substr(0, size), piece.marker});
    size -= std::min(size, piece.text.size());
    if (size == 0) break;
  }
  return out;
}

// So calls that max_tokens cuts hold no markup, and nothing else says any.
TEST_P(Family, SaysTheBeginningWhereverItIsCut) {
  for (const auto& value : file_.at("transcripts").as_array()) {
    const auto& transcript = value.as_object();
    const auto subject = this->subject(transcript);
    const auto output = text_in(transcript, "output");
    SCOPED_TRACE(output);
    for (const auto& pieces : {subject.cut(output), std::vector<Piece>{{output}}}) {
      if (pieces.size() == 1 && !reads_text()) continue;
      const auto whole = subject.parse(pieces);
      for (std::size_t size = 0; size <= output.size(); size += stride) {
        const auto cut = subject.parse(beginning(pieces, size), AnswerEnd::cut);
        ASSERT_TRUE(begins(cut, whole)) << "cut at " << size << ": " << cut;
      }
    }
  }
}

// A name that never ends is given up at the same byte, and a call behind it is read or not, however it is split.
TEST_P(Family, ReadsTheSameHoweverLongANameIs) {
  for (const auto& value : file_.at("transcripts").as_array()) {
    const auto& transcript = value.as_object();
    const auto subject = this->subject(transcript);
    const auto output = text_in(transcript, "output");
    const auto name = output.find("get_weather");
    if (name == std::string::npos) continue;
    for (const std::size_t size : {250u, 300u, 1010u, 1500u}) {
      const auto text = output.substr(0, name + 1) + std::string(size, 'x') + output;
      SCOPED_TRACE(text);
      for (const auto& pieces : {subject.cut(text), std::vector<Piece>{{text}}}) {
        const auto whole = subject.parse(pieces);
        EXPECT_EQ(subject.parse(split_everywhere(pieces)), whole);
        EXPECT_EQ(subject.parse(split_at(pieces, name + size)), whole);
      }
    }
  }
}

/// A call with a long text among its arguments.
struct LongCall {
  std::string output;
  std::size_t begin;  ///< of the text in it
  std::string text;
};

/// Whether the tool's schema says that the argument is a text. Where it leaves that open some formats have to see all of it first.
bool is_declared_text(const std::string& tool, std::string_view argument) {
  static const auto tools = parse_json(tools_json(), "tools");
  for (const auto& known : tools.as_array()) {
    const auto& function = known.at("function").as_object();
    if (text_in(function, "name") != tool) continue;
    const auto* schema =
        function.at("parameters").at("properties").as_object().if_contains(argument);
    return schema && schema->is_object() && schema->as_object().contains("type") &&
           schema->at("type") == "string";
  }
  return false;
}

/// The transcript with one of its call's texts made long; nothing where it has none behind the tool's name.
std::optional<LongCall> with_long_text(const json::object& transcript) {
  const auto& calls = transcript.at("calls").as_array();
  if (calls.size() != 1 || !calls[0].as_object().contains("arguments")) return {};
  auto output = text_in(transcript, "output");
  const auto tool = text_in(calls[0].as_object(), "name");
  const auto name = output.find(tool);
  for (const auto& member : calls[0].at("arguments").as_object()) {
    const auto* value = member.value().if_string();
    if (!value || value->size() < 4 || !is_declared_text(tool, member.key())) continue;
    const std::string known(*value);
    const auto at = output.find(known);
    const bool is_plain = std::all_of(known.begin(), known.end(), [](unsigned char c) {
      return std::isalnum(c) || c == ' ' || c == '@' || c == '.';
    });
    if (!is_plain || at == std::string::npos || at < name) continue;
    if (output.find(known, at + 1) != std::string::npos) continue;
    LongCall call{"", at, known};
    while (call.text.size() < 600) call.text += " and on it goes";
    call.output = output.replace(at, known.size(), call.text);
    return call;
  }
  return {};
}

/// How many bytes of the text that was fed were not told, at most.
std::size_t longest_wait(OutputParser& parser, const std::vector<Piece>& pieces,
                         const LongCall& call) {
  FoldedAnswer answer;
  std::size_t fed = 0, longest = 0;
  for (const auto& piece : pieces) {
    answer.add(piece.marker ? parser.feed_marker(piece.text) : parser.feed(piece.text));
    fed += piece.text.size();
    if (fed <= call.begin || fed > call.begin + call.text.size()) continue;
    const auto arguments = answer.calls.empty() ? "" : answer.calls.back().arguments;
    const auto at = arguments.find(call.text.substr(0, 4));
    const auto told = at == std::string::npos ? 0 : arguments.size() - at;
    longest = std::max(longest, fed - call.begin - std::min(told, fed - call.begin));
  }
  return longest;
}

// What may be the beginning of a mark waits, and no more than that.
TEST_P(Family, StreamsArguments) {
  constexpr std::size_t longest_mark = 40;
  int num_calls = 0;
  for (const auto& value : file_.at("transcripts").as_array()) {
    const auto& transcript = value.as_object();
    const auto call = with_long_text(transcript);
    if (!call) continue;
    SCOPED_TRACE(call->output);
    const auto subject = this->subject(transcript);
    for (const auto& pieces : {subject.cut(call->output), std::vector<Piece>{{call->output}}}) {
      if (pieces.size() == 1 && !reads_text()) continue;
      EXPECT_LE(longest_wait(*subject.parser(), split_everywhere(pieces), *call), longest_mark);
    }
    ++num_calls;
  }
  EXPECT_GE(num_calls, 3);
}

/// Scraps of the family's markup in any order, with bytes between.
std::string random_mixture(const std::vector<std::string>& scraps, std::mt19937& rng) {
  std::string text;
  for (auto left = rng() % 24; left > 0; --left) {
    if (rng() % 6 == 0)
      text += static_cast<char>(rng());
    else
      text += scraps[rng() % scraps.size()];
  }
  return text;
}

/// Words, tags and punctuation of the transcripts.
std::vector<std::string> scraps_of(const json::array& transcripts,
                                   const std::vector<std::string_view>& markers) {
  std::vector<std::string> scraps(markers.begin(), markers.end());
  for (std::size_t i = 0; i < transcripts.size(); i += 3) {
    const auto output = text_in(transcripts[i].as_object(), "output");
    for (std::size_t at = 0; at < output.size();) {
      const auto end = output.find_first_of(" \n\"<>{}[]():,=", at + 1);
      scraps.push_back(output.substr(at, end - at));
      at = std::min(end, output.size());
    }
  }
  return scraps;
}

/// A transcript with some bytes gone, doubled or replaced by a scrap.
std::string mutated(std::string text, const std::vector<std::string>& scraps, std::mt19937& rng) {
  for (auto left = rng() % 4; left > 0 && !text.empty(); --left) {
    const auto at = rng() % text.size();
    const auto size = rng() % std::min<std::size_t>(text.size() - at, 1 + rng() % 20);
    const auto part = text.substr(at, size);
    text.replace(at, size,
                 std::vector{std::string(), part + part, scraps[rng() % scraps.size()]}[rng() % 3]);
  }
  return text;
}

TEST_P(Family, GivesValidEventsForAnything) {
  const Subject subject(format_, "", tools_);
  const auto& transcripts = file_.at("transcripts").as_array();
  const auto scraps = scraps_of(transcripts, subject.parser()->markers());
  std::mt19937 rng(17);
  for (int round = 0; round < rounds(1500, 150); ++round) {
    const auto& seed = transcripts[rng() % transcripts.size()].as_object();
    const auto text =
        round % 2 ? random_mixture(scraps, rng) : mutated(text_in(seed, "output"), scraps, rng);
    SCOPED_TRACE(json::serialize(json::string(text)));
    for (const auto& pieces : {subject.cut(text), std::vector<Piece>{{text}}}) {
      const auto whole = subject.parse(pieces);
      ASSERT_EQ(subject.parse(split_everywhere(pieces)), whole);
      ASSERT_EQ(subject.parse(split_at(pieces, 1 + rng() % (text.size() + 1))), whole);
      const auto size = rng() % (text.size() + 1);
      const auto cut = subject.parse(beginning(pieces, size), AnswerEnd::cut);
      ASSERT_TRUE(begins(cut, whole) || may_be_json(cut, whole))
          << "cut at " << size << ": " << cut;
    }
  }
}

// Calls that begin with a mere bracket beside reasoning whose tag does, too: no model's, but one that the flags may name.
TEST(Parsers, ABracketMayBeginReasoningOrACall) {
  const auto format = OutputFormat::choose("pythonic", "mistral", "", "");
  const Subject subject(format, "", tools_json());
  const std::string thought = "[THINK]Hm.[/THINK]", call = "[now()]";
  for (const auto& text : {thought + call, call, thought + "No.", std::string("[THIN")}) {
    const std::vector<Piece> pieces{Piece{text}};
    const auto whole = subject.parse(pieces);
    EXPECT_EQ(whole.reasoning, text.starts_with(thought) ? "Hm." : "") << text;
    EXPECT_EQ(subject.parse(split_everywhere(pieces)), whole) << text;
  }
}

// Formats whose calls begin with a mere bracket: what is cut may as well be an answer.
TEST(Parsers, ACutAnswerIsToldUnlessACallBeginsSo) {
  const auto told = [](const char* tool_parser, const std::string& text) {
    const auto format = OutputFormat::choose(tool_parser, "think", "", "");
    return Subject(format, "", tools_json()).parse({{text}}, AnswerEnd::cut).content;
  };
  for (const std::string answer : {R"({"result": "Once upon a)", R"({"name": "Alice Li)",
                                   R"({"type": "object", "properties": {)", "[\"a\", ", "[get_up"})
    EXPECT_EQ(told(answer[0] == '{' ? "llama3_json" : "pythonic", answer), answer);
  for (const std::string call :
       {R"({"name": "get_wea)", R"({ "na)", "{", R"({"parameters": {"city": "Par)",
        R"({"type": "function", "na)", "[get_wea", "["})
    EXPECT_EQ(told(call[0] == '{' ? "llama3_json" : "pythonic", call), "") << call;
}

// Else no stop string would be found in it.
TEST(Parsers, WhiteSpaceWithoutEndIsTold) {
  const auto format = OutputFormat::choose("hermes", "think", "", "");
  const auto parser = format.parser("", tools_json());
  FoldedAnswer answer;
  for (const auto* text : {"So:", "\n"}) answer.add(parser->feed(text));
  EXPECT_EQ(answer.content, "So:");
  for (int i = 0; i < 999; ++i) answer.add(parser->feed("\n"));
  EXPECT_GT(answer.content.size(), 900u);
  // Where no tools are offered no markup can follow.
  const auto without = format.parser("", "");
  FoldedAnswer all;
  for (const auto* text : {"So:", "\n"}) all.add(without->feed(text));
  EXPECT_EQ(all.content, "So:\n");
}

TEST(Parsers, EveryFormatHasTranscripts) {
  const auto known = transcript_families();
  for (const auto& name : OutputFormat::tool_parsers()) {
    if (name == "auto" || name == "none") continue;
    EXPECT_NE(std::find(known.begin(), known.end(), name), known.end()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Family, testing::ValuesIn(transcript_families()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pippin::text
