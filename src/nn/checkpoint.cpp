#include "nn/checkpoint.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "base/json.h"
#include "nn/open_tensors.h"
#include "pippin/error.h"

namespace pippin::nn {
namespace {

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[checkpoint] " + what);
}

std::string to_text(const mx::Shape& shape) {
  std::ostringstream out;
  out << '[';
  for (std::size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << shape[i];
  out << ']';
  return out.str();
}

constexpr Quantization standards[] = {{64, 0, kernels::Scheme::affine},
                                      {32, 4, kernels::Scheme::mxfp4},
                                      {16, 4, kernels::Scheme::nvfp4},
                                      {32, 8, kernels::Scheme::mxfp8}};

// What a mode's sizes are where nothing is said of them.
Quantization standard_of(const std::string& mode, const std::string& path) {
  for (const auto& q : standards)
    if (mode == kernels::name_of(q.scheme)) return q;
  throw_invalid("quantization mode '" + mode + "' of " + path +
                " is not supported; possible are affine, mxfp4, nvfp4 and mxfp8");
}

Quantization parse_quantization(const json::object& object, const std::string& path,
                                const Quantization& fallback) {
  const Members members(object, path);
  auto standard = standard_of(members.string("mode").value_or("affine"), path);
  if (standard.scheme == fallback.scheme) standard = fallback;
  return checked_quantization(members.integer_or("group_size", standard.group_size),
                              members.integer_or("bits", standard.bits), path, standard.scheme);
}

std::vector<TensorPart> parts_of(const std::string& name, const SplitFn& split) {
  return split ? split(name) : std::vector<TensorPart>();
}

std::size_t axis_of(std::size_t num_axes, const TensorPart& part) {
  return num_axes - static_cast<std::size_t>(-part.axis);
}

int extent_of(const TensorPart& part) {
  return part.blocks * ((part.end - part.begin + part.step - 1) / part.step);
}

// Whether a tensor of that shape holds the part.
bool holds(const mx::Shape& shape, const TensorPart& part) {
  if (shape.size() < static_cast<std::size_t>(-part.axis)) return false;
  const int extent = shape[axis_of(shape.size(), part)];
  return extent % part.blocks == 0 && part.end <= extent / part.blocks;
}

// A copy.
mx::array part_of(const mx::array& tensor, const TensorPart& part) {
  const auto axis = axis_of(tensor.ndim(), part);
  auto shape = tensor.shape();
  shape[axis] /= part.blocks;
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), part.blocks);
  mx::Shape begin(shape.size(), 0), end = shape, steps(shape.size(), 1);
  begin[axis + 1] = part.begin;
  end[axis + 1] = part.end;
  steps[axis + 1] = part.step;
  auto x = mx::flatten(mx::slice(mx::reshape(tensor, shape), begin, end, steps),
                       static_cast<int>(axis), static_cast<int>(axis) + 1);
  if (part.transposed) x = mx::swapaxes(x, -1, -2);
  x = mx::contiguous(x);
  x.eval();
  return x;
}

}  // namespace

Quantization checked_quantization(std::int64_t group_size, std::int64_t bits,
                                  const std::string& what, kernels::Scheme scheme) {
  const auto asked = what + " asks for " + std::to_string(bits) + " bits in groups of " +
                     std::to_string(group_size);
  const auto& standard = standards[static_cast<std::size_t>(scheme)];
  if (scheme != kernels::Scheme::affine) {
    if (group_size != standard.group_size || bits != standard.bits)
      throw_invalid(asked + "; " + kernels::name_of(scheme) + " has " +
                    std::to_string(standard.bits) + " bits in groups of " +
                    std::to_string(standard.group_size));
    return standard;
  }
  const bool bits_known = bits >= 2 && bits <= 8 && bits != 7;
  if (group_size == 16 && bits == 6) return {16, 6};  // GGUF's Q6_K
  if (!bits_known || (group_size != 32 && group_size != 64 && group_size != 128))
    throw_invalid(asked + "; possible are 2, 3, 4, 5, 6, 8 bits and groups of 32, 64, 128");
  return {static_cast<int>(group_size), static_cast<int>(bits)};
}

QuantizationConfig QuantizationConfig::from_json(const json::object& config) {
  QuantizationConfig result;
  const Members members(config);
  const auto* object = members.object("quantization");
  // MLX converters write the same object under both names; transformers' own formats only fill the
  // second.
  if (!object) object = members.object("quantization_config");
  if (!object) return result;
  if ((result.packed = packed_ints(*object))) return result;
  if (object->contains("quant_method") && !object->contains("bits")) {
    const auto method = Members(*object).string("quant_method").value_or("?");
    if (method != "mxfp4") throw_invalid("quant_method '" + method + "' is not supported");
    result.defaults = standards[1];
    return result;
  }
  result.defaults = parse_quantization(*object, "quantization", {64, 0});
  for (const auto& [key, value] : *object) {
    const std::string module(key);
    if (value.is_object())
      result.overrides[module] =
          parse_quantization(value.as_object(), "quantization." + module, *result.defaults);
    else if (value.is_bool() && !value.as_bool())
      result.overrides[module] = {};
  }
  return result;
}

std::optional<Quantization> QuantizationConfig::of(const std::string& module) const {
  const auto it = overrides.find(module);
  return it == overrides.end() ? defaults : it->second;
}

Checkpoint::Checkpoint(const std::filesystem::path& model, const QuantizationConfig& quantization,
                       const RenameFn& rename, LoadOptions options, const SplitFn& split)
    : options_(std::move(options)),
      files_(open_tensors(model, quantization.packed, options_.cpu != nullptr)) {
  add_quantization(quantization, rename, split);
  for (std::size_t file = 0; file < files_.size(); ++file)
    for (const auto& name : files_[file]->names()) {
      const auto ours = rename(name);
      if (!ours.empty()) add_tensor(name, ours, file, split);
    }
}

// The rules speak of tensors: a module is renamed, and comes apart, as its weight does.
void Checkpoint::add_quantization(const QuantizationConfig& quantization, const RenameFn& rename,
                                  const SplitFn& split) {
  quantization_.defaults = quantization.defaults;
  for (const auto& [module, q] : quantization.overrides) {
    const auto weight = rename(module + ".weight");
    if (weight.empty()) continue;
    const auto add = [&, &rule = q](const std::string& name) {
      quantization_.overrides[name.substr(0, name.rfind('.'))] = rule;
    };
    add(weight);
    for (const auto& part : parts_of(weight, split)) add(part.name);
  }
}

void Checkpoint::add_tensor(const std::string& name, const std::string& ours, std::size_t file,
                            const SplitFn& split) {
  count(name, ours, *files_[file]);
  const auto parts = parts_of(ours, split);
  if (parts.empty()) return add_source(ours, {file, name});
  for (const auto& part : parts) {
    const auto& shape = files_[file]->shape(name);
    if (!holds(shape, part))
      throw_invalid("tensor '" + name + "' has shape " + to_text(shape) +
                    ", which has no place for '" + part.name + "'");
    add_source(part.name, {file, name, part});
  }
}

void Checkpoint::add_source(const std::string& ours, Source source) {
  const auto name = source.name;
  const auto file = source.file;
  if (!tensors_.emplace(ours, std::move(source)).second)
    throw_invalid("tensor '" + name + "' occurs twice (again in " + files_[file]->path().string() +
                  ")");
}

void Checkpoint::count(const std::string& name, const std::string& ours, const TensorFile& file) {
  std::int64_t values = 1;
  for (const int n : file.shape(name)) values *= n;
  size_.bytes += static_cast<std::int64_t>(file.tensor_bytes(name));
  if (ours.ends_with(".scales") || ours.ends_with(".biases")) return;
  if (ours.ends_with(".blocks")) values *= 2;  // nibbles
  const auto module = ours.substr(0, ours.rfind('.'));
  const auto q = file.dtype(name) == mx::uint32 ? quantization(module) : std::nullopt;
  size_.num_parameters += q && q->bits ? values * 32 / q->bits : values;
}

mx::Shape Checkpoint::shape(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) throw_invalid("tensor '" + name + "' is missing");
  const auto& source = it->second;
  auto shape = files_[source.file]->shape(source.name);
  if (!source.part) return shape;
  const auto& part = *source.part;
  shape[axis_of(shape.size(), part)] = extent_of(part);
  if (part.transposed) std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return shape;
}

mx::Dtype Checkpoint::stored_dtype(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) throw_invalid("tensor '" + name + "' is missing");
  return files_[it->second.file]->dtype(it->second.name);
}

namespace {

// On NVIDIA's GPUs an array from the host lies in memory that moves to and fro, what an operation makes in the GPU's own.
mx::array in_own_memory(const mx::array& x) {
  static const bool nvidia = mx::default_device() == mx::Device::gpu &&
                             mx::device_info(mx::Device::gpu).contains("compute_capability_major");
  if (!nvidia || x.shape(0) < 2) return x;
  const auto parts = mx::split(x, mx::Shape{x.shape(0) / 2}, 0);
  return mx::concatenate(parts, 0);
}

}  // namespace

mx::array Checkpoint::take(const std::string& name, const mx::Shape& wanted) {
  auto tensor = take_stored(name, wanted);
  if (mx::issubdtype(tensor.dtype(), mx::floating)) tensor = mx::astype(tensor, options_.dtype);
  tensor = in_own_memory(tensor);
  tensor.eval();
  return tensor;
}

mx::array Checkpoint::take_stored(const std::string& name, const mx::Shape& wanted) {
  const auto found = shape(name);
  if (found != wanted)
    throw_invalid("tensor '" + name + "' has shape " + to_text(found) +
                  ", but the config asks for " + to_text(wanted));
  const auto it = tensors_.find(name);
  const auto& file = *files_[it->second.file];
  auto tensor = file.tensor(it->second.name);
  if (it->second.part) tensor = part_of(tensor, *it->second.part);
  note_taken(static_cast<std::int64_t>(it->second.part ? tensor.nbytes()
                                                       : file.tensor_bytes(it->second.name)));
  tensors_.erase(it);
  return options_.scale ? scaled(name, tensor) : tensor;
}

void Checkpoint::note_taken(std::int64_t bytes) {
  taken_bytes_ += bytes;
  if (options_.progress)
    options_.progress(static_cast<double>(taken_bytes_) / static_cast<double>(size_.bytes));
}

// A quantized weight is multiplied by way of its scales and biases.
mx::array Checkpoint::scaled(const std::string& name, const mx::array& tensor) const {
  const bool of_weight = name.ends_with(".scales") || name.ends_with(".biases");
  const auto factors =
      options_.scale(of_weight ? name.substr(0, name.rfind('.')) + ".weight" : name);
  if (factors.empty() || tensor.dtype() == mx::uint32) return tensor;
  if (!mx::issubdtype(tensor.dtype(), mx::floating))
    throw_invalid("tensor '" + name + "' has codes that cannot be multiplied");
  mx::Shape shape(tensor.ndim(), 1);
  shape.front() = static_cast<int>(factors.size());
  const auto product =
      mx::astype(tensor, mx::float32) * mx::array(factors.begin(), shape, mx::float32);
  auto x = mx::astype(product, tensor.dtype());
  x.eval();
  return x;
}

void Checkpoint::check_empty() const {
  if (tensors_.empty()) return;
  std::string names;
  int listed = 0;
  for (const auto& [name, source] : tensors_)
    if (listed++ < 5) names += (names.empty() ? "'" : ", '") + source.name + "'";
  throw_invalid(
      "left over, because the model has no place for them: " + names +
      (tensors_.size() > 5 ? " and " + std::to_string(tensors_.size() - 5) + " more" : ""));
}

}  // namespace pippin::nn
