// Which of a repository's files a model needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hub/client.h"

namespace pippin::hub {

struct Plan {
  std::vector<RemoteFile>
      small;  ///< what the model is: configs, tokenizer, templates, the weights' index
  std::vector<RemoteFile> weights;  ///< safetensors, or a GGUF file or its parts in order
  bool gguf = false;  ///< the weights are GGUF, which tells all; config.json may be absent

  std::int64_t weight_bytes() const;
  std::int64_t bytes() const;
};

/// Whether a path may be made below a snapshot's folder: relative, without "..", empty parts, backslashes and control characters.
bool is_safe_path(std::string_view path);

/// Chooses. `quantization` names a GGUF file (choose_gguf); without it such a file is taken only where there are no safetensors. Throws
/// Error(invalid_argument) saying what is missing where `files` hold no model, or a needed name is unsafe.
Plan plan_files(const std::vector<RemoteFile>& files, const std::string& repo,
                const std::string& quantization = "");

/// Leaves the weights that the text of model.safetensors.index.json names. Throws Error(invalid_argument) where one is missing.
void keep_indexed(Plan& plan, const std::string& index);

/// Names of the files that an index's text names, without repetition. Throws Error(invalid_argument) where it is none.
std::vector<std::string> indexed_files(const std::string& index);

inline constexpr const char* index_name = "model.safetensors.index.json";

}  // namespace pippin::hub
