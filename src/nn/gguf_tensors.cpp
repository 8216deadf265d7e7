#include "nn/gguf_tensors.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "gguf/architecture.h"
#include "pippin/error.h"

namespace pippin::nn {
namespace {

bool is_quantized(const gguf::Tensor& tensor) {
  return gguf::quantization_of(tensor.format->type).bits > 0;
}

mx::Dtype plain_dtype(gguf::TensorType type) {
  if (type == gguf::TensorType::f16) return mx::float16;
  return type == gguf::TensorType::bf16 ? mx::bfloat16 : mx::float32;
}

mx::Shape shape_of(const gguf::Tensor& tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

// Products of scales that float16 holds; a bias is up to 128 times its scale.
bool fit_half(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::abs(x) <= 65504.0f; });
}

template <class T>
mx::array array_of(const std::vector<T>& values, const mx::Shape& shape, mx::Dtype dtype) {
  return mx::array(values.begin(), shape, dtype);
}

[[noreturn]] void throw_invalid(const std::filesystem::path& file, const gguf::Tensor& tensor,
                                const std::string& why) {
  throw Error(Code::invalid_argument,
              "[gguf] " + file.string() + " has tensor '" + tensor.name + "' " + why);
}

// Along the axis, `units` of x stand for `numbers` of the tensor's.
mx::array in_order(const mx::array& x, const gguf::Reorder& order, int numbers, int units) {
  const auto scaled = [&](int count) { return count / numbers * units; };
  std::vector<std::int32_t> sources;
  for (int i = 0; i < scaled(order.kept); ++i) sources.push_back(i);
  const int size = scaled(order.size);
  for (int o = 0; o < order.outer; ++o)
    for (int i = 0; i < order.inner; ++i)
      for (int j = 0; j < size; ++j)
        sources.push_back(scaled(order.kept) + (i * order.outer + o) * size + j);
  const mx::array indices(sources.begin(), {static_cast<int>(sources.size())}, mx::int32);
  auto ordered = mx::contiguous(mx::take(x, indices, order.axis));
  ordered.eval();
  return ordered;
}

}  // namespace

GgufTensors::GgufTensors(gguf::File file, const gguf::Placements& placements, bool groups_of_16)
    : file_(std::move(file)), groups_of_16_(groups_of_16) {
  for (const auto& tensor : file_.tensors()) {
    auto placement = placements.of(tensor.name);
    if (!placement.name.empty()) add(tensor, std::move(placement));
  }
}

void GgufTensors::add(const gguf::Tensor& tensor, gguf::Placement placement) {
  auto shape = shape_of(tensor);
  if (const auto& order = placement.order) {
    const auto axis = static_cast<int>(shape.size()) + order->axis;
    if (axis < 0 || shape[static_cast<std::size_t>(axis)] !=
                        order->kept + order->outer * order->inner * order->size)
      throw_invalid(path(), tensor, "whose shape does not fit the heads that the metadata tells");
  }
  const auto q = gguf::quantization_of(tensor.format->type);
  if (q.bits > 0 && (q.group != 16 || groups_of_16_)) return add_quantized(tensor, placement);
  if (placement.axis_behind) shape.push_back(1);
  const auto dtype = q.bits > 0 ? mx::float32 : plain_dtype(tensor.format->type);
  const auto name = placement.name;
  add_entry(name, {&tensor, Part::whole, dtype, shape, std::move(placement)});
}

void GgufTensors::add_quantized(const gguf::Tensor& tensor, const gguf::Placement& placement) {
  const auto q = gguf::quantization_of(tensor.format->type);
  const auto& name = placement.name;
  const auto& order = placement.order;
  if (tensor.shape.size() < 2 || !name.ends_with(".weight") || placement.axis_behind ||
      placement.less_one)
    throw_invalid(path(), tensor,
                  std::string("in ") + tensor.format->name + ", which is for matrices");
  if (order && order->axis == -1 && (order->size % q.group != 0 || order->kept % q.group != 0))
    throw_invalid(path(), tensor,
                  "whose groups of numbers are cut by heads, which is not supported");
  auto words = shape_of(tensor), groups = words;
  words.back() = words.back() / 32 * q.bits;
  groups.back() /= q.group;
  const auto module = name.substr(0, name.rfind('.'));
  add_entry(name, {&tensor, Part::words, mx::uint32, words, placement});
  add_entry(module + ".scales",
            {&tensor, Part::scales, q.mxfp4 ? mx::uint8 : mx::float32, groups, placement});
  if (!q.mxfp4)
    add_entry(module + ".biases", {&tensor, Part::biases, mx::float32, groups, placement});
}

void GgufTensors::add_entry(const std::string& name, Entry entry) {
  const auto& tensor = *entry.source;
  if (!entries_.emplace(name, std::move(entry)).second)
    throw_invalid(path(), tensor, "for '" + name + "', which another is, too");
  names_.push_back(name);
}

std::size_t GgufTensors::tensor_bytes(const std::string& name) const {
  const auto& entry = entries_.at(name);
  const bool half = gguf::quantization_of(entry.source->format->type).half_scales;
  std::size_t bytes = half && (entry.part == Part::scales || entry.part == Part::biases)
                          ? 2
                          : mx::size_of(entry.dtype);
  for (const int n : entry.shape) bytes *= static_cast<std::size_t>(n);
  return bytes;
}

const gguf::Quantized& GgufTensors::quantized(const gguf::Tensor& tensor) const {
  if (last_.source != &tensor) {
    last_ = {&tensor, gguf::requantized(*tensor.format, file_.bytes(tensor)), 0};
    file_.mapping()->drop(tensor.offset, tensor.bytes);
  }
  ++last_.parts_taken;
  return last_.quantized;
}

mx::array GgufTensors::plain(const Entry& entry) const {
  const auto& tensor = *entry.source;
  const auto& place = entry.placement;
  if (is_quantized(tensor)) return array_of(file_.floats(tensor), shape_of(tensor), mx::float32);
  auto* data = const_cast<std::uint8_t*>(file_.bytes(tensor).data());  // as SafetensorsFile::tensor
  mx::array x(data, shape_of(tensor), entry.dtype,
              [mapping = file_.mapping(), offset = tensor.offset, size = tensor.bytes](void*) {
                mapping->drop(offset, size);
              });
  if (!place.less_one && !place.log_of_minus) return x;
  x = mx::astype(x, mx::float32);
  x = place.less_one ? x - mx::array(1.0f) : mx::log(mx::negative(x));
  x.eval();
  return x;
}

mx::array GgufTensors::quantized_part(const Entry& entry) const {
  const auto& q = quantized(*entry.source);
  const bool mxfp4 = q.scales.empty();
  auto taken = [&] {
    if (entry.part == Part::words) return array_of(q.words, entry.shape, mx::uint32);
    if (mxfp4) return array_of(q.byte_scales, entry.shape, mx::uint8);
    const bool half = gguf::quantization_of(entry.source->format->type).half_scales &&
                      fit_half(q.scales) && fit_half(q.biases);
    return array_of(entry.part == Part::scales ? q.scales : q.biases, entry.shape,
                    half ? mx::float16 : mx::float32);
  }();
  if (last_.parts_taken == (mxfp4 ? 2 : 3)) last_ = {};
  return taken;
}

mx::array GgufTensors::tensor(const std::string& name) const {
  const auto& entry = entries_.at(name);
  auto x = entry.part == Part::whole ? plain(entry) : quantized_part(entry);
  if (const auto& order = entry.placement.order) {
    const auto q = gguf::quantization_of(entry.source->format->type);
    const bool packed = entry.part != Part::whole && order->axis == -1;
    const int units = entry.part == Part::words ? q.group * q.bits / 32 : 1;
    x = in_order(x, *order, packed ? q.group : 1, packed ? units : 1);
  }
  return x.shape() == entry.shape ? x : mx::reshape(x, entry.shape);
}

}  // namespace pippin::nn
