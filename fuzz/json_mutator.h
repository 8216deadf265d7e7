// Mutations of JSON documents as such: bytes changed at random are hardly ever JSON any more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pippin::fuzz {

/// A custom mutator for inputs whose first line says how the rest is read (fuzzing.h): where the rest is JSON, mostly one of
/// its values is changed, dropped, copied elsewhere, or given another name or type; else bytes change. Returns the new size.
std::size_t mutate_json(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed);

}  // namespace pippin::fuzz
