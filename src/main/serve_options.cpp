#include "main/serve_options.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "base/memory.h"
#include "main/option_group.h"
#include "pippin/error.h"

namespace pippin {
namespace {

using Group = OptionGroup;

void add_network_options(CLI::App& app, ServeCommand& serve, ServeUnits& units) {
  Group group(app, "Network: where it listens");
  group.add("--host", serve.http.host, "ADDRESS",
            "Address to listen on; 0.0.0.0 for all [127.0.0.1]");
  group.number("--port", units.port, 0, 65535, "Port to listen on; 0 for any free one [8000]");
  group.add("--unix-socket", serve.http.unix_socket, "PATH",
            "Listen on a socket file instead [none]");
  group.add("--tls-cert", serve.http.tls_certificate, "FILE",
            "Certificate (PEM, with its chain): speak HTTPS [HTTP]");
  group.add("--tls-key", serve.http.tls_key, "FILE", "Its private key (PEM)");
  group.flag("--no-page", units.no_page, "Leave the chat page at / out");
  group.add("--trace", serve.trace, "FILE",
            "Write a trace of steps and requests, for ui.perfetto.dev [none]");
}

void add_model_options(CLI::App& app, ServeCommand& serve) {
  Group group(app, "Models: several in one server");
  group
      .add("--models-dir", serve.models_dir, "FOLDER",
           "Serve each model of this folder, too: folders with a config.json and GGUF files [none]")
      ->check(CLI::ExistingDirectory.description(""));
  group
      .add("--models", serve.models_file, "FILE",
           "Serve the models of this TOML file, too: a table [NAME] each, with path, aliases, pin, "
           "load and engine options such as kv-bits [none]")
      ->check(CLI::ExistingFile.description(""));
  group.number("--idle-unload", serve.idle_unload_s, 0.0, 1e8,
               "Seconds without a request after which a model is unloaded; 0: never [0]");
  group.number("--max-loaded", serve.max_loaded, 1, 1 << 10,
               "Models loaded at once; the one used least recently makes room [what the memory "
               "holds]");
}

void add_load_options(CLI::App& app, ServeCommand& serve, ServeUnits& units) {
  Group group(app, "Load: how much at once, and for how long");
  group.number("--max-connections", serve.http.max_connections, 1, 1 << 16,
               "Clients connected at once [512]");
  group.number("--max-queue", serve.engine.max_queue, 1, 1 << 20,
               "Requests waiting at most; more are answered 429 [1024]");
  group.number("--request-timeout", serve.engine.request_timeout_s, 0.0, 1e6,
               "Seconds that an answer may take, its wait included; 0: no limit [0]");
  group.number("--drain-seconds", units.drain_s, 0, 86400,
               "Time for running answers to end after SIGTERM [30]");
  group.number("--keep-alive-seconds", units.keep_alive_s, 0.0, 86400.0,
               "Silence after which a stream gets a comment, so that nobody takes it for dead; 0: "
               "none [15]");
}

void add_access_options(CLI::App& app, ServeCommand& serve) {
  Group group(app, "Access: keys, web pages, quotas");
  group
      .add("--api-key", serve.access.api_keys, "KEY",
           "Serve only who shows this key; may be repeated. Others see it in the list of "
           "processes: prefer a "
           "file or PIPPIN_API_KEYS (with commas) [none]")
      ->allow_extra_args(false);
  group.add("--api-key-file", serve.api_key_file, "FILE", "File with such keys, one a line [none]")
      ->check(CLI::ExistingFile.description(""));
  group
      .add("--admin-key", serve.access.admin_keys, "KEY",
           "A key that may also do what concerns all: empty the caches; may be repeated [the only "
           "key, where there is one]")
      ->allow_extra_args(false);
  group.add("--admin-key-file", serve.admin_key_file, "FILE", "File with such keys [none]")
      ->check(CLI::ExistingFile.description(""));
  group.flag("--cache-per-key", serve.api.cache_per_key,
             "Share no cached prompt or picture between keys");
  group.number("--requests-per-minute", serve.access.requests_per_minute, 1, 1 << 20,
               "Of each key; more are answered 429 [any number]");
  group.number("--max-concurrent", serve.access.max_concurrent, 1, 1 << 20,
               "Requests of each key at once; more are answered 429 [any number]");
  group
      .add("--cors-origin", serve.access.cors_origins, "ORIGIN",
           "Web pages that may use the server: https://chat.example.com, or *; may be repeated "
           "[none]")
      ->allow_extra_args(false);
  group
      .add("--allowed-host", serve.access.allowed_hosts, "NAME",
           "Name by which the server may be asked beside this machine's, or *; may be repeated "
           "[none]")
      ->allow_extra_args(false);
}

void add_request_options(CLI::App& app, ServeCommand& serve, ServeUnits& units) {
  Group group(app, "Requests: names, fields, sizes");
  group
      .add("--served-model-name", serve.api.model_names, "NAME",
           "Name of the model for clients; may be repeated [the directory's]")
      ->allow_extra_args(false);
  group.number("--response-store-mb", units.response_store_mb, std::int64_t{0}, no_limit,
               "Memory for responses that later requests name by id, in MB; 0 keeps none [64]");
  group.add("--response-dir", serve.api.responses.folder, "FOLDER",
            "Keep them here for the next start, too, up to 1 GB [none]");
  group.flag("--strict-fields", serve.api.strict_fields,
             "Refuse unknown fields instead of listing them in X-Pippin-Ignored");
  group.flag("--no-canonical-prompts", units.no_canonical_prompts,
             "Leave lines such as Claude Code's billing header in system prompts");
  group.number("--max-body-mb", units.max_body_mb, std::int64_t{1}, std::int64_t{4096},
               "Largest request, in MB [16]");
  group.number(
      "--bodies-mb", units.bodies_mb, std::int64_t{1}, std::int64_t{1} << 20,
      "Memory for all requests' bodies until they are read, in MB; more wait, then get 503 "
      "[a twentieth of all, from 64 to 256]");
}

void add_media_options(CLI::App& app, ServeCommand& serve, ServeUnits& units) {
  Group group(app, "Media: pictures and videos");
  group.number("--max-image-mb", units.max_image_mb, std::int64_t{1}, std::int64_t{4096},
               "Largest picture file, in MB [20]");
  group.number("--max-image-megapixels", units.max_image_megapixels, std::int64_t{1},
               std::int64_t{1024}, "Largest picture, in millions of pixels [64]");
  group.number("--max-video-mb", units.max_video_mb, std::int64_t{1}, std::int64_t{65536},
               "Largest video file, in MB [64]");
  group.number(
      "--decoded-mb", units.decoded_mb, std::int64_t{1}, no_limit,
      "Memory for decoded pictures and videos and fetched files, in MB, for which requests wait "
      "[a quarter of what weights leave, up to 1280]");
  group.number(
      "--decoded-cache-mb", units.decoded_cache_mb, std::int64_t{0}, no_limit,
      "The part of --decoded-mb that keeps decoded ones for later requests; 0 keeps none [256]");
  group.number("--max-video-seconds", serve.api.media.video.max_seconds, 1.0, 1e6,
               "Longest video [3600]");
  group.number("--max-video-decode-seconds", serve.api.media.video.max_decode_seconds, 0.1, 1e6,
               "Longest time that decoding one may take [60]");
  group
      .add("--media-root", serve.api.fetch.media_root, "FOLDER",
           "Folder whose files requests may name by file: URLs [none]")
      ->check(CLI::ExistingDirectory.description(""));
  group.flag("--allow-private-urls,--allow-private-media", serve.api.fetch.allow_private_networks,
             "Let requests fetch media from private addresses, too");
}

// An address of IPv6 as URLs have it.
std::string without_brackets(const std::string& host) {
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

// A twentieth of the memory: bodies become conversations, which take several times as much.
std::int64_t default_bodies() {
  constexpr std::int64_t least = 64 << 20, most = 256 << 20;
  return std::clamp(memory_limit_bytes() / 20, least, most);
}

}  // namespace

CLI::App* add_serve(CLI::App& app, ServeCommand& serve, ServeUnits& units) {
  CLI::App* serving = app.add_subcommand("serve", "Serve models through the OpenAI API");
  serving
      ->add_option("MODEL", serve.models,
                   std::string(model_help) +
                       "; several: requests choose by `model`, the first is loaded at the start, "
                       "others when they are asked for [demo]")
      ->type_name("");
  add_model_options(*serving, serve);
  add_offline(*serving, serve.offline);
  add_network_options(*serving, serve, units);
  add_load_options(*serving, serve, units);
  add_access_options(*serving, serve);
  add_request_options(*serving, serve, units);
  add_media_options(*serving, serve, units);
  add_engine_options(*serving, serve.engine, units.engine);
  // For tests; in no help.
  serving->add_option("--fail-every", serve.fail_every)->check(CLI::PositiveNumber)->group("");
  return serving;
}

namespace {

// What a model's table says counts over what the command line says for all.
EngineOptions engine_options_of(const std::vector<std::string>& words, EngineOptions engine,
                                EngineUnits units) {
  CLI::App app("", "");
  app.set_help_flag("");
  add_engine_options(app, engine, units);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // as CLI11 takes them
  } catch (const CLI::Error& error) {
    throw Error(Code::invalid_argument, error.what());
  }
  finish_engine(engine, units);
  return engine;
}

}  // namespace

void finish_serve(ServeCommand& serve, const ServeUnits& units) {
  if (serve.models.empty() && serve.models_dir.empty() && serve.models_file.empty())
    serve.models.emplace_back("demo");
  finish_engine(serve.engine, units.engine);
  serve.api.canonical_prompts = !units.no_canonical_prompts;
  serve.api.page = !units.no_page;
  serve.api.responses.max_bytes = static_cast<std::size_t>(units.response_store_mb) << 20;
  serve.http.port = static_cast<std::uint16_t>(units.port);
  serve.http.host = without_brackets(serve.http.host);
  serve.http.max_body_bytes = static_cast<std::size_t>(units.max_body_mb) << 20;
  serve.http.max_bodies_bytes =
      static_cast<std::size_t>(units.bodies_mb >= 0 ? units.bodies_mb << 20 : default_bodies());
  serve.api.media.image.max_bytes = units.max_image_mb << 20;
  serve.api.media.image.max_pixels = units.max_image_megapixels * 1'000'000;
  serve.api.decoded_cache_bytes = units.decoded_cache_mb << 20;
  if (units.decoded_mb >= 0) serve.engine.decoded_bytes = units.decoded_mb << 20;
  serve.api.request_timeout_s = serve.engine.request_timeout_s;
  serve.api.media.video.max_bytes = units.max_video_mb << 20;
  serve.api.media.max_pixels = 4 * serve.api.media.image.max_pixels;
  serve.http.keep_alive_interval =
      std::chrono::milliseconds(static_cast<std::int64_t>(units.keep_alive_s * 1000));
  serve.drain = std::chrono::seconds(units.drain_s);
  serve.engine_options = [engine = serve.engine,
                          units = units.engine](const std::vector<std::string>& words) {
    return engine_options_of(words, engine, units);
  };
}

}  // namespace pippin
