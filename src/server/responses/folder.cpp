#include "server/responses/folder.h"

#include <algorithm>
#include <cctype>
#include <new>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/files.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/log.h"
#include "pippin/error.h"
#include "server/responses/store.h"

namespace pippin::server {
namespace {

namespace fs = std::filesystem;

// Ids come from clients; those made here are letters, digits and underscores.
bool is_plain(const std::string& id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_';
  });
}

struct File {
  fs::file_time_type written;
  std::int64_t bytes = 0;
  fs::path path;
};

std::vector<File> files_in(const fs::path& folder) {
  std::vector<File> files;
  for_each_name(folder, [&](const std::string& name) {
    if (!name.ends_with(".json")) return;
    std::error_code gone;
    File file{{}, 0, folder / name};
    file.bytes = static_cast<std::int64_t>(fs::file_size(file.path, gone));
    if (!gone) file.written = fs::last_write_time(file.path, gone);
    if (!gone) files.push_back(std::move(file));
  });
  return files;
}

Digest checksum_of(std::string_view text) {
  return blake3({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

std::string with_checksum(const std::string& text) {
  return json::serialize(json::object{{"blake3", to_hex(checksum_of(text))}}) + "\n" + text + "\n";
}

// The text that with_checksum was given. Throws where it isn't that any more.
std::string_view checked(std::string_view file) {
  const std::size_t end = file.find('\n');
  const bool has_text =
      end != std::string_view::npos && file.ends_with('\n') && end + 1 < file.size();
  const std::string_view text =
      has_text ? file.substr(end + 1, file.size() - end - 2) : std::string_view();
  if (!has_text || file != with_checksum(std::string(text)))
    throw std::runtime_error("its checksum is wrong");
  return text;
}

// Throws where the file is damaged, or is another's under this name.
std::shared_ptr<StoredResponse> parse(const std::string& id, const std::string& file,
                                      std::string& previous) {
  json::object object = json::parse(checked(file)).as_object();
  if (object.at("id") != json::string_view(id))
    throw std::runtime_error("it holds another response");
  auto response = std::make_shared<StoredResponse>();
  response->id = id;
  response->owner = object.at("owner").as_string();
  response->input = std::move(object.at("input").as_array());
  response->output = std::move(object.at("output").as_array());
  response->response = object.at("response").as_string();
  previous = object.at("previous").as_string();
  return response;
}

// Hidden, so that it is taken for no response.
constexpr const char* probe_name = ".writable";

}  // namespace

ResponseFolder::ResponseFolder(fs::path folder, std::int64_t max_bytes)
    : folder_(std::move(folder)), max_bytes_(max_bytes) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!fs::is_directory(folder_, error))
    throw Error(Code::invalid_argument, "can't keep responses in '" + folder_.string() + "'");
  write_file(folder_ / probe_name, "pippin");
  fs::remove(folder_ / probe_name, error);
  const MutexLock lock(mutex_);
  make_room();
}

fs::path ResponseFolder::file_of(const std::string& id) const { return folder_ / (id + ".json"); }

void ResponseFolder::write(const StoredResponse& response) {
  json::object object{{"id", response.id},
                      {"owner", response.owner},
                      {"previous", response.previous ? response.previous->id : ""},
                      {"input", response.input},
                      {"output", response.output},
                      {"response", response.response}};
  const std::string text = with_checksum(json::serialize(object));
  const MutexLock lock(mutex_);
  try {
    write_file(file_of(response.id), text);
  } catch (const Error& error) {
    return spdlog::warn("[responses] {}; {} is kept in memory only", error.what(), response.id);
  }
  bytes_ += static_cast<std::int64_t>(text.size());
  if (bytes_ > max_bytes_) make_room();
}

std::shared_ptr<StoredResponse> ResponseFolder::read(const std::string& id,
                                                     std::string& previous) const {
  std::error_code error;
  if (!is_plain(id) || !fs::exists(file_of(id), error)) return nullptr;
  try {
    return parse(id, read_text(file_of(id)), previous);
  } catch (const Error& unreadable) {
    spdlog::warn("[responses] {}", unreadable.what());
  } catch (const std::bad_alloc&) {  // no fault of the file's
    throw;
  } catch (const std::exception& damage) {
    spdlog::warn("[responses] {} is of no use and removed: {}", file_of(id).string(),
                 damage.what());
    fs::remove(file_of(id), error);
  }
  return nullptr;
}

bool ResponseFolder::erase(const std::string& id, const std::string& owner) {
  std::string previous;
  const auto known = read(id, previous);
  std::error_code error;
  return known && known->owner == owner && fs::remove(file_of(id), error);
}

void ResponseFolder::make_room() {
  std::vector<File> files = files_in(folder_);
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.written < b.written; });
  bytes_ = 0;
  for (const File& file : files) bytes_ += file.bytes;
  std::error_code error;
  for (const File& file : files) {
    if (bytes_ <= max_bytes_) return;
    fs::remove(file.path, error);
    bytes_ -= file.bytes;
  }
}

}  // namespace pippin::server
