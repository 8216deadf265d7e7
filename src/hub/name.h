// The names by which a model of a hub is asked for.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pippin::hub {

/// A repository at a revision.
struct ModelName {
  std::string repo;               ///< "organization/name"
  std::string revision = "main";  ///< a branch, a tag or a commit
  std::string quantization = {};  ///< of a GGUF file, such as Q4_K_M; empty where none is named

  /// "organization/name", with ":QUANTIZATION" where one is named.
  std::string model() const { return quantization.empty() ? repo : repo + ":" + quantization; }
  /// The same, with "@revision" where it is not the default.
  std::string text() const { return revision == "main" ? model() : model() + "@" + revision; }
  bool operator==(const ModelName&) const = default;
};

/// What `text` names: organization/name, organization/name@revision, organization/name:QUANTIZATION (a GGUF file; the revision may follow), the same behind
/// "hf://", or a short name. nullopt where it is none of these, as a path is. Throws Error(invalid_argument) for "hf://" before what is no name.
std::optional<ModelName> parse_model_name(std::string_view text);

struct ShortName {
  const char* name;
  const char* repo;
};

/// A few well-known models, in the order of the alphabet.
std::span<const ShortName> short_names();

/// A commit's hash as git writes it: 40 lower-case hexadecimal digits.
bool is_commit(std::string_view text);

}  // namespace pippin::hub
