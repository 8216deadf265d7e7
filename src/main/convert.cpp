#include "models/convert.h"

#include <cstdlib>

#include "main/commands.h"
#include "main/load.h"
#include "main/model_dir.h"

namespace pippin {

int convert(const ConvertCommand& command, const std::filesystem::path& program) {
  const auto source = find_model(command.source, program);
  auto options = command.options;
  const auto progress = show_progress("Converting " + source.filename().string());
  options.progress = [&](double fraction) { progress(fraction); };
  models::convert(source, command.destination, options);
  return EXIT_SUCCESS;
}

}  // namespace pippin
