#include "nn/packed_ints.h"

#include <utility>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::nn {
namespace {

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[checkpoint] " + what);
}

// Words of eight nibbles [..., n] -> their nibbles in order, uint32 [..., 8 n].
mx::array unpacked(const mx::array& words) {
  const auto shifts = mx::arange(0, 32, 4, mx::uint32);
  const auto nibbles = mx::bitwise_and(mx::right_shift(mx::expand_dims(words, -1), shifts),
                                       mx::array(15, mx::uint32));
  return mx::flatten(nibbles, -2, -1);
}

// The other way.
mx::array packed(const mx::array& nibbles) {
  auto shape = nibbles.shape();
  shape.back() /= 8;
  shape.push_back(8);
  const auto shifts = mx::arange(0, 32, 4, mx::uint32);
  return mx::astype(mx::sum(mx::left_shift(mx::reshape(nibbles, shape), shifts), -1), mx::uint32);
}

// AWQ's nibbles hold columns 0, 2, 4, 6, 1, 3, 5, 7 of eight.
mx::array in_order(const mx::array& nibbles) {
  auto shape = nibbles.shape();
  auto eights = shape;
  eights.back() /= 8;
  eights.push_back(2);
  eights.push_back(4);
  return mx::reshape(mx::swapaxes(mx::reshape(nibbles, eights), -1, -2), shape);
}

mx::array evaluated(mx::array x) {
  x = mx::contiguous(x);
  x.eval();
  return x;
}

}  // namespace

std::optional<PackedInts> packed_ints(const json::object& quantization_config) {
  const Members config(quantization_config, "quantization_config");
  const auto method = config.string("quant_method").value_or("");
  if (method != "gptq" && method != "awq") return {};
  const auto refuse = [&](const char* key, const std::string& value) {
    throw_invalid(config.path_of(key) + " = " + value + " is not supported for " + method);
  };
  PackedInts format{method == "gptq" ? PackedInts::Method::gptq : PackedInts::Method::awq};
  const auto bits = config.integer_or("bits", config.integer_or("w_bit", 4));
  if (bits != 4) refuse("bits", std::to_string(bits));
  const auto group = config.integer_or("group_size", config.integer_or("q_group_size", 128));
  if (group != -1 && group != 32 && group != 64 && group != 128)
    refuse("group_size", std::to_string(group));
  format.group = group == -1 ? 0 : static_cast<int>(group);
  if (config.boolean("desc_act").value_or(false)) refuse("desc_act", "true");
  const auto version = config.string("version").value_or("gemm");
  if (method == "awq" && version != "gemm" && version != "GEMM") refuse("version", version);
  const auto written = config.string("checkpoint_format").value_or("gptq");
  if (method == "gptq" && written != "gptq" && written != "gptq_v2")
    refuse("checkpoint_format", written);
  format.zeros_less_one = method == "gptq" && written == "gptq";
  return format;
}

PackedIntTensors::PackedIntTensors(std::vector<SafetensorsFile> files, const PackedInts& format)
    : files_(std::move(files)), format_(format) {
  for (std::size_t i = 0; i < files_.size(); ++i)
    for (const auto& name : files_[i].names())
      if (!places_.emplace(name, i).second)
        throw_invalid("tensor '" + name + "' occurs twice (again in " + files_[i].path().string() +
                      ")");
  for (const auto& [name, file] : places_) {
    const auto module = name.substr(0, name.rfind('.') + 1);
    if (name.ends_with(".qweight")) add_module(module);
    if (places_.count(module + "qweight") && (!name.ends_with(".bias") || is_idle_bias(name)))
      continue;
    entries_.emplace(name, Entry{Part::whole, files_[file].dtype(name), files_[file].shape(name)});
  }
  for (const auto& [name, entry] : entries_) names_.push_back(name);
}

mx::array PackedIntTensors::stored(const std::string& name) const {
  return files_[places_.at(name)].tensor(name);
}

mx::Shape PackedIntTensors::stored_shape(const std::string& name) const {
  const auto place = places_.find(name);
  if (place == places_.end()) throw_invalid("tensor '" + name + "' is missing");
  return files_[place->second].shape(name);
}

// AutoGPTQ writes biases of zeros for layers that have none.
bool PackedIntTensors::is_idle_bias(const std::string& name) const {
  return !mx::any(stored(name) != mx::array(0.0f)).item<bool>();
}

void PackedIntTensors::check_shape(const std::string& name, const mx::Shape& wanted) const {
  if (stored_shape(name) != wanted)
    throw_invalid("tensor '" + name + "' has a shape that does not fit its module's qweight");
}

void PackedIntTensors::add_module(const std::string& module) {
  const auto words = stored_shape(module + "qweight");
  const auto type = files_[places_.at(module + "qweight")].dtype(module + "qweight");
  if (words.size() != 2 || (type != mx::int32 && type != mx::uint32))
    throw_invalid("tensor '" + module + "qweight' is no matrix of 32-bit words");
  const bool gptq = format_.method == PackedInts::Method::gptq;
  const int inputs = gptq ? words[0] * 8 : words[0], outputs = gptq ? words[1] : words[1] * 8;
  const int stored_group = format_.group ? format_.group : inputs;
  if (inputs % stored_group != 0 || inputs % 32 != 0 || outputs % 8 != 0)
    throw_invalid("tensor '" + module + "qweight' has " + std::to_string(inputs) +
                  " inputs, no whole groups of " + std::to_string(stored_group));
  check_shape(module + "scales", {inputs / stored_group, outputs});
  check_shape(module + "qzeros", {inputs / stored_group, outputs / 8});
  check_order(module, stored_group);
  // One group for all inputs is told as many of the largest size that divides them.
  const int group = format_.group       ? format_.group
                    : inputs % 128 == 0 ? 128
                    : inputs % 64 == 0  ? 64
                                        : 32;
  entries_.emplace(module + "weight",
                   Entry{Part::words, mx::uint32, {outputs, inputs / 8}, module, group});
  for (const auto& [name, part] :
       {std::pair("scales", Part::scales), std::pair("biases", Part::biases)})
    entries_.emplace(module + name,
                     Entry{part, mx::float32, {outputs, inputs / group}, module, group});
}

void PackedIntTensors::check_order(const std::string& module, int group) const {
  const auto name = module + "g_idx";
  if (!places_.count(name)) return;
  const auto order = stored(name);
  const auto wanted =
      mx::floor_divide(mx::arange(0, static_cast<int>(order.size()), mx::int32), mx::array(group));
  if (!mx::array_equal(mx::astype(order, mx::int32), wanted).item<bool>())
    throw_invalid("tensor '" + name +
                  "' puts the inputs in another order (desc_act), which is not supported");
}

// float32 [K / group of the file, N].
mx::array PackedIntTensors::zeros(const Entry& entry) const {
  auto nibbles = unpacked(mx::view(stored(entry.module + "qzeros"), mx::uint32));
  if (format_.method == PackedInts::Method::awq) nibbles = in_order(nibbles);
  const auto zeros = mx::astype(nibbles, mx::float32);
  return format_.zeros_less_one ? zeros + mx::array(1.0f) : zeros;
}

mx::array PackedIntTensors::tensor(const std::string& name) const {
  const auto& entry = entries_.at(name);
  if (entry.part == Part::whole) return stored(name);
  if (entry.part == Part::words) {
    const auto words = mx::view(stored(entry.module + "qweight"), mx::uint32);
    if (format_.method == PackedInts::Method::gptq) return evaluated(mx::transpose(words));
    return evaluated(packed(mx::transpose(in_order(unpacked(words)))));
  }
  const auto half = stored(entry.module + "scales");
  const auto scales = mx::astype(half, mx::float32), biases = -(scales * zeros(entry));
  const auto rounded = mx::astype(biases, half.dtype());
  const bool fits = mx::array_equal(mx::astype(rounded, mx::float32), biases).item<bool>();
  auto values = entry.part == Part::scales ? (fits ? half : scales) : (fits ? rounded : biases);
  values = mx::transpose(values);
  if (values.shape(1) != entry.shape[1]) values = mx::repeat(values, entry.shape[1], 1);
  return evaluated(values);
}

std::size_t PackedIntTensors::tensor_bytes(const std::string& name) const {
  const auto& entry = entries_.at(name);
  std::size_t bytes = mx::size_of(entry.dtype);
  for (const int n : entry.shape) bytes *= static_cast<std::size_t>(n);
  return bytes;
}

}  // namespace pippin::nn
