// Asks a model a question and prints the answer as it is generated.
//   generate MODEL_DIR "question"
#include <pippin/engine.h>

#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: generate MODEL_DIR \"question\"\n";
    return 2;
  }
  const auto engine = pippin::Engine::load(argv[1]);

  pippin::ChatRequest request;
  request.messages.push_back({"user", {{argv[2], nullptr}}, ""});
  request.sampling.temperature = 0;
  request.stop.max_tokens = 200;

  const auto stream = engine->chat(request);
  while (const auto event = stream->next()) {
    std::cout << event->text << std::flush;
    if (event->finish) std::cerr << "\n[" << event->usage.completion_tokens << " tokens]\n";
  }
} catch (const pippin::Error& error) {
  std::cerr << "generate: " << error.what() << '\n';
  return 1;
}
