// The public Engine's own functions.
#include "pippin/engine.h"

#include <utility>

#include "engine/frontend.h"

namespace pippin {

std::unique_ptr<Engine> Engine::load(const std::filesystem::path& model_dir,
                                     const EngineOptions& options, Progress progress) {
  return std::make_unique<engine::Frontend>(model_dir, options, std::move(progress));
}

std::unique_ptr<ChatStream> Engine::chat(ChatRequest request) {
  return std::move(chat(std::move(request), 1).front());
}

}  // namespace pippin
