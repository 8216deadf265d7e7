#include "main/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <utility>

#include "base/memory.h"
#include "text/parsers/registry.h"

namespace pippin {
namespace {

constexpr const char* model_help =
    "Directory of a Hugging Face or MLX model, or 'demo' for the built-in one";

// Options counted in other units than the structs hold; copied over when parsing has ended.
struct Units {
  std::int64_t max_body_mb = 16;
  std::int64_t bodies_mb = -1;
  std::int64_t max_image_mb = 20;
  std::int64_t max_image_megapixels = 64;
  std::int64_t max_video_mb = 64;
  std::int64_t decoded_cache_mb = 256;
  std::int64_t decoded_mb = -1;
  std::int64_t response_store_mb = 64;
  double kv_gb = 0;
  double cache_disk_gb = 10;
  std::int64_t media_cache_mb = -1;
  double memory_gb = 0;
  int drain_s = 30;
  int port = 8000;
  double keep_alive_s = 15;
  std::string dtype = "auto", kv_dtype = "auto", cpu_activations = "int8";
  bool no_prefix_cache = false;
  bool no_overlap = false;
  bool no_warmup = false;
  bool no_canonical_prompts = false;
  bool no_page = false;
  std::string prompt_tokens = "128", output_tokens = "64";
  bool no_stream = false;
};

const std::map<std::string, DType> dtypes = {{"auto", DType::automatic},
                                             {"float32", DType::float32},
                                             {"float16", DType::float16},
                                             {"bfloat16", DType::bfloat16}};

constexpr std::int64_t no_limit = std::int64_t{1} << 40;

// Options of a subcommand under one heading of its help.
class Group {
 public:
  Group(CLI::App& app, std::string title) : app_(app), title_(std::move(title)) {}

  template <class T>
  CLI::Option* add(const char* name, T& value, const char* type, const std::string& help) {
    return app_.add_option(name, value, help)->type_name(type)->group(title_);
  }
  template <class T, class Bound>
  CLI::Option* number(const char* name, T& value, Bound low, Bound high, const std::string& help) {
    return add(name, value, "N", help)->check(CLI::Range(low, high).description(""));
  }
  void flag(const char* name, bool& value, const std::string& help) {
    app_.add_flag(name, value, help)->group(title_);
  }

 private:
  CLI::App& app_;
  const std::string title_;
};

void add_engine_options(CLI::App& app, EngineOptions& engine, Units& units) {
  Group group(app, "Engine");
  group.add("--device", engine.device, "NAME", "cpu or gpu [a GPU where there is one]")
      ->check(CLI::IsMember({"cpu", "gpu"}).description(""));
  group
      .add("--dtype", units.dtype, "NAME", "Arithmetic: auto, float32, float16 or bfloat16 [auto]")
      ->check(CLI::IsMember({"auto", "float32", "float16", "bfloat16"}).description(""));
  group
      .add("--kv-dtype", units.kv_dtype, "NAME",
           "Stored attention cache [auto: float16 on a CPU, else as --dtype]")
      ->check(CLI::IsMember({"auto", "float32", "float16", "bfloat16"}).description(""));
  group
      .add("--kv-bits", engine.kv_bits, "N",
           "Keep the attention cache in 8 or 4 bits a number, in place of --kv-dtype [off]")
      ->check(CLI::IsMember({8, 4}).description(""));
  group.number("--threads", engine.threads, 0, 1024, "Threads of a CPU's kernels [all cores]");
  group
      .add("--cpu-activations", units.cpu_activations, "NAME",
           "Before quantized weights on a CPU: int8, or float32 (slower, exact) [int8]")
      ->check(CLI::IsMember({"int8", "float32"}).description(""));
  group.number("--max-context", engine.max_context, std::int64_t{1}, no_limit,
               "Longest prompt and answer together, in tokens [the model's]");
  auto* fraction = group.number("--memory-fraction", engine.memory_fraction, 0.01, 1.0,
                                "Share of the memory that the engine takes, all of it for the "
                                "attention cache where given [0.8]");
  group.number("--memory-gb", units.memory_gb, 0.01, 1e6, "The same in GB")->excludes(fraction);
  group.number("--kv-gb", units.kv_gb, 0.001, 1e6,
               "Memory for the attention cache, in GB [a quarter of all]");
  group.number("--kv-tokens", engine.kv_pool_tokens, std::int64_t{1}, no_limit,
               "Tokens that this cache holds [4 contexts, within --kv-gb]");
  group.flag("--preallocate-kv", engine.preallocate_kv,
             "Take all of its memory at the start instead of as it is used");
  group.number("--page-size", engine.page_size, 1, 1024, "Tokens in a page of this cache [16]");
  group.number("--snapshot-tokens", engine.snapshot_tokens, 1, 1 << 24,
               "Tokens between snapshots of recurrent layers' states, a multiple of --page-size "
               "[by their size, 512 to 2048]");
  group.number("--max-batch-tokens", engine.max_batch_tokens, 1, 1 << 20,
               "Tokens computed in one step [512]");
  group.number("--max-itl-ms", engine.max_itl_ms, 2, 60000,
               "Time between a stream's tokens aimed at while prompts are read beside it [100]");
  group.number("--max-sequences", engine.max_sequences, 1, 1 << 16,
               "Answers generated at once [64]");
  group
      .add("--tool-parser", engine.tool_parser, "NAME",
           "How tool calls are read from answers: a format, auto or none [auto]")
      ->check(CLI::IsMember(text::OutputFormat::tool_parsers()).description(""));
  group
      .add("--reasoning-parser", engine.reasoning_parser, "NAME",
           "How reasoning is told from answers: a format, auto or none [auto]")
      ->check(CLI::IsMember(text::OutputFormat::reasoning_parsers()).description(""));
  group.number("--media-cache-mb", units.media_cache_mb, std::int64_t{0}, no_limit,
               "Memory for encoded pictures and videos, in MB; 0 keeps none [up to 512]");
  group.add("--cache-dir", engine.cache_dir, "FOLDER",
            "Keep what was read and seen here for the next start, too [none]");
  group.number("--cache-disk-gb", units.cache_disk_gb, 0.001, 1e6,
               "Size of that folder at most, in GB [10]");
  group.flag("--no-prefix-cache", units.no_prefix_cache, "Read every prompt anew (to compare)");
  group.flag("--no-overlap", units.no_overlap,
             "Launch a GPU's step only once the one before is read (to compare)");
  group.flag("--no-warmup", units.no_warmup,
             "Leave compiling a GPU's kernels to the first requests");
}

void finish_engine(EngineOptions& engine, const Units& units) {
  engine.kv_pool_bytes = static_cast<std::int64_t>(units.kv_gb * (1 << 30));
  engine.cache_disk_bytes = static_cast<std::int64_t>(units.cache_disk_gb * (1 << 30));
  engine.memory_bytes = static_cast<std::int64_t>(units.memory_gb * (1 << 30));
  if (units.media_cache_mb >= 0) engine.media_cache_bytes = units.media_cache_mb << 20;
  engine.prefix_cache = !units.no_prefix_cache;
  engine.overlap = !units.no_overlap;
  engine.warm_up = !units.no_warmup;
  engine.dtype = dtypes.at(units.dtype);
  engine.kv_dtype = dtypes.at(units.kv_dtype);
  engine.cpu_activations =
      units.cpu_activations == "int8" ? CpuActivations::int8 : CpuActivations::float32;
}

void add_network_options(CLI::App& app, ServeCommand& serve, Units& units) {
  Group group(app, "Network");
  group.add("--host", serve.http.host, "ADDRESS",
            "Address to listen on; 0.0.0.0 for all [127.0.0.1]");
  group.number("--port", units.port, 0, 65535, "Port to listen on; 0 for any free one [8000]");
  group.add("--unix-socket", serve.http.unix_socket, "PATH",
            "Listen on a socket file instead [none]");
  group.add("--tls-cert", serve.http.tls_certificate, "FILE",
            "Certificate (PEM, with its chain): speak HTTPS [HTTP]");
  group.add("--tls-key", serve.http.tls_key, "FILE", "Its private key (PEM)");
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
  group.flag("--no-page", units.no_page, "Leave the chat page at / out");
  group.add("--trace", serve.trace, "FILE",
            "Write a trace of steps and requests, for ui.perfetto.dev [none]");
}

void add_access_options(CLI::App& app, ServeCommand& serve) {
  Group group(app, "Access");
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

void add_request_options(CLI::App& app, ServeCommand& serve, Units& units) {
  Group group(app, "Requests");
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
  group.number("--decoded-cache-mb", units.decoded_cache_mb, std::int64_t{0}, no_limit,
               "Of these, decoded ones kept for later requests, in MB; 0 keeps none [256]");
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

void finish_serve(ServeCommand& serve, const Units& units) {
  finish_engine(serve.engine, units);
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
}

CLI::App* add_serve(CLI::App& app, ServeCommand& serve, Units& units) {
  CLI::App* serving = app.add_subcommand("serve", "Serve a model through the OpenAI API");
  serving->add_option("MODEL", serve.model, std::string(model_help) + " [demo]")->type_name("");
  add_network_options(*serving, serve, units);
  add_access_options(*serving, serve);
  add_request_options(*serving, serve, units);
  add_engine_options(*serving, serve.engine, units);
  // For tests; in no help.
  serving->add_option("--fail-every", serve.fail_every)->check(CLI::PositiveNumber)->group("");
  return serving;
}

void add_sampling_options(CLI::App& app, RunCommand& run) {
  Group group(app, "Sampling (the model's recommendation where left out)");
  group.number("--temperature", run.temperature, 0.0, 2.0,
               "0 takes the most likely token each time");
  group.number("--top-p", run.top_p, 1e-6, 1.0, "Keep the likeliest tokens up to this probability");
  group.number("--top-k", run.top_k, 0, 1 << 30,
               "Keep this many of the likeliest tokens; 0 keeps all");
  group.number("--min-p", run.min_p, 0.0, 1.0,
               "Drop tokens less likely than this times the likeliest");
  group.add("--seed", run.seed, "N", "Equal seeds give equal answers [random]");
  group.number("--max-tokens", run.stop.max_tokens, std::int64_t{1}, no_limit,
               "Longest answer [what the context holds]");
  group.add("--stop", run.stop.strings, "TEXT", "Text that ends the answer; may be repeated")
      ->allow_extra_args(false);
}

CLI::App* add_run(CLI::App& app, RunCommand& run, Units& units) {
  CLI::App* running = app.add_subcommand("run", "Answer one prompt in the terminal");
  running->add_option("MODEL", run.model, model_help)->type_name("")->required();
  running
      ->add_option("PROMPT", run.prompt,
                   "The question; read from standard input where it is left out")
      ->type_name("");
  running
      ->add_option("--image", run.images,
                   "Picture to show before the prompt: a file or URL; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  running
      ->add_option("--video", run.videos,
                   "Video to show before the prompt: a file or URL; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  running->add_option("--system", run.system, "System prompt")->type_name("TEXT");
  running->add_flag("--stats", run.stats, "Print tokens and speed at the end");
  add_sampling_options(*running, run);
  add_engine_options(*running, run.engine, units);
  return running;
}

void add_bench(CLI::App& app, BenchCommand& bench, Units& units) {
  CLI::App* measuring = app.add_subcommand("bench", "Measure a model's speed");
  measuring->add_option("MODEL", bench.model, std::string(model_help) + " [demo]")->type_name("");
  Group group(*measuring, "Measurements");
  group.add("--batch", bench.batches, "LIST", "Sequences at once, with commas [1,4,16]")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096).description(""));
  group
      .add("--prompt-tokens", bench.prompts, "LIST",
           "Lengths of their prompts, with commas [128,512]")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20).description(""));
  group.number("--new-tokens", bench.new_tokens, 2, 1 << 20, "Tokens that each generates [64]");
  group.number("--image", bench.image, 1, 1 << 14,
               "Instead: read a picture of N x N pixels, with as good as no text");
  group.number("--repeat", bench.repeats, 1, 100, "Runs of each; the best counts [1]");
  group.flag("--json", bench.json, "Print JSON instead of a table");
  group.flag("--profile", bench.profile, "Also print the time of each kind of operation (CPU)");
  add_engine_options(*measuring, bench.engine, units);
}

void add_traffic_options(CLI::App& app, BenchServeCommand& bench, Units& units) {
  Group group(app, "Traffic");
  group.number("--concurrency", bench.load.concurrency, 1, 1 << 16, "Conversations at once [16]");
  group.number("--rate", bench.workload.rate, 1e-3, 1e5,
               "Instead: conversations that begin in a second, at random times (Poisson)");
  group.number("--requests", bench.workload.requests, 1, 1 << 24, "Requests in all [100]");
  group.number("--duration", bench.load.duration_s, 0.1, 1e6,
               "Send none after so many seconds [no limit]");
  group.number("--turns", bench.workload.turns, 1, 1 << 16,
               "Requests of a conversation, each with all that came before [1]");
  group.add(
      "--prompt-tokens", units.prompt_tokens, "LENGTH",
      "New in each turn: N, uniform:LOW:HIGH, lognormal:MEDIAN:SIGMA or exponential:MEAN [128]");
  group.add("--output-tokens", units.output_tokens, "LENGTH", "Longest answers, likewise [64]");
  group.number("--shared-prefix", bench.workload.shared, 0.0, 1.0,
               "Share of a first prompt that others begin with, too [0]");
  group.number("--prefix-groups", bench.workload.groups, 1, 1 << 20,
               "Groups of conversations that share it [1]");
  group.number("--images", bench.workload.images, 0, 64, "Pictures in the first turn [0]");
  group.number("--image-side", bench.workload.image_side, 8, 4096, "Their size in pixels [256]");
  group.number("--image-pool", bench.workload.image_pool, 0, 1 << 20,
               "Different pictures in all; 0: each another [0]");
  group.number("--seed", bench.workload.seed, std::uint64_t{0}, ~std::uint64_t{0},
               "Equal seeds give equal traffic [0]");
}

void add_load_options(CLI::App& app, BenchServeCommand& bench, Units& units) {
  Group group(app, "Requests");
  group.add("--model", bench.load.model, "NAME", "Model to ask for [the first that is listed]");
  group.add("--api-key", bench.load.api_key, "KEY", "Sent as a bearer token [none]")
      ->envname("OPENAI_API_KEY");
  group.number("--temperature", bench.load.temperature, 0.0, 2.0, "Of sampling [the server's]");
  group.flag("--ignore-eos", bench.load.ignore_eos,
             "Ask for answers of full length (not every server can)");
  group.flag("--no-stream", units.no_stream, "Ask for whole answers");
  group.number("--timeout", bench.load.timeout_s, 0.1, 1e6, "Longest answer, in seconds [600]");
}

CLI::App* add_bench_serve(CLI::App& app, BenchServeCommand& bench, Units& units) {
  CLI::App* loading =
      app.add_subcommand("bench-serve", "Put a server of the OpenAI API under load, and time it");
  loading->add_option("URL", bench.load.url, "Of the API [http://127.0.0.1:8000/v1]")
      ->type_name("");
  add_traffic_options(*loading, bench, units);
  add_load_options(*loading, bench, units);
  Group group(*loading, "Results");
  group.add("--slo", bench.slo, "LEVELS",
            "Count answers that keep these, in milliseconds: ttft=500,tpot=50,e2e=10000");
  group.add("--json", bench.json_file, "FILE", "Write the results as JSON");
  group.add("--plot", bench.plot_file, "FILE", "Draw them, as SVG");
  return loading;
}

void finish_bench_serve(BenchServeCommand& bench, const Units& units) {
  bench.workload.prompt_tokens = Distribution::parse(units.prompt_tokens);
  bench.workload.output_tokens = Distribution::parse(units.output_tokens);
  bench.load.at_rate = bench.workload.rate > 0;
  bench.load.stream = !units.no_stream;
  while (bench.load.url.ends_with('/')) bench.load.url.pop_back();
}

}  // namespace

std::optional<CommandLine> parse_command_line(int argc, const char* const* argv, int& status) {
  CLI::App app("Language and vision-language models on your own machine.", "pippin");
  app.set_version_flag("--version", std::string("pippin ") + PIPPIN_VERSION);
  app.get_formatter()->column_width(34);
  app.require_subcommand(1);
  app.fallthrough();
  CommandLine line;
  app.add_option("--log-level", line.log_level, "trace, debug, info, warning, error or off [info]")
      ->type_name("NAME")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}).description(""));

  app.add_option("--log-format", line.log_format, "text, or json: an object a line [text]")
      ->type_name("NAME")
      ->check(CLI::IsMember({"text", "json"}).description(""));

  ServeCommand serve;
  RunCommand run;
  BenchCommand bench;
  BenchServeCommand bench_serve;
  Units units;
  const CLI::App* serving = add_serve(app, serve, units);
  const CLI::App* running = add_run(app, run, units);
  add_bench(app, bench, units);
  const CLI::App* loading = add_bench_serve(app, bench_serve, units);
  app.footer(
      "Examples:\n"
      "  pippin serve                                     the built-in model at "
      "http://127.0.0.1:8000/v1\n"
      "  pippin serve ~/models/Qwen3-0.6B-4bit --port 9000\n"
      "  pippin run demo \"What is in the picture?\" --image picture.png\n"
      "  pippin bench ~/models/Qwen3-0.6B-4bit --batch 1,8\n"
      "  pippin bench-serve http://127.0.0.1:8000/v1 --rate 2 --slo ttft=1000\n\n"
      "`pippin serve --help` lists the options of serve, and so on. Defaults are in brackets.");
  if (argc < 2) {
    std::cout << app.help();
    status = 0;
    return {};
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const auto named = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(named).empty()) {
      std::cerr << "There is no command '" << argv[1]
                << "'; there are serve, run, bench and bench-serve.\nRun with --help for more "
                   "information.\n";
      status = 2;
      return {};
    }
    // CLI11's own statuses are all different; a script only wants to know whether the usage was wrong.
    status = app.exit(error) == 0 ? 0 : 2;
    return {};
  }
  finish_serve(serve, units);
  finish_engine(run.engine, units);
  finish_engine(bench.engine, units);
  finish_bench_serve(bench_serve, units);
  if (serving->parsed())
    line.command = std::move(serve);
  else if (running->parsed())
    line.command = std::move(run);
  else if (loading->parsed())
    line.command = std::move(bench_serve);
  else
    line.command = std::move(bench);
  return line;
}

}  // namespace pippin
