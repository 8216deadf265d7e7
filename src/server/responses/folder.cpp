#include "server/responses/folder.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

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
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code gone;
    File file{entry.last_write_time(gone), static_cast<std::int64_t>(entry.file_size(gone)),
              entry.path()};
    if (!gone && file.path.extension() == ".json") files.push_back(std::move(file));
  }
  return files;
}

bool write_file(const fs::path& file, const std::string& text) {
  const fs::path temporary = file.string() + ".new";
  std::error_code error;
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    fs::permissions(temporary, fs::perms::owner_read | fs::perms::owner_write, error);
    out << text;
    out.flush();
    if (!out) return false;
  }
  fs::rename(temporary, file, error);
  return !error;
}

}  // namespace

ResponseFolder::ResponseFolder(fs::path folder, std::int64_t max_bytes)
    : folder_(std::move(folder)), max_bytes_(max_bytes) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!fs::is_directory(folder_, error))
    throw Error(Code::invalid_argument, "can't keep responses in '" + folder_.string() + "'");
  std::lock_guard lock(mutex_);
  make_room();
}

fs::path ResponseFolder::file_of(const std::string& id) const { return folder_ / (id + ".json"); }

void ResponseFolder::write(const StoredResponse& response) {
  json::object object{{"previous", response.previous ? response.previous->id : ""},
                      {"input", response.input},
                      {"output", response.output},
                      {"response", response.response}};
  const std::string text = json::serialize(object);
  std::lock_guard lock(mutex_);
  if (!write_file(file_of(response.id), text))
    return spdlog::warn("[responses] can't write to '{}'; {} is kept in memory only",
                        folder_.string(), response.id);
  bytes_ += static_cast<std::int64_t>(text.size());
  if (bytes_ > max_bytes_) make_room();
}

std::shared_ptr<StoredResponse> ResponseFolder::read(const std::string& id,
                                                     std::string& previous) const {
  std::error_code error;
  if (!is_plain(id) || !fs::exists(file_of(id), error)) return nullptr;
  try {
    json::object object = read_json_object(file_of(id));
    auto response = std::make_shared<StoredResponse>();
    response->id = id;
    response->input = std::move(object.at("input").as_array());
    response->output = std::move(object.at("output").as_array());
    response->response = object.at("response").as_string();
    previous = object.at("previous").as_string();
    return response;
  } catch (const std::exception& damage) {
    spdlog::warn("[responses] {} is of no use: {}", file_of(id).string(), damage.what());
    return nullptr;
  }
}

bool ResponseFolder::erase(const std::string& id) {
  std::error_code error;
  return is_plain(id) && fs::remove(file_of(id), error);
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
