// Where the rows of a step belong among the states of recurrent layers.
#pragma once

#include <cstdint>

namespace pippin::kernels {

/// Consecutive rows of one sequence, which its state passes through in order. A sequence may have several in a step,
/// one after the other.
struct StateRows {
  std::int32_t slot;  ///< the sequence's state, before and after the rows
  int first_row;      ///< of the step
  int rows;
  std::int32_t save =
      -1;  ///< slot that gets a copy of the state after the rows (a snapshot); -1: none
};

}  // namespace pippin::kernels
