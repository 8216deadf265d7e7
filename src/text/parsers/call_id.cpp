#include "text/parsers/call_id.h"

#include <random>
#include <string_view>

namespace pippin::text {

std::string random_letters(std::size_t size) {
  constexpr std::string_view letters =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::random_device device;
  std::uniform_int_distribution<std::size_t> choose(0, letters.size() - 1);
  std::string text;
  while (text.size() < size) text += letters[choose(device)];
  return text;
}

}  // namespace pippin::text
