// Answers put together from a parser's events, and cut to pieces for it. For tests and fuzzing only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "pippin/error.h"
#include "text/parsers/input.h"
#include "text/parsers/parser.h"

namespace pippin::text {

struct FoldedCall {
  std::string name, id, arguments;
  bool complete = false;
  /// But for the id, which may be random.
  bool operator==(const FoldedCall& other) const {
    return name == other.name && arguments == other.arguments && complete == other.complete;
  }
};

/// An answer folded from its events.
struct FoldedAnswer {
  std::string content, reasoning;
  std::vector<FoldedCall> calls;
  std::string problem;  ///< what is wrong with the events or their order; empty: nothing

  bool operator==(const FoldedAnswer&) const = default;

  void add(const OutputEvents& events) {
    for (const auto& event : events) add(event);
  }

  void add(const OutputEvent& event) {
    using Kind = OutputEvent::Kind;
    if (event.kind == Kind::text || event.kind == Kind::reasoning) {
      expect(!event.text.empty(), "an event that says nothing");
      (event.kind == Kind::text ? content : reasoning) += event.text;
    } else if (event.kind == Kind::call_begin) {
      expect(!event.text.empty(), "a call of no tool");
      expect(event.call == static_cast<int>(calls.size()), "a call with another's number");
      calls.push_back({event.text, event.id, "", false});
    } else if (calls.empty() || event.call != static_cast<int>(calls.size()) - 1) {
      expect(false, "more of a call that is not the last");
    } else {
      expect(!calls.back().complete, "more of a call that has ended");
      calls.back().arguments += event.text;
      calls.back().complete = event.kind == Kind::call_end;
    }
  }

  /// After the last event.
  void check_arguments() {
    for (const auto& call : calls)
      expect(!call.complete || is_object(call.arguments), "arguments that are no JSON object");
  }

 private:
  void expect(bool holds, const char* otherwise) {
    if (!holds && problem.empty()) problem = otherwise;
  }

  static bool is_object(const std::string& text) {
    try {
      return parse_json(text, "arguments").is_object();
    } catch (const Error&) {
      return false;
    }
  }
};

inline std::ostream& operator<<(std::ostream& out, const FoldedAnswer& answer) {
  out << "content <" << answer.content << ">, reasoning <" << answer.reasoning << ">";
  for (const auto& call : answer.calls)
    out << ", " << call.name << (call.complete ? " " : " (cut) ") << call.arguments;
  return out;
}

/// Whether a cut answer says the beginning of what the whole one does. White space at a text's end is markup's or the text's own as
/// what follows it tells.
inline bool begins(const FoldedAnswer& cut, const FoldedAnswer& whole) {
  const auto begins_text = [](std::string_view text, std::string_view all) {
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return all.starts_with(text);
  };
  const auto begins_call = [](const FoldedCall& call, const FoldedCall& all) {
    return call.name == all.name && all.arguments.starts_with(call.arguments) &&
           call.complete <= all.complete;
  };
  return begins_text(cut.reasoning, whole.reasoning) && begins_text(cut.content, whole.content) &&
         cut.calls.size() <= whole.calls.size() &&
         std::equal(cut.calls.begin(), cut.calls.end(), whole.calls.begin(), begins_call);
}

/// A piece of an answer: text, or a special token.
struct Piece {
  std::string text;
  bool marker = false;
};

/// Cut at every spelling of a marker, as a tokenizer does whose special tokens these are.
inline std::vector<Piece> cut_at_markers(const std::string& text,
                                         const std::vector<std::string_view>& markers) {
  std::vector<Piece> pieces{{}};
  for (std::size_t at = 0; at < text.size();) {
    const auto found = std::find_if(markers.begin(), markers.end(), [&](std::string_view marker) {
      return std::string_view(text).substr(at).starts_with(marker);
    });
    if (found == markers.end()) {
      pieces.back().text += text[at++];
      continue;
    }
    pieces.push_back({std::string(*found), true});
    pieces.push_back({});
    at += found->size();
  }
  return pieces;
}

/// Texts cut after `size` bytes of the whole, special tokens left whole.
inline std::vector<Piece> split_at(const std::vector<Piece>& pieces, std::size_t size) {
  std::vector<Piece> out;
  for (const auto& piece : pieces) {
    if (!piece.marker && size > 0 && size < piece.text.size()) {
      out.push_back({piece.text.substr(0, size)});
      out.push_back({piece.text.substr(size)});
    } else {
      out.push_back(piece);
    }
    size -= std::min(size, piece.text.size());
  }
  return out;
}

inline std::vector<Piece> split_everywhere(const std::vector<Piece>& pieces) {
  std::vector<Piece> out;
  for (const auto& piece : pieces) {
    if (piece.marker)
      out.push_back(piece);
    else
      for (const char c : piece.text) out.push_back({std::string(1, c)});
  }
  return out;
}

/// What `parser` makes of an answer in pieces.
inline FoldedAnswer parse_in_pieces(OutputParser& parser, const std::vector<Piece>& pieces,
                                    AnswerEnd end = AnswerEnd::whole) {
  FoldedAnswer answer;
  for (const auto& piece : pieces)
    answer.add(piece.marker ? parser.feed_marker(piece.text) : parser.feed(piece.text));
  answer.add(parser.finish(end));
  answer.check_arguments();
  return answer;
}

}  // namespace pippin::text
