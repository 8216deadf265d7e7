// Asks two questions about a picture; the second finds the picture, already read, in the cache.
//   describe_image MODEL_DIR picture.png
#include <pippin/engine.h>

#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: describe_image MODEL_DIR PICTURE\n";
    return 2;
  }
  const auto engine = pippin::Engine::load(argv[1]);
  const auto picture = std::make_shared<const pippin::Pixels>(pippin::load_image(argv[2]));

  for (const char* question : {"Describe the picture.", "How many objects are in the picture?"}) {
    pippin::ChatRequest request;
    request.messages.push_back({"user", {{"", picture}, {question, nullptr}}, ""});
    request.sampling.temperature = 0;

    std::cout << question << ' ';
    const auto stream = engine->chat(request);
    while (const auto event = stream->next()) {
      std::cout << event->text << std::flush;
      if (event->finish)
        std::cout << " [" << event->usage.cached_tokens << " of " << event->usage.prompt_tokens
                  << " prompt tokens cached]\n";
    }
  }
} catch (const pippin::Error& error) {
  std::cerr << "describe_image: " << error.what() << '\n';
  return 1;
}
