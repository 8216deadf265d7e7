// The families in words: what docs/models.md is made of, beside what the registry and the golden checkpoints tell.
#pragma once

#include <span>

namespace pippin::models {

struct CatalogueEntry {
  const char*
      model_types;  ///< separated by ", "; together with all other entries those of the registry
  const char* what;
  const char* differences;  ///< where the reference is not followed; may be empty
};

/// In the order of their first model_type.
std::span<const CatalogueEntry> catalogue();

}  // namespace pippin::models
