#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <future>
#include <memory>
#include <new>
#include <set>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/thread_pool.h"
#include "main/api_keys.h"
#include "main/commands.h"
#include "main/generation_config.h"
#include "main/load.h"
#include "main/model_source.h"
#include "main/served_models.h"
#include "server/observe/metrics.h"
#include "server/observe/request_log.h"
#include "server/observe/trace.h"

namespace pippin {
namespace {

// What is still being done for clients that are gone (a picture being fetched) gets this long before the process ends anyway.
constexpr std::chrono::seconds last_patience{25};

server::AccessOptions access_options(const ServeCommand& command) {
  server::AccessOptions options = command.access;
  options.api_keys = collect_api_keys(command.access.api_keys, command.api_key_file);
  options.admin_keys = collect_admin_keys(command.access.admin_keys, command.admin_key_file);
  if (command.http.unix_socket.empty()) options.bound_host = command.http.host;
  return options;
}

// Every connection is a file descriptor; the usual soft limit of 1024 (256 on macOS) is less than what the system allows.
void raise_file_limit(int num_connections) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = static_cast<rlim_t>(num_connections) + 512;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, wanted);
  setrlimit(RLIMIT_NOFILE, &limit);
}

void warn_of_exposure(const ServeCommand& command, const server::AccessOptions& access) {
  const bool has_keys = !access.api_keys.empty() || !access.admin_keys.empty();
  if (command.api.cache_per_key && !has_keys)
    spdlog::warn("--cache-per-key parts nothing: there are no keys (see --api-key)");
  if (!command.http.unix_socket.empty() || access.on_loopback) return;
  if (!has_keys)
    spdlog::warn(
        "listening on {}: whoever reaches this machine can use the server; there is no password "
        "(see --api-key)",
        command.http.host);
  if (command.api.fetch.allow_private_networks)
    spdlog::warn("--allow-private-urls lets them fetch media from inside your network");
}

// Who reads the log may leave, and a disk may have a limit: both are errors of a write then, not the process's end.
void ignore_signals_of_writes() {
  for (const int number : {SIGPIPE, SIGXFSZ}) std::signal(number, SIG_IGN);
}

std::unique_ptr<server::TraceWriter> open_trace(const ServeCommand& command) {
  return command.trace.empty() ? nullptr : std::make_unique<server::TraceWriter>(command.trace);
}

EngineOptions watched(EngineOptions options, const ServeCommand& command,
                      server::TraceWriter* trace) {
  if (trace) options.on_step = [trace](const StepRecord& step) { trace->add(step); };
  if (command.fail_every > 0)
    options.before_step = [every = command.fail_every, number = std::int64_t{0}]() mutable {
      if (++number % every == 0) throw std::bad_alloc();
    };
  return options;
}

// Shown on a terminal only while nothing else is.
struct Start {
  bool of_one_model = false;  ///< whose failure ends the program, which says why
  std::atomic<bool> over = false;
  std::exception_ptr failure = nullptr;  ///< of a load
};

std::unique_ptr<Engine> load(const ModelSource& source, EngineOptions options,
                             const server::MemoryShare& share, const Engine::Progress& tell,
                             Start& start) {
  if (share.budget > 0) {
    options.memory_fraction = 0;
    options.memory_bytes = share.budget;
    options.decoded_bytes = 0;  // the server's, for all models
  }
  if (start.over) return Engine::load(source.dir, options, tell);
  try {
    const auto show = show_progress("Loading " + source.name);
    return Engine::load(source.dir, options, [&](double fraction) {
      show(fraction);
      tell(fraction);
    });
  } catch (...) {
    start.failure = std::current_exception();
    throw;
  }
}

// Returns what is wrong with the model's files, null where nothing is: it is told where the model is loaded. Throws it where that model is alone.
std::exception_ptr read_sampling(const ModelSource& source, const Start& start,
                                 server::ServedModel& model) {
  try {
    model.sampling = recommended_sampling(source.dir);
  } catch (const std::exception& failure) {
    if (start.of_one_model) throw;
    spdlog::error("{} can't be served: {}", model.names.front(), failure.what());
    return std::current_exception();
  }
  const SamplingOptions& sampling = model.sampling;
  spdlog::info(
      "sampling of {}, unless a request says otherwise: temperature {}, top_p {}, top_k {}, min_p "
      "{}",
      model.names.front(), sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p);
  return nullptr;
}

server::ServedModel served(const WantedModel& wanted, const ServeCommand& command,
                           const std::filesystem::path& program, server::TraceWriter* trace,
                           Start& start) {
  const ModelSource source = get_model(wanted.model, program, wanted.engine, command.offline);
  server::ServedModel model;
  model.names = command.api.model_names;
  if (model.names.empty()) model.names = {wanted.name.empty() ? source.name : wanted.name};
  model.aliases = wanted.aliases;
  model.path = source.dir.string();
  model.pinned = wanted.pinned;
  model.tells_failures = !start.of_one_model;
  model.weight_bytes = weight_bytes(source.dir);
  const auto broken = read_sampling(source, start, model);
  model.load = [source, options = watched(wanted.engine, command, trace), &start, broken](
                   const server::MemoryShare& share, const Engine::Progress& tell) {
    if (broken) std::rethrow_exception(broken);
    return load(source, options, share, tell, start);
  };
  return model;
}

// A model that is none fails where it is asked for, among others; alone it ends the program.
std::vector<server::ServedModel> served_models(const std::vector<WantedModel>& wanted,
                                               const ServeCommand& command,
                                               const std::filesystem::path& program,
                                               server::TraceWriter* trace, Start& start) {
  std::vector<server::ServedModel> models;
  std::set<std::string> names;
  for (const WantedModel& one : wanted) {
    models.push_back(served(one, command, program, trace, start));
    for (const std::string& name : models.back().names)
      if (!names.insert(name).second)
        throw Error(Code::invalid_argument, "two models are called '" + name +
                                                "'; a --models file gives them names of their own");
  }
  return models;
}

// One model has the engine's own rules; several share what they may take together, and the server's pictures.
server::PoolOptions pool_options(const ServeCommand& command, std::size_t num_models,
                                 server::ApiOptions& api) {
  server::PoolOptions options;
  options.max_loaded = command.max_loaded;
  options.idle_unload_s = command.idle_unload_s;
  options.takes_keep_alive = num_models > 1 || command.idle_unload_s > 0;
  options.max_waiting = command.engine.max_queue;
  if (num_models == 1) return options;
  constexpr std::int64_t most_decoded = std::int64_t{1280} << 20;
  const std::int64_t memory = machine_for(command.engine).memory;
  api.decoded_bytes = command.engine.decoded_bytes >= 0 ? command.engine.decoded_bytes
                                                        : std::min(memory / 8, most_decoded);
  options.memory_bytes = memory - api.decoded_bytes;
  return options;
}

// Waits for it. What fails ends the program where there is nothing else to serve.
void load_at_start(server::ModelPool& pool, const std::string& name, const Start& start) {
  std::promise<bool> loaded;
  pool.use(
      name, {}, [&](const server::ModelUsePtr&) { loaded.set_value(true); },
      [&](const Error&) { loaded.set_value(false); });
  if (!loaded.get_future().get() && start.of_one_model && start.failure)
    std::rethrow_exception(start.failure);
}

std::string url_of(const server::HttpOptions& http, std::uint16_t port) {
  if (!http.unix_socket.empty()) return "unix:" + http.unix_socket.string();
  const bool v6 = http.host.find(':') != std::string::npos;
  const std::string host = http.host == "0.0.0.0" ? "127.0.0.1"
                           : v6                   ? "[" + http.host + "]"
                                                  : http.host;
  return (http.tls_certificate.empty() ? "http://" : "https://") + host + ":" +
         std::to_string(port) + "/v1";
}

void announce(const server::ModelPool& pool, const std::string& url) {
  for (const server::ModelStatus& model : pool.list()) {
    const std::string& name = model.model->names.front();
    if (model.state != server::ModelStatus::State::loaded) {
      spdlog::info("serving {} at {} once it is asked for", name, url);
      continue;
    }
    const ModelInfo& info = *model.info;
    spdlog::info("serving {} at {}", name, url);
    spdlog::info("{}, {:.1f} M parameters, {:.0f} MB, on the {}; context {} tokens",
                 info.model_type, static_cast<double>(info.num_parameters) / 1e6,
                 static_cast<double>(info.weight_bytes) / 1e6, info.device, info.max_context);
  }
}

}  // namespace

int serve(const ServeCommand& command, const std::filesystem::path& program) {
  ignore_signals_of_writes();
  raise_file_limit(command.http.max_connections);
  server::AccessOptions access_options = pippin::access_options(command);
  const std::size_t num_threads = std::max(2u, std::thread::hardware_concurrency());
  ThreadPool workers(num_threads);
  // They render and tokenize texts; one more, since clearing the caches waits on one of them for the engine.
  ThreadPool loaders(num_threads + 1);
  server::HttpServer http(command.http, workers);  // before the load: a port in use is told at once
  access_options.on_loopback = http.on_loopback();
  warn_of_exposure(command, access_options);
  server::Access access(access_options);

  const std::vector<WantedModel> wanted = wanted_models(command);
  const std::unique_ptr<server::TraceWriter> trace = open_trace(command);
  Start start{.of_one_model = wanted.size() == 1};
  std::vector<server::ServedModel> models =
      served_models(wanted, command, program, trace.get(), start);
  std::vector<std::string> first;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i].loads_at_start) first.push_back(models[i].names.front());
  server::ApiOptions options = command.api;
  server::Metrics metrics(models.front().names.front());
  options.metrics = &metrics;
  options.body_stats = [&http] { return http.bodies(); };
  const auto pool_options = pippin::pool_options(command, models.size(), options);
  server::ModelPool pool(std::move(models), pool_options);
  for (const std::string& name : first) load_at_start(pool, name, start);
  start.over = true;
  server::Api api(pool, std::move(options), workers, loaders);
  server::Router router;
  api.add_routes(router);
  http.stop_on_signals(command.drain);
  http.start(
      std::move(router),
      [&](const server::RequestRecord& record) {
        server::log_request(record);
        metrics.request_ended(record);
        if (trace) trace->add(record);
      },
      [&](const server::HttpRequest& head) { return access.judge(head); });
  announce(pool, url_of(command.http, http.port()));
  http.wait();
  if (!http.wait_for_handlers(last_patience)) {
    spdlog::warn("a request is still being worked on; leaving it");
    if (trace) trace->close();
    spdlog::shutdown();
    std::_Exit(EXIT_SUCCESS);
  }
  spdlog::info("stopped");
  return EXIT_SUCCESS;
}

}  // namespace pippin
