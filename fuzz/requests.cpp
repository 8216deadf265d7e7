// Bodies of requests, of every API: the first line is the path.
#include "fuzzing.h"
#include "json_mutator.h"
#include "request_readers.h"

using namespace pippin::fuzz;

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed) {
  return mutate_json(data, size, max_size, seed);
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  read_request(request_paths[index_of(input.word(), request_paths)], input.rest);
  return 0;
}
