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
  std::string
      plain;  ///< the end of the name of the module that mlx-lm never quantizes; empty for none
  bool tied = false;  ///< an output layer beside is dropped
  int first_shared =
      -1;  ///< the first layer whose keys and values, which an earlier one gives, are dropped; -1: none

  MlxPlace place(const std::string& name) const;

 private:
  bool is_shared(const std::string& name) const;
};

/// By the config's model_type. Throws Error(invalid_argument) naming one that is not known, and those that are.
MlxNames mlx_names(const boost::json::object& config);

}  // namespace pippin::models
