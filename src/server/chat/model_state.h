// How a model's state is told in lists of models.
#pragma once

#include "base/json.h"
#include "server/models/pool.h"

namespace pippin::server {

/// "unloaded", "loading" or "loaded".
const char* name_of(ModelStatus::State state);

/// Adds llama.cpp's `status`, with what went wrong in the last load, and what the model takes.
void add_model_state(json::object& object, const ModelStatus& model);

}  // namespace pippin::server
