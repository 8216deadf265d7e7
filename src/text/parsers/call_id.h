// Names for calls that the model gave none.
#pragma once

#include <cstddef>
#include <string>

namespace pippin::text {

/// Random letters and digits.
std::string random_letters(std::size_t size);

/// As OpenAI's look: "call_" and 24 letters and digits.
inline std::string make_call_id() { return "call_" + random_letters(24); }

}  // namespace pippin::text
