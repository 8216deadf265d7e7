// Files of a commit into the cache.
#pragma once

#include <string>
#include <vector>

#include "hub/cache.h"
#include "hub/client.h"
#include "hub/progress.h"

namespace pippin::hub {

class PartialFile;

struct DownloadOptions {
  int at_once = 4;       ///< files
  int max_attempts = 5;  ///< without a byte between them
  Pause pause = pause_thread;
};

/// Fetches what is not there, several files at once, each on a thread of its own.
class Downloader {
 public:
  Downloader(const Settings& settings, HttpFactory http, const ModelName& name, std::string commit,
             Progress& progress, DownloadOptions options);

  /// The files are in the cache and linked to the commit then. Throws the first error; what has come of other files stays for the
  /// next time.
  void fetch(const std::vector<RemoteFile>& files);
  /// Bytes that fetch would ask for.
  std::int64_t missing_bytes(const std::vector<RemoteFile>& files) const;

 private:
  class Stop;

  void fetch_one(Client& client, const RemoteFile& file, const Stop& stop);
  void fetch_blob(Client& client, const RemoteFile& file, const Stop& stop);
  void complete(Client& client, const RemoteFile& file, PartialFile& partial, const Stop& stop);
  /// One request's worth.
  Head fetch_some(Client& client, const RemoteFile& file, PartialFile& partial, const Stop& stop);
  void restart(PartialFile& partial);

  const Settings& settings_;
  const HttpFactory http_;
  const ModelName name_;
  const std::string commit_;
  Progress& progress_;
  const DownloadOptions options_;
  const CachedRepo repo_;
};

}  // namespace pippin::hub
