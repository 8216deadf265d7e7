// GGUF files made on the spot, well-formed or not.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace pippin::gguf::testing {

/// Writes the parts of a file in order.
class Writer {
 public:
  template <class T>
  Writer& number(T value) {
    const auto at = bytes.size();
    bytes.resize(at + sizeof value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
    return *this;
  }
  Writer& text(std::string_view text) {
    number<std::uint64_t>(text.size());
    bytes.append(text);
    return *this;
  }
  Writer& header(std::uint64_t tensors, std::uint64_t values, std::uint32_t version = 3) {
    bytes += "GGUF";
    return number(version).number(tensors).number(values);
  }
  Writer& value(std::string_view key, std::string_view value) {
    return text(key).number<std::uint32_t>(8).text(value);
  }
  Writer& value(std::string_view key, std::uint32_t value) {
    return text(key).number<std::uint32_t>(4).number(value);
  }
  /// `shape` as the file has it, the innermost axis first.
  Writer& tensor(std::string_view name, const std::vector<std::uint64_t>& shape, std::uint32_t type,
                 std::uint64_t offset) {
    text(name).number(static_cast<std::uint32_t>(shape.size()));
    for (const auto size : shape) number(size);
    return number(type).number(offset);
  }
  /// Up to the alignment, then `size` bytes.
  Writer& data(std::size_t size, std::size_t alignment = 32) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment + size);
    return *this;
  }

  std::string bytes;
};

}  // namespace pippin::gguf::testing
