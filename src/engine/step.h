// What a step is, in numbers.
#pragma once

#include "engine/scheduler.h"
#include "pippin/step.h"

namespace pippin::engine {

/// The composition of a batch that has not been committed yet, without times.
StepRecord describe(const Batch& batch);

}  // namespace pippin::engine
