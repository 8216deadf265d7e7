#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <memory>
#include <utility>

#include "main/answer_printer.h"
#include "main/commands.h"
#include "main/load.h"
#include "main/model_source.h"
#include "main/question.h"
#include "pippin/engine.h"
#include "pippin/error.h"

namespace pippin {
namespace {

std::string read_prompt(const RunCommand& command) {
  if (!command.prompt.empty()) return command.prompt;
  if (isatty(STDIN_FILENO) == 1) std::cerr << "Type the prompt, and Ctrl-D at its end.\n";
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  while (text.ends_with('\n')) text.pop_back();
  if (text.empty())
    throw Error(Code::invalid_argument, "the prompt is empty: pippin run MODEL \"prompt\"");
  return text;
}

ChatRequest build_request(const RunCommand& command, const std::filesystem::path& model_dir) {
  ChatRequest request;
  if (!command.system.empty())
    request.messages.push_back({"system", {{command.system, nullptr}}, ""});
  Message user{"user", {}, ""};
  for (const std::string& image : command.images) user.content.push_back(load_picture(image));
  for (const std::string& video : command.videos)
    user.content.push_back(load_clip(video, model_dir));
  user.content.push_back({read_prompt(command), nullptr});
  request.messages.push_back(std::move(user));
  request.sampling = sampling_of(command, model_dir);
  request.stop = command.stop;
  return request;
}

}  // namespace

int run(const RunCommand& command, const std::filesystem::path& program) {
  const ModelSource source = get_model(command.model, program, command.engine, command.offline);
  ChatRequest request =
      build_request(command, source.dir);  // before the load: a mistyped file is told at once
  const std::unique_ptr<Engine> engine = load_for_answers(source, command);
  const auto begun = std::chrono::steady_clock::now();
  const auto stream = engine->chat(std::move(request));
  AnswerPrinter printer({std::cout, isatty(STDOUT_FILENO) == 1},
                        {std::cerr, isatty(STDERR_FILENO) == 1});
  while (const auto event = stream->next()) printer.print(*event);
  printer.finish();
  if (command.stats) std::cerr << printer.stats(begun) << std::endl;
  return EXIT_SUCCESS;
}

}  // namespace pippin
