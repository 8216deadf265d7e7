#include "text/parsers/call_id.h"

#include <cstdint>
#include <random>
#include <string_view>

namespace pippin::text {

std::string random_letters(std::size_t size) {
  constexpr std::string_view letters =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  // Seeded once a thread: the device costs a system call or more.
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    return std::mt19937_64((std::uint64_t{device()} << 32) | device());
  }();
  std::uniform_int_distribution<std::size_t> choose(0, letters.size() - 1);
  std::string text;
  while (text.size() < size) text += letters[choose(random)];
  return text;
}

}  // namespace pippin::text
