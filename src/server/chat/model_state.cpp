#include "server/chat/model_state.h"

#include <cmath>
#include <utility>

#include "server/schema/utf8.h"

namespace pippin::server {

const char* name_of(ModelStatus::State state) {
  switch (state) {
    case ModelStatus::State::loading:
      return "loading";
    case ModelStatus::State::loaded:
      return "loaded";
    default:
      return "unloaded";
  }
}

void add_model_state(json::object& object, const ModelStatus& model) {
  json::object status{{"value", name_of(model.state)}};
  if (!model.failure.empty()) {
    status["failed"] = true;
    status["error"] = valid_utf8(model.failure);
  }
  if (model.state == ModelStatus::State::loading)
    status["progress"] = std::round(model.progress * 1000) / 1000;
  object["status"] = std::move(status);
  object["size_bytes"] = model.info ? model.info->weight_bytes : model.model->weight_bytes;
  object["memory_bytes"] = model.bytes;
  object["pinned"] = model.model->pinned;
  object["requests"] = {{"running", model.in_use}, {"waiting", model.waiting}};
}

}  // namespace pippin::server
