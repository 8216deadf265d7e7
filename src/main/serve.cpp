#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <new>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/thread_pool.h"
#include "main/api_keys.h"
#include "main/commands.h"
#include "main/generation_config.h"
#include "main/load.h"
#include "main/model_source.h"
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

server::ApiOptions api_options(const ServeCommand& command, const ModelSource& source) {
  server::ApiOptions options = command.api;
  options.sampling = recommended_sampling(source.dir);
  if (options.model_names.empty()) options.model_names.push_back(source.name);
  const SamplingOptions& sampling = options.sampling;
  spdlog::info(
      "sampling, unless a request says otherwise: temperature {}, top_p {}, top_k {}, min_p {}",
      sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p);
  options.model_aliases.push_back(command.model);  // what the user calls it
  return options;
}

std::unique_ptr<server::TraceWriter> open_trace(const ServeCommand& command) {
  return command.trace.empty() ? nullptr : std::make_unique<server::TraceWriter>(command.trace);
}

EngineOptions engine_options(const ServeCommand& command, server::TraceWriter* trace) {
  EngineOptions options = command.engine;
  if (trace) options.on_step = [trace](const StepRecord& step) { trace->add(step); };
  if (command.fail_every > 0)
    options.before_step = [every = command.fail_every, number = std::int64_t{0}]() mutable {
      if (++number % every == 0) throw std::bad_alloc();
    };
  return options;
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

void announce(const Engine& engine, const std::string& name, const std::string& url) {
  const ModelInfo& info = engine.info();
  spdlog::info("serving {} at {}", name, url);
  spdlog::info(
      "{}, {:.1f} M parameters, {:.0f} MB, on the {}; context {} tokens, attention cache {} pages",
      info.model_type, static_cast<double>(info.num_parameters) / 1e6,
      static_cast<double>(info.weight_bytes) / 1e6, info.device, info.max_context,
      engine.stats().pages_total);
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

  const ModelSource source = get_model(command.model, program, command.engine, command.offline);
  const std::unique_ptr<server::TraceWriter> trace = open_trace(command);
  const std::unique_ptr<Engine> engine = load_model(source, engine_options(command, trace.get()));
  server::ApiOptions options = api_options(command, source);
  server::Metrics metrics(options.model_names.front());
  options.metrics = &metrics;
  options.body_stats = [&http] { return http.bodies(); };
  server::Api api(*engine, std::move(options), workers, loaders);
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
  announce(*engine, source.name, url_of(command.http, http.port()));
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
