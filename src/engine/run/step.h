// What a step is, in numbers.
#pragma once

#include "engine/schedule/scheduler.h"
#include "pippin/step.h"

namespace pippin::engine {

/// Sets what the record says of the batch's composition.
void describe(const Batch& batch, StepRecord& record);

}  // namespace pippin::engine
