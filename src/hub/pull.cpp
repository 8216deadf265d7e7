#include "hub/pull.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/files.h"
#include "base/log.h"
#include "hub/cache.h"
#include "hub/curl_http.h"
#include "hub/plan.h"

namespace pippin::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t spare_bytes = 64 << 20;  // a disk is not filled to the last byte

HttpFactory factory_of(const PullOptions& options, const Settings& settings) {
  if (options.http) return options.http;
  return [silence = settings.silence] { return make_curl_http(silence); };
}

void check_room(const fs::path& folder, std::int64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error || bytes == 0) return;
  const auto free = static_cast<std::int64_t>(std::min<std::uintmax_t>(space.available, INT64_MAX));
  if (bytes + spare_bytes > free)
    throw Error(Code::unavailable, readable_bytes(bytes) + " are to be fetched, but " +
                                       folder.string() + " has only " + readable_bytes(free) +
                                       " free; HF_HOME names another folder");
}

void check_online(const ModelName& name, const Settings& settings) {
  if (!settings.offline) return;
  const CachedRepo repo(settings.cache, name.repo);
  const auto commit = repo.commit_of(name.revision);
  std::string lacks;
  if (commit && fs::exists(repo.snapshot(*commit)))
    for (const std::string& file : missing_files(repo.snapshot(*commit)))
      lacks += (lacks.empty() ? "; it lacks " : ", ") + file;
  throw Error(Code::not_found,
              name.text() + " is not whole in the cache (" + settings.cache.string() +
                  "), and the hub is not asked (HF_HUB_OFFLINE or --offline)" + lacks);
}

// A hub that can't be reached, said with its name.
template <class F>
auto reaching(const Settings& settings, const F& ask) {
  try {
    return ask();
  } catch (const NetworkError& error) {
    throw Error(Code::unavailable,
                "cannot reach the hub at " + settings.endpoint + ": " + error.what());
  }
}

struct Listing {
  std::string commit;
  Plan plan;
};

Listing list(Client& client, const ModelName& name, const Settings& settings) {
  return reaching(settings, [&] {
    const std::string commit = client.commit_of(name);
    return Listing{commit,
                   plan_files(client.files_of(name.repo, commit), name.repo, name.quantization)};
  });
}

bool has_small(const Plan& plan, const char* path) {
  return std::any_of(plan.small.begin(), plan.small.end(),
                     [&](const RemoteFile& file) { return file.path == path; });
}

// GGUF repositories may lack it.
std::string config_in(const fs::path& snapshot, const Plan& plan) {
  return has_small(plan, "config.json") ? read_text(snapshot / "config.json") : "";
}

}  // namespace

fs::path pull_model(const ModelName& name, const Settings& settings, const PullOptions& options) {
  check_online(name, settings);
  const HttpFactory http = factory_of(options, settings);
  Client client(settings, http(), options.download.pause);
  Listing found = list(client, name, settings);
  const CachedRepo repo(settings.cache, name.repo);
  const fs::path snapshot = repo.snapshot(found.commit);
  Progress progress(name.text(), options.screen);
  Downloader downloader(settings, http, name, found.commit, progress, options.download);
  Plan& plan = found.plan;
  for (const RemoteFile& file : plan.small) progress.expect(file.size);
  downloader.fetch(plan.small);
  if (has_small(plan, index_name)) keep_indexed(plan, read_text(snapshot / index_name));
  const std::int64_t missing = downloader.missing_bytes(plan.weights);
  if (options.on_offer)
    options.on_offer({name, found.commit, config_in(snapshot, plan), plan.weight_bytes(), missing});
  check_room(repo.folder(), missing);
  progress.expect(plan.weight_bytes());
  downloader.fetch(plan.weights);
  repo.set_commit(name.revision, found.commit);
  return plan.gguf ? snapshot / plan.weights.front().path : snapshot;
}

fs::path find_or_pull(const ModelName& name, const Settings& settings, const PullOptions& options) {
  if (auto snapshot = find_snapshot(settings.cache, name)) return *snapshot;
  return pull_model(name, settings, options);
}

Offer look_up(const ModelName& name, const Settings& settings, const PullOptions& options) {
  Client client(settings, factory_of(options, settings)(), options.download.pause);
  Listing found = list(client, name, settings);
  return reaching(settings, [&] {
    if (has_small(found.plan, index_name))
      keep_indexed(found.plan, client.read_file(name.repo, found.commit, index_name));
    return Offer{name, found.commit,
                 has_small(found.plan, "config.json")
                     ? client.read_file(name.repo, found.commit, "config.json")
                     : "",
                 found.plan.weight_bytes(), found.plan.weight_bytes()};
  });
}

}  // namespace pippin::hub
