// The grammars of a request, compiled before it is answered.
#pragma once

#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "text/grammar.h"

namespace pippin {

/// What Engine::prepare gives: of each grammar a matcher at the answer's beginning, or why there is none. Immutable once it is given.
class Grammars {
 public:
  using Found = std::shared_ptr<const text::Matcher>;

  void add(text::Grammar grammar, Found matcher, std::exception_ptr failure) {
    compiled_.push_back({std::move(grammar), std::move(matcher), std::move(failure)});
  }

  /// Null where it is not among these; throws why it could not be compiled.
  Found find(const text::Grammar& grammar) const {
    for (const Compiled& one : compiled_) {
      if (!(one.grammar == grammar)) continue;
      if (one.failure) std::rethrow_exception(one.failure);
      return one.matcher;
    }
    return nullptr;
  }

 private:
  struct Compiled {
    text::Grammar grammar;
    Found matcher;
    std::exception_ptr failure;
  };
  std::vector<Compiled> compiled_;
};

}  // namespace pippin
