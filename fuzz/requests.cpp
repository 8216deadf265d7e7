// Bodies of requests, of every API: the first line is the path.
#include "fuzzing.h"
#include "request_readers.h"

using namespace pippin::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  read_request(request_paths[index_of(input.word(), request_paths)], input.rest);
  return 0;
}
