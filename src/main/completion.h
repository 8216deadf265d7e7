// Completion of command lines in a shell: the shell asks the program (`pippin __complete -- WORDS`), so that no script knows an option.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "main/command_docs.h"

namespace pippin {

/// What may stand in the place of a word.
struct Candidates {
  std::vector<std::string> words;
  bool files = false;  ///< names of files and folders, too
};

/// Names of models that can be asked for; called only where one may stand.
using ModelNames = std::function<std::vector<std::string>()>;

/// `words`: what stands behind the program's name, the last one being typed (it may be empty).
Candidates complete(const CommandDoc& program, const std::vector<std::string>& words,
                    const ModelNames& models);

/// As the scripts read it: a candidate a line, and ":files" where file names may stand.
std::string print(const Candidates& candidates);

/// The script for a shell: bash, zsh or fish. Throws Error(invalid_argument) for another.
std::string completion_script(const std::string& shell);

/// Names of models in the cache, short names, and the built-in model's. Never throws.
std::vector<std::string> known_models();

}  // namespace pippin
