#include "server/chat/media.h"

#include <algorithm>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/insist.h"
#include "media/clip.h"
#include "media/cost.h"
#include "media/data_url.h"
#include "media/resample.h"
#include "pippin/error.h"
#include "server/schema/request_json.h"

namespace pippin::server {
namespace {

using Lease = ByteBudget::Lease;
using media::PictureCost;

// OpenAI's detail "low": the model gets at most 512 x 512 pixels.
constexpr int low_detail_side = 512;

std::shared_ptr<const Pixels> shrunk(std::shared_ptr<const Pixels> picture) {
  const int longest = std::max(picture->height, picture->width);
  if (longest <= low_detail_side) return picture;
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>(std::int64_t{side} * low_detail_side / longest));
  };
  return std::make_shared<const Pixels>(
      media::resize_bicubic(*picture, scaled(picture->height), scaled(picture->width)));
}

// vLLM's "data:video/jpeg;base64,<frame>,<frame>...": a video as pictures in one URL.
bool holds_frames(const MediaSource& source) {
  return source.kind == MediaSource::Kind::video &&
         media::has_data_type(source.urls[0], "video/jpeg") &&
         media::parse_data_url(source.urls[0]).is_base64;
}

std::vector<std::string> frames_in(std::string_view url) {
  std::vector<std::string> urls;
  std::string_view rest = media::parse_data_url(url).data;
  for (;;) {
    const std::size_t end = rest.find(',');
    urls.push_back("data:image/jpeg;base64," + std::string(rest.substr(0, end)));
    if (end == std::string_view::npos) return urls;
    rest.remove_prefix(end + 1);
  }
}

// `value` and the memory that it takes, which returns with the last who has it.
template <class T>
std::shared_ptr<const T> with_lease(T value, Lease lease) {
  struct Held {
    T value;
    Lease lease;
  };
  auto held = std::make_shared<Held>(Held{std::move(value), std::move(lease)});
  return {held, &held->value};
}

// One file on its way to pixels. Used by one thread at a time.
struct File {
  const MediaSource* source = nullptr;
  std::string url;
  bool is_clip = false;
  std::string field = {};  // of the request: the frame's own, of those that have one

  media::Fetched content = {};  // until it is decoded
  Digest key = {};
  std::unique_ptr<media::Clip> clip = {};  // of a clip that is not known
  PictureCost cost = {};                   // of decoding it; none where it is known
  std::int64_t pixels = 0;

  std::shared_ptr<const Pixels> picture = {};
  std::shared_ptr<const Video> video = {};
  bool known = false;  // decoded already

  // A frame is copied into its video.
  bool is_frame() const { return !is_clip && source->kind != MediaSource::Kind::picture; }
  std::int64_t copied() const { return is_frame() ? 3 * pixels : 0; }
};

std::int64_t pixels_of(const Video& video) {
  const Pixels& frame = video.frames[0];
  return static_cast<std::int64_t>(video.frames.size()) * frame.height * frame.width;
}

// Loads the media of one request. Each step is a task, the last of which begins the next step; tasks hold it.
class MediaLoad : public std::enable_shared_from_this<MediaLoad> {
 public:
  MediaLoad(std::shared_ptr<RequestScope> scope, std::shared_ptr<ChatCall> call,
            const MediaSupply& supply, const ChatMediaLimits& limits,
            const std::optional<VideoSampling>& sampling, MediaLoaded loaded)
      : scope_(std::move(scope)),
        call_(std::move(call)),
        supply_(supply),
        image_limits_(limits.image),
        video_limits_(limits.video),
        max_pixels_(limits.max_pixels),
        sampling_(sampling),
        loaded_(std::move(loaded)) {
    image_limits_.wanted = video_limits_.wanted = scope_->asks_if_wanted();
    image_limits_.max_pixels = std::min(image_limits_.max_pixels, max_pixels_);
    video_limits_.max_pixels = std::min(video_limits_.max_pixels, max_pixels_);
  }

  void start() {
    for (const MediaSource& source : call_->media) blaming(source.field, [&] { add(source); });
    scope_->on_end([weak = weak_from_this(), &memory = supply_.memory] {
      if (const auto self = weak.lock()) self->release();
      memory.look_again();
    });
    left_ = files_.size();
    for (File& file : files_) blaming(file.field, [&] { get(file); });
  }

 private:
  // What was not decoded won't be.
  void release() {
    Lease dropped;  // returned without the lock
    const std::lock_guard lock(mutex_);
    dropped = std::move(lease_);
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Files

  void add(const MediaSource& source) {
    if (source.kind == MediaSource::Kind::picture) return add_file(source, source.urls[0], false);
    if (!sampling_) throw Error(Code::invalid_argument, "this model takes no videos");
    const bool joined = holds_frames(source);
    if (source.kind == MediaSource::Kind::video && !joined)
      return add_file(source, source.urls[0], true);
    const auto urls = joined ? frames_in(source.urls[0]) : source.urls;
    if (urls.empty()) throw Error(Code::invalid_argument, "a video needs at least one picture");
    for (std::size_t i = 0; i < urls.size(); ++i) {
      add_file(source, urls[i], false);
      if (!joined) files_.back().field = at(source.field, i);
    }
  }

  void add_file(const MediaSource& source, std::string url, bool is_clip) {
    File& file = files_.emplace_back();
    file.source = &source;
    file.url = std::move(url);
    file.is_clip = is_clip;
    file.field = source.field;
  }

  std::int64_t max_bytes(const File& file) const {
    return file.is_clip ? video_limits_.max_bytes : image_limits_.max_bytes;
  }

  // Gets a file's bytes and goes on with it on one of the threads.
  void get(File& file) {
    if (!media::MediaFetcher::is_remote(file.url)) return post(file, &MediaLoad::read);
    supply_.fetcher.start(scope_->client(), file.url, max_bytes(file), scope_->asks_if_wanted(),
                          [self = shared_from_this(), &file](media::MediaFetcher::Result result) {
                            self->fetched(file, std::move(result));
                          });
  }

  void fetched(File& file, media::MediaFetcher::Result result) {
    scope_->run([&] {
      blaming(file.field, [&] {
        if (const auto* error = std::get_if<std::exception_ptr>(&result))
          std::rethrow_exception(*error);
        file.content = std::get<media::Fetched>(std::move(result));
        post(file, &MediaLoad::measure);
      });
    });
  }

  void read(File& file) {
    file.content.bytes = supply_.fetcher.fetch(file.url, max_bytes(file));
    measure(file);
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What they take

  void measure(File& file) {
    file.url = {};
    if (file.is_clip)
      measure_clip(file);
    else
      measure_picture(file);
    if (has_all()) admit();
  }

  void measure_picture(File& file) {
    const auto& bytes = file.content.bytes;
    file.cost = media::image_cost(bytes, image_limits_);
    file.pixels = file.cost.kept / 3;
    file.key = media::salted_key(media::picture_key(bytes), call_->request.cache_salt);
    file.picture = in_use(supply_.decoded.picture(file.key));
    if (file.picture) know(file);
  }

  void measure_clip(File& file) {
    const auto& bytes = file.content.bytes;
    const VideoSampling sampling = file.source->sampling.over(*sampling_);
    file.key = media::salted_key(media::video_key(bytes, sampling), call_->request.cache_salt);
    file.video = in_use(supply_.decoded.video(file.key));
    if (file.video && pixels_of(*file.video) <= video_limits_.max_pixels) {
      file.pixels = pixels_of(*file.video);
      return know(file);
    }
    file.clip = std::make_unique<media::Clip>(bytes, sampling, video_limits_);
    file.cost = file.clip->cost();
    file.pixels = file.cost.kept / 3;
  }

  void know(File& file) {
    file.known = true;
    file.cost = {};
    file.content = {};
  }

  // Asks for the memory of all of them at once: who had some of his, and waited for the rest, might wait for others who do the same.
  void admit() {
    std::int64_t pixels = 0, kept = 0;
    for (const File& file : files_) {
      blaming(file.field, [&] { check_pixels(pixels += file.pixels); });
      kept += file.cost.kept + file.copied();
      work_limit_ += file.cost.work;
      most_work_ = std::max(most_work_, file.cost.work);
    }
    // Many pictures are decoded at once, as far as that takes no more than a quarter of the memory.
    work_limit_ = std::min(work_limit_, std::max(most_work_, supply_.memory.limit() / 4));
    blaming(field_over(supply_.memory.limit()), [&] { check_memory(kept + work_limit_); });
    supply_.memory.take(
        scope_->client(), kept + work_limit_, scope_->asks_if_wanted(),
        [self = shared_from_this()](Lease lease) { self->admitted(std::move(lease)); });
  }

  // The field of the file with which they take more, the largest one's work counted with each.
  const std::string& field_over(std::int64_t limit) const {
    std::int64_t bytes = work_limit_;
    for (const File& file : files_)
      if ((bytes += file.cost.kept + file.copied()) > limit) return file.field;
    return files_.front().field;
  }

  void check_pixels(std::int64_t pixels) const {
    if (pixels > max_pixels_)
      throw Error(Code::payload_too_large,
                  "the pictures and frames of a request may have at most " +
                      std::to_string(max_pixels_) + " pixels together");
  }

  void check_memory(std::int64_t bytes) const {
    const std::int64_t limit = supply_.memory.limit();
    if (bytes <= limit) return;
    constexpr std::int64_t mb = 1 << 20;
    throw Error(Code::payload_too_large, "decoding the request's pictures and videos takes " +
                                             std::to_string(bytes / mb) + " MB; this server has " +
                                             std::to_string(limit / mb) +
                                             " MB for that (--decoded-mb)");
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Pixels

  void admitted(Lease lease) {
    scope_->run([&] {
      {
        const std::lock_guard lock(mutex_);
        lease_ = std::move(lease);
        left_ = static_cast<std::size_t>(std::count_if(
            files_.begin(), files_.end(), [](const File& file) { return !file.known; }));
      }
      if (left_ == 0) return post_finish();
      decode_more();
    });
  }

  // Posts those that the memory for work still holds; one where nothing runs.
  void decode_more() {
    std::vector<File*> ready;
    {
      const std::lock_guard lock(mutex_);
      for (; next_ < files_.size(); ++next_) {
        File& file = files_[next_];
        if (file.known) continue;
        if (work_ + file.cost.work > work_limit_) break;
        work_ += file.cost.work;
        ready.push_back(&file);
      }
    }
    for (File* file : ready) post(*file, &MediaLoad::decode);
  }

  void decode(File& file) {
    if (file.is_clip)
      decode_clip(file);
    else
      decode_picture(file);
    file.clip.reset();
    file.content = {};
    {
      const std::lock_guard lock(mutex_);
      work_ -= file.cost.work;
    }
    if (has_all()) return finish();
    decode_more();
  }

  void decode_picture(File& file) {
    Pixels pixels = decode_image(file.content.bytes, image_limits_);
    file.picture = with_lease(std::move(pixels), part(file.cost.kept));
    attempt([&] { supply_.decoded.keep(file.key, file.picture); });
    file.picture = in_use(std::move(file.picture));
  }

  void decode_clip(File& file) {
    Video video = file.clip->decode();
    file.video = with_lease(std::move(video), part(file.cost.kept));
    attempt([&] { supply_.decoded.keep(file.key, file.video); });
    file.video = in_use(std::move(file.video));
  }

  // What nobody uses any more may be dropped for those that wait for memory: they are told when the request lets go of it.
  template <class T>
  std::shared_ptr<const T> in_use(std::shared_ptr<const T> kept) const {
    if (!kept) return kept;
    const T* content = kept.get();
    return {content,
            [kept = std::move(kept), look_again = supply_.memory.looks_again()](const T*) mutable {
              kept.reset();
              look_again();
            }};
  }

  Lease part(std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    return lease_.split(bytes);
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The request

  void post_finish() { post(files_.front(), &MediaLoad::finish_with); }
  void finish_with(File&) { finish(); }

  void finish() {
    int audio_tracks = 0;
    std::size_t next = 0;
    for (const MediaSource& source : call_->media) {
      ContentPart& part = call_->request.messages[source.message].content[source.part];
      part.field = source.field;
      const std::size_t first = next;
      while (next < files_.size() && files_[next].source == &source) ++next;
      blaming(source.field, [&] { fill(part, source, {files_.data() + first, next - first}); });
      if (part.video) audio_tracks += part.video->audio_tracks;
    }
    files_.clear();
    release();  // what was for work
    loaded_(audio_tracks);
  }

  void fill(ContentPart& part, const MediaSource& source, std::span<File> files) {
    if (source.kind == MediaSource::Kind::picture)
      part.image = source.low_detail ? shrunk(files[0].picture) : files[0].picture;
    else if (files[0].is_clip)
      part.video = files[0].video;
    else
      part.video = of_frames(source, files);
  }

  std::shared_ptr<const Video> of_frames(const MediaSource& source, std::span<File> files) {
    std::vector<Pixels> frames;
    std::int64_t bytes = 0;
    for (File& file : files) {
      blaming(file.field, [&] { check_size(*file.picture, frames); });
      frames.push_back(*file.picture);
      bytes += file.copied();
      file.picture = nullptr;
    }
    return with_lease(make_video(std::move(frames), source.sampling.fps.value_or(sampling_->fps)),
                      part(bytes));
  }

  static void check_size(const Pixels& frame, const std::vector<Pixels>& before) {
    if (before.empty() || (frame.height == before[0].height && frame.width == before[0].width))
      return;
    throw Error(Code::invalid_argument,
                "the pictures of a video must have one size: this one has " +
                    std::to_string(frame.width) + " x " + std::to_string(frame.height) +
                    " pixels, the first " + std::to_string(before[0].width) + " x " +
                    std::to_string(before[0].height));
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Steps

  void post(File& file, void (MediaLoad::*step)(File&)) {
    supply_.threads.post(scope_->client(), [self = shared_from_this(), &file, step] {
      self->scope_->run([&] { self->blaming(file.field, [&] { (self.get()->*step)(file); }); });
    });
  }

  // Whether the step is done with the last file, too.
  bool has_all() {
    const std::lock_guard lock(mutex_);
    return --left_ == 0;
  }

  template <class Work>
  static void blaming(const std::string& field, const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      throw Error(error.code(), error.what(), error.field().empty() ? field : error.field());
    }
  }

  const std::shared_ptr<RequestScope> scope_;
  const std::shared_ptr<ChatCall> call_;
  const MediaSupply supply_;
  ImageLimits image_limits_;
  VideoLimits video_limits_;
  const std::int64_t max_pixels_;
  const std::optional<VideoSampling> sampling_;
  const MediaLoaded loaded_;
  std::vector<File> files_;  // of all sources, in order
  std::int64_t work_limit_ = 0, most_work_ = 0;

  std::mutex mutex_;       // guards the rest
  std::size_t left_ = 0;   // files that the step is not done with
  std::size_t next_ = 0;   // of those to decode
  std::int64_t work_ = 0;  // bytes that decoding takes now
  Lease lease_;            // of what is not decoded yet, and for work
};

}  // namespace

void load_media(const std::shared_ptr<RequestScope>& scope, std::shared_ptr<ChatCall> call,
                const MediaSupply& supply, const ChatMediaLimits& limits,
                const std::optional<VideoSampling>& sampling, MediaLoaded loaded) {
  scope->run([&] {
    std::make_shared<MediaLoad>(scope, std::move(call), supply, limits, sampling, std::move(loaded))
        ->start();
  });
}

}  // namespace pippin::server
