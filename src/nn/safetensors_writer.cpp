#include "nn/safetensors_writer.h"

#include <boost/json.hpp>

#include <stdexcept>

#include "pippin/error.h"

namespace pippin::nn {
namespace {

namespace json = boost::json;

const char* name_of(mx::Dtype dtype) {
  static const std::pair<mx::Dtype, const char*> names[] = {
      {mx::float32, "F32"}, {mx::float16, "F16"}, {mx::bfloat16, "BF16"}, {mx::uint32, "U32"},
      {mx::uint8, "U8"},    {mx::int32, "I32"},   {mx::int64, "I64"},     {mx::uint16, "U16"},
      {mx::int8, "I8"},     {mx::int16, "I16"},   {mx::bool_, "BOOL"}};
  for (const auto& [known, name] : names)
    if (known == dtype) return name;
  throw std::logic_error("a dtype that safetensors files don't get");
}

}  // namespace

std::size_t TensorPlan::bytes() const {
  std::size_t bytes = mx::size_of(dtype);
  for (const int n : shape) bytes *= static_cast<std::size_t>(n);
  return bytes;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& file,
                                     const std::vector<TensorPlan>& tensors)
    : path_(file), out_(file, std::ios::binary) {
  json::object header;
  header["__metadata__"] = {{"format", "mlx"}};
  std::size_t end = 0;
  for (const auto& tensor : tensors) {
    const auto begin = end;
    end += tensor.bytes();
    json::array shape;
    for (const int n : tensor.shape) shape.emplace_back(n);
    header[tensor.name] = {
        {"dtype", name_of(tensor.dtype)}, {"shape", shape}, {"data_offsets", {begin, end}}};
    places_[tensor.name] = {begin, end};
  }
  auto text = json::serialize(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t size = text.size();
  out_.write(reinterpret_cast<const char*>(&size), sizeof size);
  out_.write(text.data(), static_cast<std::streamsize>(text.size()));
  for (auto& [name, place] : places_) {
    place.next += sizeof size + text.size();
    place.end += sizeof size + text.size();
  }
}

void SafetensorsWriter::append(const std::string& name, const mx::array& piece) {
  auto x = mx::contiguous(piece);
  x.eval();
  auto& place = places_.at(name);
  if (x.nbytes() > place.end - place.next)
    throw std::logic_error("more bytes than were planned for tensor '" + name + "'");
  out_.seekp(static_cast<std::streamoff>(place.next));
  out_.write(x.data<char>(), static_cast<std::streamsize>(x.nbytes()));
  place.next += x.nbytes();
  if (!out_) throw Error(Code::unavailable, "cannot write " + path_.string());
}

void SafetensorsWriter::finish() {
  for (const auto& [name, place] : places_)
    if (place.next != place.end) throw std::logic_error("tensor '" + name + "' was not written");
  out_.close();
  if (!out_) throw Error(Code::unavailable, "cannot write " + path_.string());
}

}  // namespace pippin::nn
