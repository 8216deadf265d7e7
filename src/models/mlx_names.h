// What mlx-lm calls the tensors of Hugging Face's checkpoints.
#pragma once

#include <boost/json/fwd.hpp>

#include <string>

namespace pippin::models {

/// Where a tensor goes.
struct MlxPlace {
  std::string name;  ///< empty: it is dropped
  int expert = -1;   ///< its place in the bank of that name; -1: it is the whole tensor
};

/// A family's names.
struct MlxNames {
  std::string experts;  ///< the module that holds experts by number; empty for none
  std::string
      router;  ///< the end of the name of the module that mlx-lm keeps in 8 bits; empty for none
  bool tied = false;  ///< an output layer beside is dropped

  MlxPlace place(const std::string& name) const;
};

/// By the config's model_type. Throws Error(invalid_argument) naming one that is not known, and those that are.
MlxNames mlx_names(const boost::json::object& config);

}  // namespace pippin::models
