// The few functions of CUDA's driver and run-time compiler that plans need, looked up when the program runs: one binary serves CPUs, too.
#pragma once

#include <cstddef>
#include <string>

namespace pippin::kernels::gpu {

/// Handles as cuda.h has them.
namespace cu {
using Result = int;
using Address = unsigned long long;
using Module = void*;
using Function = void*;
using Stream = void*;
using Event = void*;
using Graph = void*;
using GraphExec = void*;

struct Attribute {
  int id;
  char pad[4];
  union {
    char bytes[64];
    int number;
  } value;
};

struct LaunchConfig {
  unsigned groups[3], threads[3], dynamic_shared;
  Stream stream;
  Attribute* attributes;
  unsigned num_attributes;
};

struct Driver {
  Result (*error_name)(Result, const char**);
  Result (*load_module)(Module*, const void* image);
  Result (*get_function)(Function*, Module, const char* name);
  Result (*set_attribute)(Function, int attribute, int value);
  Result (*create_stream)(Stream*, unsigned flags);
  Result (*begin_capture)(Stream, int mode);
  Result (*end_capture)(Stream, Graph*);
  Result (*instantiate)(GraphExec*, Graph, unsigned long long flags);
  Result (*destroy_graph)(Graph);
  Result (*destroy_exec)(GraphExec);
  Result (*launch_graph)(GraphExec, Stream);
  Result (*launch)(const LaunchConfig*, Function, void** parameters, void** extra);
  Result (*allocate_host)(void**, std::size_t bytes, unsigned flags);
  Result (*to_device)(Address, const void*, std::size_t, Stream);
  Result (*to_host)(void*, Address, std::size_t, Stream);
  Result (*within_device)(Address, Address, std::size_t, Stream);
  Result (*create_event)(Event*, unsigned flags);
  Result (*record_event)(Event, Stream);
  Result (*wait_event)(Event);

  Result (*create_program)(void** program, const char* source, const char* name, int,
                           const char* const*, const char* const*);
  Result (*compile)(void* program, int count, const char* const* options);
  Result (*code_size)(void* program, std::size_t*);
  Result (*code)(void* program, char*);
  Result (*log_size)(void* program, std::size_t*);
  Result (*log)(void* program, char*);
  Result (*destroy_program)(void** program);
};
}  // namespace cu

/// Null where a function is missing: there is no CUDA in this process.
const cu::Driver* cuda_driver();

/// The compute capability of the default device: 90 is 9.0.
int cuda_capability();

/// Machine code of a program for the default device. Throws Error(internal) with the compiler's words. It is kept beside what MLX compiles
/// (MLX_PTX_CACHE_DIR), else in the temporary directory, where another start finds it.
std::string cuda_code(const cu::Driver& driver, const std::string& source);

}  // namespace pippin::kernels::gpu
