#include "engine/disk/features.h"

#include <cstring>
#include <exception>
#include <iterator>
#include <span>
#include <string>

#include "base/insist.h"
#include "base/log.h"

namespace pippin::engine {
namespace {

namespace mx = mlx::core;

// Pictures waiting to be written; each holds its features in memory.
constexpr std::size_t max_unwritten = 64;

/// The description holds one for each array; the payload their bytes in row-major order, one after the other.
struct ArrayHeader {
  std::int32_t dtype = 0;  ///< place in `dtypes`
  std::int32_t rows = 0, columns = 0;
};

constexpr mx::Dtype dtypes[] = {mx::float32, mx::float16, mx::bfloat16};

void append(Entry& entry, const mx::array& x) {
  ArrayHeader header{0, x.shape(0), x.shape(1)};
  while (dtypes[header.dtype] != x.dtype()) ++header.dtype;
  entry.description.append(reinterpret_cast<const char*>(&header), sizeof header);
  auto rows = mx::contiguous(x);
  rows.eval();
  const auto* bytes = rows.data<std::uint8_t>();
  entry.payload.insert(entry.payload.end(), bytes, bytes + rows.nbytes());
}

// Takes the array's bytes off `payload`; nullopt where they are not all there.
std::optional<mx::array> take_array(const ArrayHeader& header,
                                    std::span<const std::uint8_t>& payload) {
  if (header.dtype < 0 || header.dtype >= static_cast<std::int32_t>(std::size(dtypes))) return {};
  if (header.rows < 1 || header.columns < 1) return {};
  const auto dtype = dtypes[header.dtype];
  const auto row_bytes = static_cast<std::size_t>(header.columns) * mx::size_of(dtype);
  const auto bytes = static_cast<std::size_t>(header.rows) * row_bytes;
  if (bytes > payload.size()) return {};
  auto x = mx::zeros({header.rows, header.columns}, dtype);
  x.eval();
  std::memcpy(x.data<std::uint8_t>(), payload.data(), bytes);
  payload = payload.subspan(bytes);
  return x;
}

}  // namespace

Entry entry_of(const models::MediaFeatures& features) {
  Entry entry;
  entry.payload.reserve(features.num_bytes());
  append(entry, features.embeddings);
  for (const auto& tap : features.deepstack) append(entry, tap);
  return entry;
}

std::optional<models::MediaFeatures> features_of(const Entry& entry) {
  std::vector<mx::array> arrays;
  std::span<const std::uint8_t> payload = entry.payload;
  const auto count = entry.description.size() / sizeof(ArrayHeader);
  if (count == 0 || entry.description.size() % sizeof(ArrayHeader) != 0) return {};
  for (std::size_t i = 0; i < count; ++i) {
    ArrayHeader header;
    std::memcpy(&header, entry.description.data() + i * sizeof header, sizeof header);
    auto x = take_array(header, payload);
    if (!x) return {};
    arrays.push_back(std::move(*x));
  }
  if (!payload.empty()) return {};
  return models::MediaFeatures{arrays.front(), {arrays.begin() + 1, arrays.end()}};
}

bool DiskFeatures::fetch(const Digest& digest) {
  if (coming_.count(digest) > 0) return true;
  if (useless_.count(digest) > 0 || !store_->contains(EntryKind::features, digest)) return false;
  const bool begun = attempt([&] {
    coming_.insert(digest);
    inbox_->read(*store_, EntryKind::features, digest);
  });
  if (!begun) coming_.erase(digest);
  return begun;
}

auto DiskFeatures::take_arrived() -> Arrived {
  Arrived arrived;
  for (const auto& [digest, result] : inbox_->take()) {
    coming_.erase(digest);
    if (result.status != ReadStatus::ok) continue;  // the store has forgotten it
    try {
      take(digest, result.entry, arrived);
    } catch (const std::exception& failure) {  // as if it had not been there
      spdlog::warn("[disk_features] features that were read are lost: {}", failure.what());
    }
  }
  return arrived;
}

void DiskFeatures::take(const Digest& digest, const Entry& entry, Arrived& arrived) {
  auto features = features_of(entry);
  if (features && static_cast<std::int64_t>(features->num_bytes()) <= max_bytes_)
    arrived.emplace_back(digest,
                         std::make_shared<const models::MediaFeatures>(std::move(*features)));
  else
    useless_.insert(digest);
}

void DiskFeatures::keep(const Digest& digest, FeaturesPtr features) {
  attempt([&] { unwritten_.emplace_back(digest, std::move(features)); });
  if (unwritten_.size() > max_unwritten) unwritten_.pop_front();
}

bool DiskFeatures::write_behind() {
  bool copied = false;
  for (; !unwritten_.empty(); unwritten_.pop_front()) {
    const auto& [digest, features] = unwritten_.front();
    if (!store_->wants(EntryKind::features, digest)) continue;
    if (!store_->has_room(static_cast<std::int64_t>(features->num_bytes()))) break;
    try {
      if (!store_->put(EntryKind::features, digest, entry_of(*features))) break;
      copied = true;
    } catch (const std::exception& failure) {  // it is not kept
      spdlog::warn("[disk_features] features are not written: {}", failure.what());
    }
  }
  return copied;
}

}  // namespace pippin::engine
