// GGUF files: metadata and the table of tensors, as config, tokenizer and blocks.
#include <unistd.h>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "fuzzing.h"
#include "gguf/blocks.h"
#include "gguf/file.h"
#include "gguf/model_files.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pippin;
  if (size == 0) return 0;  // an empty file is refused as a missing one is
  static const auto path =
      std::filesystem::temp_directory_path() / ("fuzz_" + std::to_string(::getpid()) + ".gguf");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  fuzz::refused_only_with({Code::invalid_argument}, [] {
    const gguf::File file(path);
    for (const auto& tensor : file.tensors()) {
      std::size_t values = 1;
      for (const int n : tensor.shape) values *= static_cast<std::size_t>(n);
      fuzz::require(file.floats(tensor).size() == values, "missing values", tensor.name);
    }
  });
  for (const char* name :
       {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"})
    fuzz::refused_only_with({Code::invalid_argument}, [&] { gguf::model_file(path, name); });
  return 0;
}
