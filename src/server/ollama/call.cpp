#include "server/ollama/call.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <utility>

#include "base/json.h"
#include "server/chat/messages.h"
#include "server/chat/thinking.h"
#include "server/ollama/messages.h"
#include "server/schema/request_fields.h"
#include "server/schema/request_json.h"

namespace pippin::server {
namespace {

using namespace field_tests;

bool is_time(const json::value& value) { return value.is_string() || value.is_number(); }
bool is_blank(const json::value& value) { return value == "" || is_empty(value); }

// clang-format off
constexpr auto shared = std::to_array<Field>({
    {"model", any, ""}, {"stream", any, ""}, {"options", any, ""}, {"format", any, ""}, {"think", any, ""},
    {"logprobs", any, ""}, {"top_logprobs", any, ""}, {"cache_salt", any, ""},
    {"keep_alive", is_time, "a duration: \"5m\", or seconds"},
    // Without influence on the answer: what is too long is refused.
    {"truncate", is_bool, "a boolean"}, {"shift", is_bool, "a boolean"},
});
constexpr auto chat_fields = joined(shared, std::to_array<Field>({
    {"messages", any, ""}, {"tools", any, ""},
}));
constexpr auto generate_fields = joined(shared, std::to_array<Field>({
    {"prompt", any, ""}, {"suffix", any, ""}, {"system", any, ""}, {"images", any, ""}, {"raw", any, ""},
    {"template", is_blank, "empty (the model's own is taken)"},
    {"context", is_blank, "empty (see /api/chat, whose conversations are cached)"},
    // Of models that make pictures.
    {"width", is_zero, "0"}, {"height", is_zero, "0"}, {"steps", is_zero, "0"},
}));
constexpr Field show_fields[] = {
    {"model", any, ""}, {"name", is_string, "a string"}, {"verbose", is_bool, "a boolean"}, {"system", is_string, "a string"},
    {"template", is_string, "a string"}, {"options", is_object, "an object"},
};

// What `options` may have.
constexpr Field option_fields[] = {
    {"temperature", any, ""}, {"top_k", any, ""}, {"top_p", any, ""}, {"min_p", any, ""}, {"seed", any, ""}, {"stop", any, ""},
    {"presence_penalty", any, ""}, {"frequency_penalty", any, ""}, {"repeat_penalty", any, ""}, {"num_predict", any, ""},

    // How a model is loaded, which the server was told at its start; and of the penalty, which looks at the whole context.
    {"num_ctx", is_number, "a number"}, {"num_keep", is_number, "a number"}, {"num_batch", is_number, "a number"},
    {"num_gpu", is_number, "a number"}, {"main_gpu", is_number, "a number"}, {"num_thread", is_number, "a number"},
    {"low_vram", is_bool, "a boolean"}, {"vocab_only", is_bool, "a boolean"}, {"use_mmap", is_bool, "a boolean"},
    {"use_mlock", is_bool, "a boolean"}, {"numa", is_bool, "a boolean"}, {"f16_kv", is_bool, "a boolean"},
    {"logits_all", is_bool, "a boolean"}, {"embedding_only", is_bool, "a boolean"}, {"repeat_last_n", is_number, "a number"},
    {"penalize_newline", is_bool, "a boolean"}, {"mirostat_tau", is_number, "a number"}, {"mirostat_eta", is_number, "a number"},

    // That would change the answer.
    {"typical_p", is_one, "1"}, {"tfs_z", is_one, "1"}, {"mirostat", is_zero, "0"},
};
// clang-format on

struct Settings {
  SamplingOptions sampling;
  StopOptions stop;
};

Settings parse_options(const Members& body, const SamplingOptions& defaults) {
  const json::object none;
  const json::object* object = body.object("options");
  const Members options(object ? *object : none, "options");
  for (const Field& field : option_fields) pass_over(options, {field.name});
  if (object)
    check_fields(*object,
                 option_fields);  // unknown names are told as all members that nobody reads
  Settings settings{parse_sampling(options, defaults), parse_stop(options)};
  settings.sampling.repetition_penalty =
      number_in(options, "repeat_penalty", 0.01, 100, settings.sampling.repetition_penalty);
  // -1 and -2 are "as many as it takes".
  settings.stop.max_tokens = std::max<std::int64_t>(options.integer_or("num_predict", 0), 0);
  return settings;
}

// "json", or a schema.
ResponseFormat parse_format(const RequestBody& request, const Members& body) {
  const json::value* format = body.find("format");
  if (!format || *format == "") return {};
  if (*format == "json") return {ResponseFormat::Kind::json_object, {}, "format"};
  if (!format->is_object()) refuse("format", "must be \"json\" or a JSON Schema");
  return {ResponseFormat::Kind::json_schema, request.text_of(*format), "format"};
}

// A boolean, or how much.
std::string parse_think(const Members& body) {
  const json::value* think = body.find("think");
  if (!think) return {};
  json::object kwargs;
  if (think->is_bool())
    set_thinking(kwargs, think->as_bool());
  else if (think->is_string())
    set_effort(kwargs, think->as_string(), "think");
  else
    refuse("think", "must be a boolean, \"low\", \"medium\" or \"high\"");
  return json::serialize(kwargs);
}

// Ollama streams unless told otherwise.
bool parse_stream(const Members& body) { return body.boolean("stream").value_or(true); }

TokenWishes parse_token_wishes(const Members& body, SamplingOptions& sampling) {
  const auto top = body.integer("top_logprobs");
  if (top && (*top < 0 || *top > max_top_logprobs))
    refuse("top_logprobs", "must be between 0 and " + std::to_string(max_top_logprobs));
  TokenWishes wishes;
  wishes.logprobs = body.boolean("logprobs").value_or(top.value_or(0) > 0);
  if (wishes.logprobs) sampling.top_logprobs = static_cast<int>(top.value_or(0));
  return wishes;
}

// Other clients than Ollama's own say "latest" of every model.
std::string model_of(const Members& body) {
  constexpr std::string_view latest = ":latest";
  std::string name = body.string("model").value_or("");
  if (name.ends_with(latest)) name.resize(name.size() - latest.size());
  return name;
}

// As Go writes durations: "300ms", "1h30m", "-1s"; a bare number counts seconds.
std::optional<double> parse_keep_alive(const Members& body) {
  const json::value* field = body.find("keep_alive");
  if (!field) return {};
  if (field->is_number()) return field->to_number<double>();
  const auto refuse_it = [] { refuse("keep_alive", "must be a duration: \"5m\", or seconds"); };
  std::string text(field->as_string());
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.erase(0, 1);
  if (text.empty()) refuse_it();
  double seconds = 0;
  const char* at = text.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    const double count = std::strtod(at, &end);
    if (end == at || !std::isfinite(count) || count < 0) refuse_it();
    const std::string_view rest(end);
    const auto unit = rest.substr(0, rest.find_first_of("0123456789."));
    const std::pair<std::string_view, double> units[] = {{"h", 3600},  {"m", 60},    {"s", 1},
                                                         {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}};
    const auto known = std::find_if(std::begin(units), std::end(units),
                                    [&](const auto& one) { return one.first == unit; });
    const bool bare = unit.empty() && at == text.c_str();
    if (known == std::end(units) && !bare) refuse_it();
    seconds += count * (bare ? 1 : known->second);
    at = end + unit.size();
  }
  return negative ? -seconds : seconds;
}

ChatCall parse_shared(const RequestBody& request, const Members& body,
                      const SamplingDefaults& defaults, std::vector<std::string> ignored) {
  ChatCall call;
  call.ignored = std::move(ignored);
  call.model = model_of(body);
  call.keep_alive_s = parse_keep_alive(body);
  call.stream = parse_stream(body);
  auto settings = parse_options(body, defaults.of(call.model));
  call.tokens = parse_token_wishes(body, settings.sampling);
  call.request.sampling = std::move(settings.sampling);
  call.request.stop = std::move(settings.stop);
  call.request.format = parse_format(request, body);
  call.request.template_kwargs_json = parse_think(body);
  call.request.cache_salt = parse_cache_salt(body);
  return call;
}

bool ends_in_calls(const std::vector<Message>& messages) {
  const std::string& extra = messages.back().extra_json;
  return !extra.empty() && parse_json(extra, "extra_json").as_object().contains("tool_calls");
}

CompletionCall as_completion(ChatCall chat, std::string prompt, std::string suffix) {
  CompletionCall call;
  call.model = std::move(chat.model);
  call.keep_alive_s = chat.keep_alive_s;
  call.stream = chat.stream;
  call.tokens = chat.tokens;
  call.ignored = std::move(chat.ignored);
  CompletionRequest request;
  request.text = std::move(prompt);
  request.suffix = std::move(suffix);
  request.cache_salt = std::move(chat.request.cache_salt);
  request.sampling = std::move(chat.request.sampling);
  request.stop = std::move(chat.request.stop);
  request.format = std::move(chat.request.format);
  call.requests.push_back(std::move(request));
  return call;
}

}  // namespace

std::span<const Field> ollama_chat_fields() { return chat_fields; }
std::span<const Field> ollama_generate_fields() { return generate_fields; }
std::span<const Field> ollama_show_fields() { return show_fields; }

OllamaChat parse_ollama_chat(std::string_view text, const SamplingDefaults& defaults) {
  const RequestBody request(text);
  const Members body(request.object());
  OllamaChat call{
      parse_shared(request, body, defaults, check_fields(request.object(), chat_fields)), false};
  if (const json::array* tools = body.array("tools"))
    call.chat.request.tools_json = parse_tools(*tools);
  const json::array* messages = body.array("messages");
  call.only_loads = !messages || messages->empty();
  if (call.only_loads) return call;
  ParsedMessages parsed = parse_ollama_messages(request, *messages);
  // Ollama's templates leave a last turn of the assistant's open. Behind calls nothing is: they are whole.
  if (!ends_in_calls(parsed.messages)) call.chat.request.prompt_end = prompt_end_of(parsed);
  call.chat.request.messages = std::move(parsed.messages);
  call.chat.media = std::move(parsed.media);
  request.add_unread(call.chat.ignored);
  return call;
}

OllamaGenerate parse_ollama_generate(std::string_view text, const SamplingDefaults& defaults) {
  const RequestBody request(text);
  const Members body(request.object());
  OllamaGenerate call{
      parse_shared(request, body, defaults, check_fields(request.object(), generate_fields)),
      {},
      false};
  std::string prompt = body.string("prompt").value_or(""),
              suffix = body.string("suffix").value_or("");
  const bool raw = body.boolean("raw").value_or(false);
  const json::array* images = body.array("images");
  call.only_loads = prompt.empty() && suffix.empty() && (!images || images->empty());
  request.add_unread(call.chat.ignored);
  if (call.only_loads) return call;
  const std::string system = body.string("system").value_or("");
  if (raw || !suffix.empty()) {
    for (const char* field : {"system", "images"})
      if (const auto* value = body.find(field); value && !is_blank(*value))
        refuse(field, "is not supported beside 'raw' or 'suffix', which take no template");
    call.text = as_completion(std::move(call.chat), std::move(prompt), std::move(suffix));
    return call;
  }
  ParsedMessages parsed = ollama_prompt(system, std::move(prompt), images);
  call.chat.request.messages = std::move(parsed.messages);
  call.chat.media = std::move(parsed.media);
  return call;
}

std::string parse_ollama_show(std::string_view text) {
  const RequestBody request(text);
  check_fields(request.object(), show_fields);
  const Members body(request.object());
  return model_of(body);
}

}  // namespace pippin::server
