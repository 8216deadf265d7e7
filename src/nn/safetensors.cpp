#include "nn/safetensors.h"

#include <cstring>
#include <limits>
#include <utility>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::nn {
namespace {

[[noreturn]] void throw_malformed(const std::filesystem::path& file, const std::string& why) {
  throw Error(Code::invalid_argument, "[safetensors] " + file.string() + ": " + why);
}

std::optional<mx::Dtype> parse_dtype(std::string_view name) {
  static const std::pair<std::string_view, mx::Dtype> known[] = {
      {"F32", mx::float32}, {"F16", mx::float16}, {"BF16", mx::bfloat16}, {"F64", mx::float64},
      {"U8", mx::uint8},    {"U16", mx::uint16},  {"U32", mx::uint32},    {"U64", mx::uint64},
      {"I8", mx::int8},     {"I16", mx::int16},   {"I32", mx::int32},     {"I64", mx::int64},
      {"BOOL", mx::bool_}};
  for (const auto& [text, dtype] : known)
    if (text == name) return dtype;
  return {};
}

mx::Shape parse_shape(const json::array& values, const std::filesystem::path& file,
                      const std::string& name) {
  mx::Shape shape;
  for (const auto& value : values) {
    if (!value.is_int64() || value.as_int64() < 0 ||
        value.as_int64() > std::numeric_limits<int>::max())
      throw_malformed(file, "'" + name + "' has a bad shape");
    shape.push_back(static_cast<int>(value.as_int64()));
  }
  return shape;
}

// shape's product times the item size, or nullopt past 2^62.
std::optional<std::size_t> bytes_of(const mx::Shape& shape, mx::Dtype dtype) {
  std::size_t bytes = mx::size_of(dtype);
  for (const int n : shape) {
    if (n != 0 && bytes > (std::size_t{1} << 62) / static_cast<std::size_t>(n)) return {};
    bytes *= static_cast<std::size_t>(n);
  }
  return bytes;
}

std::pair<json::object, std::size_t> parse_header(std::span<const std::uint8_t> bytes,
                                                  const std::filesystem::path& file) {
  std::uint64_t size = 0;
  if (bytes.size() < sizeof size) throw_malformed(file, "shorter than a header");
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > bytes.size() - sizeof size)
    throw_malformed(file, "the header is longer than the file (truncated?)");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof size, size);
  auto value = parse_json(text, file.string());
  if (!value.is_object()) throw_malformed(file, "the header is not an object");
  return {std::move(value.as_object()), sizeof size + size};
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& file)
    : path_(file), file_(std::make_shared<MappedFile>(file)) {
  const auto [header, data_begin] = parse_header(file_->bytes(), file);
  const std::size_t data_size = file_->bytes().size() - data_begin;
  for (const auto& [key, value] : header) {
    const std::string name(key);
    if (name == "__metadata__") continue;
    if (!value.is_object()) throw_malformed(file, "'" + name + "' is not an object");
    const Members members(value.as_object(), name);
    const auto dtype = parse_dtype(members.string("dtype").value_or(""));
    const auto *shape = members.array("shape"), *range = members.array("data_offsets");
    if (!dtype) throw_malformed(file, "'" + name + "' has an unknown dtype");
    if (!shape || !range || range->size() != 2 || !(*range)[0].is_int64() ||
        !(*range)[1].is_int64())
      throw_malformed(file, "'" + name + "' lacks a shape or data_offsets");
    Entry entry{*dtype, parse_shape(*shape, file, name), 0, 0};
    const auto begin = static_cast<std::size_t>((*range)[0].as_int64());
    const auto end = static_cast<std::size_t>((*range)[1].as_int64());
    if (begin > end || end > data_size)
      throw_malformed(file, "'" + name + "' lies outside the file (truncated?)");
    if (bytes_of(entry.shape, entry.dtype) != end - begin)
      throw_malformed(file, "'" + name + "' holds other than its shape's number of bytes");
    entry.offset = data_begin + begin;
    entry.size = end - begin;
    names_.push_back(name);
    entries_.emplace(name, std::move(entry));
  }
}

mx::array SafetensorsFile::tensor(const std::string& name) const {
  const Entry& entry = entries_.at(name);
  // MLX takes a mutable pointer; the mapping is private, so even a write would stay in this
  // process.
  auto* data = const_cast<std::uint8_t*>(file_->bytes().data() + entry.offset);
  // A tensor that was packed or converted is not read again: its pages go with the last array.
  return mx::array(data, entry.shape, entry.dtype,
                   [file = file_, offset = entry.offset, size = entry.size](void*) {
                     file->drop(offset, size);
                   });
}

}  // namespace pippin::nn
