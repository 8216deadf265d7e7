// The patterns that cut texts before byte-level BPE.
#pragma once

#include <string>

namespace pippin::vocabulary {

/// What a split of a byte-level tokenizer is.
struct Split {
  std::string name;
  std::string pattern;
  bool nfc = false;          ///< texts are normalized (NFC) first
  bool whole_first = false;  ///< a piece that is a token stays one, whatever the merges say
  bool bos = false;          ///< texts begin with BOS where the file doesn't say
};

/// By the names of GGUF's metadata. Null where the name is not known.
const Split* find_split(const std::string& name);

/// Those names, separated by commas.
std::string split_names();

}  // namespace pippin::vocabulary
