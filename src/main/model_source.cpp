#include "main/model_source.h"

#include <csignal>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/memory.h"
#include "engine/cache/memory_budget.h"
#include "hub/cache.h"
#include "main/model_dir.h"
#include "models/registry.h"
#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

constexpr double default_fraction = 0.8;  // EngineOptions::memory_fraction

// A full disk and a connection that is gone are errors of a write, not the process's end. Afterwards they are what they were: a reader of
// answers that leaves ends the program.
class DeafToWrites {
 public:
  DeafToWrites() : pipe_(std::signal(SIGPIPE, SIG_IGN)), size_(std::signal(SIGXFSZ, SIG_IGN)) {}
  ~DeafToWrites() {
    std::signal(SIGPIPE, pipe_);
    std::signal(SIGXFSZ, size_);
  }
  DeafToWrites(const DeafToWrites&) = delete;
  DeafToWrites& operator=(const DeafToWrites&) = delete;

 private:
  using Handler = void (*)(int);
  const Handler pipe_, size_;
};

void judge(const hub::Offer& offer, const hub::Settings& settings, const EngineOptions& engine) {
  if (!offer.config.empty())
    models::check_model_type(
        hub::CachedRepo(settings.cache, offer.name.repo).snapshot(offer.commit));
  const hub::Fit fit = hub::judge_fit(needs_of(offer), offer.weight_bytes, machine_for(engine));
  if (fit.verdict == hub::Verdict::too_large)
    throw Error(Code::invalid_argument, offer.name.text() + " is too large. " + fit.text +
                                            " --memory-gb grants more; `pippin pull` fetches it "
                                            "all the same.");
  spdlog::info("{}: {} to fetch into {}. {}", offer.name.text(),
               hub::readable_bytes(offer.missing_bytes), settings.cache.string(), fit.text);
}

}  // namespace

hub::Settings hub_settings(bool offline) {
  hub::Settings settings = hub::read_settings();
  settings.offline = settings.offline || offline;
  return settings;
}

hub::Needs needs_of(const hub::Offer& offer) {
  return offer.config.empty() ? hub::Needs() : hub::read_needs(offer.config);
}

hub::Machine machine_for(const EngineOptions& engine) {
  const std::int64_t limit =
      engine.device == "cpu" ? memory_limit_bytes() : engine::device_memory_bytes();
  const double fraction = engine.memory_fraction > 0 ? engine.memory_fraction : default_fraction;
  const auto share = static_cast<std::int64_t>(fraction * static_cast<double>(limit));
  const int bits = engine.kv_bits > 0                  ? engine.kv_bits
                   : engine.kv_dtype == DType::float32 ? 32
                                                       : 16;
  return {engine.memory_bytes > 0 ? engine.memory_bytes : share, engine.max_context, bits};
}

fs::path pull_shown(const hub::ModelName& name, const hub::Settings& settings,
                    std::function<void(const hub::Offer&)> on_offer, bool use_cached) {
  const DeafToWrites deaf;
  hub::PullOptions options;
  options.screen = hub::standard_screen();
  options.on_offer = std::move(on_offer);
  return use_cached ? hub::find_or_pull(name, settings, options)
                    : hub::pull_model(name, settings, options);
}

ModelSource get_model(const std::string& model, const fs::path& program,
                      const EngineOptions& engine, bool offline) {
  std::error_code ignored;
  const auto name = fs::exists(model, ignored) ? std::nullopt : hub::parse_model_name(model);
  if (!name) {
    const fs::path dir = find_model(model, program);
    return {dir, (fs::is_directory(dir) ? dir.filename() : dir.stem()).string()};
  }
  const hub::Settings settings = hub_settings(offline);
  const auto on_offer = [&](const hub::Offer& offer) { judge(offer, settings, engine); };
  return {pull_shown(*name, settings, on_offer, true), name->model()};
}

}  // namespace pippin
