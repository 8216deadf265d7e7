#include "main/completion.h"

#include <algorithm>
#include <exception>
#include <map>

#include "hub/cache.h"
#include "hub/name.h"
#include "main/model_source.h"
#include "pippin/error.h"

namespace pippin {
namespace {

constexpr const char* bash = R"sh(# bash completion of pippin: eval "$(pippin completions bash)"
_pippin() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default 2>/dev/null
    else
      COMPREPLY+=("$line")
    fi
  done < <("${COMP_WORDS[0]}" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _pippin pippin
)sh";

constexpr const char* zsh = R"sh(#compdef pippin
# zsh completion of pippin: eval "$(pippin completions zsh)"
_pippin() {
  local -a found
  local line files
  for line in "${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then files=1; elif [[ -n $line ]]; then found+=("$line"); fi
  done
  (( ${#found} )) && compadd -a found
  [[ -n $files ]] && _files
  return 0
}
if [[ ${funcstack[1]} == _pippin ]]; then _pippin "$@"; else compdef _pippin pippin; fi
)sh";

constexpr const char* fish = R"sh(# fish completion of pippin: pippin completions fish | source
function __pippin_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete -- $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c pippin -f -a '(__pippin_complete)'
)sh";

const std::map<std::string, const char*> scripts = {{"bash", bash}, {"fish", fish}, {"zsh", zsh}};

bool is_option(const std::string& word) { return word.size() > 1 && word.starts_with('-'); }

bool is_file(const std::string& value) {
  return value == "FILE" || value == "FOLDER" || value == "PATH";
}

const OptionDoc* find_option(const CommandDoc& command, const std::string& name) {
  for (const GroupDoc& group : command.groups)
    for (const OptionDoc& option : group.options)
      if (std::find(option.names.begin(), option.names.end(), name) != option.names.end())
        return &option;
  return nullptr;
}

// The option whose value the last word is; nullptr where it is none's. bash makes "=" a word of its own.
const OptionDoc* option_before(const CommandDoc& command, const std::vector<std::string>& words) {
  auto at = words.size() - 1;
  if (at > 0 && words[at - 1] == "=") --at;
  if (at == 0) return nullptr;
  const OptionDoc* option = find_option(command, words[at - 1]);
  return option && !option->value.empty() && option->value != "[TOPIC]" ? option : nullptr;
}

// How many positional arguments stand before the last word.
std::size_t num_positionals(const CommandDoc& command, const std::vector<std::string>& words) {
  std::size_t count = 0;
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    const OptionDoc* option = find_option(command, words[i]);
    if (option && !option->value.empty())
      ++i;
    else if (!is_option(words[i]))
      ++count;
  }
  return count;
}

Candidates positional(const CommandDoc& command, const std::vector<std::string>& words,
                      const ModelNames& models) {
  const auto& all = command.positionals;
  if (all.empty()) return {};
  const OptionDoc& doc = all[std::min(num_positionals(command, words), all.size() - 1)];
  if (doc.names[0] == "MODEL") return {models(), true};
  return {doc.choices, is_file(doc.names[0])};
}

Candidates all_options(const CommandDoc& command) {
  Candidates found;
  for (const GroupDoc& group : command.groups)
    for (const OptionDoc& option : group.options)
      for (const std::string& name : option.names)
        if (name.starts_with("--")) found.words.push_back(name);
  return found;
}

Candidates candidates(const CommandDoc& program, const std::vector<std::string>& words,
                      const ModelNames& models) {
  if (words.size() == 1) {
    Candidates found;
    for (const CommandDoc& doc : program.commands)
      found.words.push_back(doc.name.substr(doc.name.rfind(' ') + 1));
    if (is_option(words[0])) return all_options(program);
    return found;
  }
  const CommandDoc* command = program.find(words[0]);
  if (!command) return {};
  if (const OptionDoc* option = option_before(*command, words))
    return {option->choices, is_file(option->value)};
  return words.back().starts_with('-') ? all_options(*command)
                                       : positional(*command, words, models);
}

}  // namespace

Candidates complete(const CommandDoc& program, const std::vector<std::string>& words,
                    const ModelNames& models) {
  if (words.empty()) return {};
  Candidates found = candidates(program, words, models);
  const std::string typed = words.back() == "=" ? "" : words.back();
  std::erase_if(found.words, [&](const std::string& word) { return !word.starts_with(typed); });
  return found;
}

std::string print(const Candidates& candidates) {
  std::string out;
  for (const std::string& word : candidates.words) out += word + "\n";
  return candidates.files ? out + ":files\n" : out;
}

std::string completion_script(const std::string& shell) {
  const auto found = scripts.find(shell);
  if (found == scripts.end())
    throw Error(Code::invalid_argument, "there are completions for bash, fish and zsh");
  return found->second;
}

std::vector<std::string> known_models() {
  std::vector<std::string> names = {"demo"};
  for (const hub::ShortName& name : hub::short_names()) names.emplace_back(name.name);
  try {
    for (const hub::CachedModel& model : hub::list_models(hub_settings(true).cache))
      names.push_back(model.repo);
  } catch (
      const std::exception&) {  // a variable that can't be used: a completion says nothing of it
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace pippin
