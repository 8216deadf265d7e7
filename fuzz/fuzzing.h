// What the fuzz targets share: inputs with a line that says how they are to be read, and the end of a run whose property fails.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "pippin/error.h"

namespace pippin::fuzz {

/// Ends the program, so that libFuzzer keeps the input.
[[noreturn]] inline void fail(std::string_view what, std::string_view detail = "") {
  std::fprintf(stderr, "fuzz: %.*s\n%.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

inline void require(bool holds, std::string_view what, std::string_view detail = "") {
  if (!holds) fail(what, detail);
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// An input whose first line says how the rest is read: a path, a format's name ... Any bytes are one: names that are not
/// known stand for one that is.
struct Input {
  std::string_view line, rest;

  Input(const std::uint8_t* data, std::size_t size) {
    const std::string_view all = text_of(data, size);
    const std::size_t end = std::min(all.find('\n'), all.size());
    line = all.substr(0, end);
    rest = all.substr(std::min(end + 1, all.size()));
  }

  /// Takes the line's next word.
  std::string_view word() {
    const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    const std::string_view taken = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return taken;
  }
};

inline std::uint32_t hash_of(std::string_view text) {  // FNV-1a
  std::uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619u;
  return hash;
}

/// The one of `names` that `word` is, or else stands for.
inline std::size_t index_of(std::string_view word, std::span<const std::string> names) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == word) return i;
  return hash_of(word) % names.size();
}

/// Runs `work`, which may be refused with one of these errors and ends in no other way.
template <class Work>
void refused_only_with(std::initializer_list<Code> codes, Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    for (const Code code : codes)
      if (error.code() == code) return;
    fail("an error of another kind", error.what());
  }
}

}  // namespace pippin::fuzz

/// libFuzzer's hooks.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed);
