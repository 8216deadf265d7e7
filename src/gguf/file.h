// Reading .gguf files: metadata, the table of tensors, and their bytes in place. Format:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace pippin::gguf {

/// The block formats that can be read, by their numbers in the file.
enum class TensorType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
  mxfp4 = 39,
};

/// What a format's blocks are: `values` numbers in `bytes` bytes.
struct BlockFormat {
  TensorType type;
  const char* name;
  int values, bytes;
};

/// Null where the number is none of TensorType's.
const BlockFormat* block_format(std::uint32_t type);

/// A tensor of the table. `shape` has the outermost axis first; rows (the last axis) are whole blocks.
struct Tensor {
  std::string name;
  const BlockFormat* format = nullptr;
  std::vector<int> shape;
  std::size_t offset = 0;  ///< from the file's start
  std::size_t bytes = 0;
};

/// The numbers and texts of the header by key. Members give nullopt (lists: an empty list) where the key is absent, and
/// throw Error(invalid_argument) naming the key where it holds another type.
class Metadata {
 public:
  bool has(const std::string& key) const { return values_.count(key) > 0; }
  /// Any number without a fraction, and where `key` holds a list of equal ones (a value a layer), that one.
  std::optional<std::int64_t> integer(const std::string& key) const;
  std::optional<double> number(const std::string& key) const;
  std::optional<bool> boolean(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;
  /// Views of the mapped file.
  std::vector<std::string_view> texts(const std::string& key) const;
  std::vector<std::int64_t> integers(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;
  /// In the order of their names.
  std::vector<std::string> keys() const;

 private:
  friend class HeaderReader;
  struct Value {
    std::uint32_t type;  ///< of the value, or of a list's elements
    bool is_list;
    std::span<const std::uint8_t> bytes;  ///< the value, or the elements one after the other
    std::size_t count;                    ///< of elements; 1 where it is no list
  };
  const Value* find(const std::string& key) const;
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, Value> values_;
};

/// One mapped file. Immutable; copies share the mapping.
class File {
 public:
  /// Throws Error(not_found) where it cannot be read, Error(invalid_argument) saying what is wrong in it: another format,
  /// a length or an offset beyond the file's end, a type that is not known, a name that occurs twice.
  explicit File(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }
  /// Null where there is none of that name.
  const Tensor* find(const std::string& name) const;
  std::span<const std::uint8_t> bytes(const Tensor& tensor) const {
    return file_->bytes().subspan(tensor.offset, tensor.bytes);
  }
  /// A tensor's values as floats; for small ones.
  std::vector<float> floats(const Tensor& tensor) const;
  std::shared_ptr<const MappedFile> mapping() const { return file_; }

 private:
  std::filesystem::path path_;
  std::shared_ptr<const MappedFile> file_;
  Metadata metadata_;
  std::vector<Tensor> tensors_;
  std::map<std::string, std::size_t> by_name_;
};

/// A model's files: one, or the parts of a split one in order, of which the first was named. The first holds the metadata.
/// Throws as File does, and where a part is missing or says that it is another.
std::vector<File> open_all(const std::filesystem::path& path);

/// Whether the path names a GGUF file, by its extension.
bool is_gguf(const std::filesystem::path& path);

}  // namespace pippin::gguf
