#include "engine/run/encoder.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/insist.h"
#include "base/log.h"

namespace pippin::engine {
namespace {

bool is_pending(const MediaItem& item) { return !item.features && item.failure.empty(); }

bool contains(const std::vector<Digest>& digests, const Digest& digest) {
  return std::find(digests.begin(), digests.end(), digest) != digests.end();
}

}  // namespace

Encoder::Encoder(const models::Model& model, const EncoderOptions& options,
                 const std::shared_ptr<DiskStore>& disk)
    : model_(model), options_(options), cache_(options.cache_bytes) {
  if (disk && options_.cache_bytes > 0) disk_.emplace(disk, cache_.max_bytes());
}

bool Encoder::look_up(MediaItem& item) {
  if (disk_)
    for (auto& [digest, features] : disk_->take_arrived())
      attempt([&] { cache_.insert(digest, std::move(features)); });
  item.features = cache_.find(item.digest);
  if (!item.features) return disk_ && disk_->fetch(item.digest);
  ++num_hits_;
  return false;
}

void Encoder::run(std::span<MediaItem* const> wanted) {
  const auto end = std::chrono::steady_clock::now() + options_.step;
  if (job_ && !is_wanted(*job_, wanted)) job_.reset();
  do {
    if (!job_) start_job(wanted);
    if (!job_) return;
    advance(wanted);
  } while (std::chrono::steady_clock::now() < end);
}

bool Encoder::is_wanted(const Job& job, std::span<MediaItem* const> wanted) const {
  return std::any_of(wanted.begin(), wanted.end(), [&](const MediaItem* item) {
    return is_pending(*item) && contains(job.digests, item->digest);
  });
}

// The first picture that is wanted, and those behind it that fit beside it.
void Encoder::start_job(std::span<MediaItem* const> wanted) {
  auto job = std::make_unique<Job>();
  std::int64_t num_rows = 0;
  for (const auto* item : wanted) {
    if (!is_pending(*item) || contains(job->digests, item->digest)) continue;
    const auto more = item->span.length;
    const bool suspect = suspects_.count(item->digest) > 0;
    if (!job->digests.empty() && (suspect || num_rows + more > options_.max_rows)) continue;
    num_rows += more;
    job->digests.push_back(item->digest);
    job->patches.push_back(item->patches);
    if (suspect) break;
  }
  if (!job->digests.empty()) job_ = std::move(job);
}

void Encoder::advance(std::span<MediaItem* const> wanted) {
  try {
    if (!job_->encoding) {
      std::vector<const media::Patches*> pictures;
      for (const auto& patches : job_->patches) pictures.push_back(&patches->get());
      job_->encoding = model_.start_encoding(pictures);
    }
    if (!job_->encoding->advance()) finish(wanted);
  } catch (const std::exception& failure) {
    fail(wanted, failure.what());
  }
}

void Encoder::finish(std::span<MediaItem* const> wanted) {
  auto pictures = job_->encoding->take();
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto features = std::make_shared<const models::MediaFeatures>(std::move(pictures[i]));
    cache_.insert(job_->digests[i], features);
    if (disk_) disk_->keep(job_->digests[i], features);
    for (auto* item : wanted)
      if (item->digest == job_->digests[i]) {
        item->features = features;
        item->encoded = true;
      }
    ++num_runs_;
  }
  job_.reset();
}

void Encoder::fail(std::span<MediaItem* const> wanted, const std::string& why) {
  const auto job = std::move(job_);
  if (job->digests.size() > 1) {
    suspects_.insert(job->digests.begin(), job->digests.end());
    return;
  }
  spdlog::error("[engine] a picture could not be encoded: {}", why);
  suspects_.erase(job->digests.front());
  for (auto* item : wanted)
    if (item->digest == job->digests.front())
      item->failure = "the engine could not encode a picture: " + why;
}

}  // namespace pippin::engine
