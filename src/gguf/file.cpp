#include "gguf/file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "gguf/blocks.h"
#include "pippin/error.h"

namespace pippin::gguf {
namespace {

// The types of metadata values.
enum : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean_type,
  string_type,
  list_type,
  u64,
  i64,
  f64
};

constexpr BlockFormat formats[] = {
    {TensorType::f32, "F32", 1, 4},       {TensorType::f16, "F16", 1, 2},
    {TensorType::q4_0, "Q4_0", 32, 18},   {TensorType::q4_1, "Q4_1", 32, 20},
    {TensorType::q5_0, "Q5_0", 32, 22},   {TensorType::q5_1, "Q5_1", 32, 24},
    {TensorType::q8_0, "Q8_0", 32, 34},   {TensorType::q4_k, "Q4_K", 256, 144},
    {TensorType::q5_k, "Q5_K", 256, 176}, {TensorType::q6_k, "Q6_K", 256, 210},
    {TensorType::bf16, "BF16", 1, 2},     {TensorType::mxfp4, "MXFP4", 32, 17}};

std::string known_formats() {
  std::string names;
  for (const auto& format : formats)
    names += (names.empty() ? "" : ", ") + std::string(format.name);
  return names;
}

std::size_t size_of(std::uint32_t type) {
  constexpr std::size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < std::size(sizes) ? sizes[type] : 0;
}

template <class T>
T read_as(const std::uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// Any of the number types; a u64 beyond int64 is none that a model has.
double number_at(std::uint32_t type, const std::uint8_t* p) {
  switch (type) {
    case u8:
    case boolean_type:
      return *p;
    case i8:
      return read_as<std::int8_t>(p);
    case u16:
      return read_as<std::uint16_t>(p);
    case i16:
      return read_as<std::int16_t>(p);
    case u32:
      return read_as<std::uint32_t>(p);
    case i32:
      return read_as<std::int32_t>(p);
    case f32:
      return static_cast<double>(read_as<float>(p));
    case u64:
      return static_cast<double>(read_as<std::uint64_t>(p));
    case i64:
      return static_cast<double>(read_as<std::int64_t>(p));
    default:
      return read_as<double>(p);
  }
}

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[gguf] " + what);
}

[[noreturn]] void throw_type(const std::string& key, const char* wanted) {
  throw_invalid("metadata '" + key + "' is not " + wanted);
}

// Beyond 2^53 doubles skip integers; no count or id of a model is there.
std::int64_t as_integer(double number, const std::string& key) {
  if (!(std::abs(number) <= 9007199254740992.0) ||
      number != static_cast<double>(static_cast<std::int64_t>(number)))
    throw_type(key, "an integer of use");
  return static_cast<std::int64_t>(number);
}

}  // namespace

const BlockFormat* block_format(std::uint32_t type) {
  for (const auto& format : formats)
    if (static_cast<std::uint32_t>(format.type) == type) return &format;
  return nullptr;
}

// Reads forward, never beyond the end.
class HeaderReader {
 public:
  HeaderReader(std::shared_ptr<const MappedFile> file, const std::filesystem::path& path)
      : bytes_(file->bytes()), path_(path.string()) {
    metadata_.file_ = std::move(file);
  }

  void read() {
    const auto magic = take(4, "the magic number");
    if (std::memcmp(magic.data(), "GGUF", 4) != 0) fail("is no GGUF file");
    const auto version = number<std::uint32_t>("the version");
    if (version != 2 && version != 3)
      fail("has version " + std::to_string(version) + "; known are 2 and 3, little-endian");
    const auto tensors = number<std::uint64_t>("the number of tensors");
    const auto values = number<std::uint64_t>("the number of metadata values");
    for (std::uint64_t i = 0; i < values; ++i) read_value();
    for (std::uint64_t i = 0; i < tensors; ++i) read_tensor();
    place_tensors();
  }

  Metadata metadata_;
  std::vector<Tensor> tensors_;

 private:
  [[noreturn]] void fail(const std::string& what) const { throw_invalid(path_ + " " + what); }

  std::span<const std::uint8_t> take(std::uint64_t size, const std::string& what) {
    if (size > bytes_.size() - at_)
      fail("ends within " + what + " at byte " + std::to_string(at_) + " (truncated?)");
    const auto taken = bytes_.subspan(at_, size);
    at_ += size;
    return taken;
  }

  template <class T>
  T number(const std::string& what) {
    return read_as<T>(take(sizeof(T), what).data());
  }

  std::string_view string(const std::string& what) {
    const auto size = number<std::uint64_t>(what);
    const auto text = take(size, what);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  // One value of a type that is no list.
  void skip(std::uint32_t type, const std::string& what) {
    if (type == string_type)
      string(what);
    else
      take(size_of(type), what);
  }

  void read_value() {
    const std::string key(string("a metadata key"));
    const auto what = "the value of '" + key + "'";
    auto type = number<std::uint32_t>(what);
    const bool is_list = type == list_type;
    std::uint64_t count = 1;
    if (is_list) {
      type = number<std::uint32_t>(what);
      count = number<std::uint64_t>(what);
    }
    if (type != string_type && size_of(type) == 0)
      fail("has metadata '" + key + "' of type " + std::to_string(type) + ", which is not known");
    const auto begin = at_;
    if (type == string_type) {
      for (std::uint64_t i = 0; i < count; ++i) skip(type, what);
    } else {
      if (count > bytes_.size() / size_of(type)) fail("ends within " + what + " (truncated?)");
      take(count * size_of(type), what);
    }
    const Metadata::Value value{type, is_list, bytes_.subspan(begin, at_ - begin), count};
    if (!metadata_.values_.emplace(key, value).second) fail("has metadata '" + key + "' twice");
  }

  void read_tensor() {
    Tensor tensor;
    tensor.name = string("a tensor's name");
    const auto what = "tensor '" + tensor.name + "'";
    const auto axes = number<std::uint32_t>(what);
    if (axes < 1 || axes > 4) fail("has " + what + " with " + std::to_string(axes) + " axes");
    for (std::uint32_t i = 0; i < axes; ++i) {
      const auto size = number<std::uint64_t>(what);
      if (size < 1 || size > std::numeric_limits<int>::max())
        fail("has " + what + " with an axis of " + std::to_string(size));
      tensor.shape.insert(tensor.shape.begin(), static_cast<int>(size));
    }
    const auto type = number<std::uint32_t>(what);
    tensor.format = block_format(type);
    if (!tensor.format)
      fail("has " + what + " of type " + std::to_string(type) +
           ", which is not supported; these are: " + known_formats());
    if (tensor.shape.back() % tensor.format->values != 0)
      fail("has " + what + " whose rows of " + std::to_string(tensor.shape.back()) +
           " values are no whole blocks of " + tensor.format->name);
    tensor.offset = number<std::uint64_t>(what);
    tensors_.push_back(std::move(tensor));
  }

  // Offsets count from the first multiple of the alignment behind the table.
  void place_tensors() {
    const auto alignment = metadata_.integer("general.alignment").value_or(32);
    if (alignment < 1 || alignment > (1 << 20) ||
        !std::has_single_bit(static_cast<std::uint64_t>(alignment)))
      fail("has general.alignment " + std::to_string(alignment) +
           ", which is no power of two of use");
    const auto unit = static_cast<std::size_t>(alignment);
    const auto begin = (at_ + unit - 1) / unit * unit;
    for (auto& tensor : tensors_) {
      const auto what = "has tensor '" + tensor.name + "' ";
      if (tensor.offset % unit != 0) fail(what + "at an offset that is not aligned");
      tensor.bytes = static_cast<std::size_t>(tensor.format->bytes);
      auto blocks = static_cast<std::size_t>(tensor.shape.back() / tensor.format->values);
      for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
        const auto count =
            i + 1 == tensor.shape.size() ? blocks : static_cast<std::size_t>(tensor.shape[i]);
        if (tensor.bytes > bytes_.size() / count) fail(what + "beyond the file's end (truncated?)");
        tensor.bytes *= count;
      }
      if (begin > bytes_.size() || tensor.offset > bytes_.size() - begin ||
          tensor.bytes > bytes_.size() - begin - tensor.offset)
        fail(what + "beyond the file's end (truncated?)");
      tensor.offset += begin;
    }
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
  std::string path_;
};

const Metadata::Value* Metadata::find(const std::string& key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

std::vector<std::string> Metadata::keys() const {
  std::vector<std::string> all;
  for (const auto& [key, value] : values_) all.push_back(key);
  return all;
}

std::vector<double> Metadata::numbers(const std::string& key) const {
  const auto* value = find(key);
  if (!value) return {};
  if (value->type == string_type) throw_type(key, "a list of numbers");
  std::vector<double> all;
  for (std::size_t i = 0; i < value->count; ++i)
    all.push_back(number_at(value->type, value->bytes.data() + i * size_of(value->type)));
  return all;
}

std::vector<std::int64_t> Metadata::integers(const std::string& key) const {
  std::vector<std::int64_t> all;
  for (const double number : numbers(key)) all.push_back(as_integer(number, key));
  return all;
}

std::optional<double> Metadata::number(const std::string& key) const {
  const auto* value = find(key);
  if (!value) return {};
  if (value->type == string_type || value->count == 0) throw_type(key, "a number");
  const auto all = numbers(key);
  if (std::any_of(all.begin(), all.end(), [&](double x) { return x != all.front(); }))
    throw_type(key, "the same for all layers, which is not supported");
  return all.front();
}

std::optional<std::int64_t> Metadata::integer(const std::string& key) const {
  const auto found = number(key);
  return found ? std::optional(as_integer(*found, key)) : std::nullopt;
}

std::optional<bool> Metadata::boolean(const std::string& key) const {
  const auto* value = find(key);
  if (!value) return {};
  if (value->type != boolean_type || value->is_list) throw_type(key, "a boolean");
  return value->bytes[0] != 0;
}

std::optional<std::string> Metadata::text(const std::string& key) const {
  const auto* value = find(key);
  if (!value) return {};
  if (value->type != string_type || value->is_list) throw_type(key, "a text");
  return std::string(texts(key).front());
}

std::vector<std::string_view> Metadata::texts(const std::string& key) const {
  const auto* value = find(key);
  if (!value) return {};
  if (value->type != string_type) throw_type(key, "a list of texts");
  std::vector<std::string_view> all;
  const auto* p = value->bytes.data();
  for (std::size_t i = 0; i < value->count; ++i) {
    const auto size = read_as<std::uint64_t>(p);
    all.emplace_back(reinterpret_cast<const char*>(p + sizeof size), size);
    p += sizeof size + size;
  }
  return all;
}

File::File(const std::filesystem::path& path)
    : path_(path), file_(std::make_shared<MappedFile>(path)) {
  HeaderReader reader(file_, path);
  reader.read();
  metadata_ = std::move(reader.metadata_);
  tensors_ = std::move(reader.tensors_);
  for (std::size_t i = 0; i < tensors_.size(); ++i)
    if (!by_name_.emplace(tensors_[i].name, i).second)
      throw_invalid(path.string() + " has tensor '" + tensors_[i].name + "' twice");
}

const Tensor* File::find(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

std::vector<float> File::floats(const Tensor& tensor) const {
  return dequantized(*tensor.format, bytes(tensor));
}

std::vector<File> open_all(const std::filesystem::path& path) {
  std::vector<File> files;
  files.emplace_back(path);
  const auto count = files.front().metadata().integer("split.count").value_or(1);
  if (files.front().metadata().integer("split.no").value_or(0) != 0)
    throw_invalid(path.string() + " is not the first of its parts: name that one");
  if (count <= 1) return files;
  const auto name = path.stem().string();
  const std::string first = "-00001-of-";
  const auto at = name.rfind(first);
  if (at == std::string::npos || count > 99999)
    throw_invalid(path.string() + " has " + std::to_string(count) +
                  " parts, but its name does not end with -00001-of-NNNNN");
  for (std::int64_t i = 2; i <= count; ++i) {
    const auto digits = std::to_string(i);
    auto part = name;
    part.replace(at + 1, 5, std::string(5 - digits.size(), '0') + digits);
    files.emplace_back(path.parent_path() / (part + path.extension().string()));
    if (files.back().metadata().integer("split.no").value_or(-1) != i - 1)
      throw_invalid(files.back().path().string() + " is not part " + digits + " of " +
                    path.string());
  }
  return files;
}

bool is_gguf(const std::filesystem::path& path) { return path.extension() == ".gguf"; }

}  // namespace pippin::gguf
