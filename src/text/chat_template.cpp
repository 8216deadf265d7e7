#include "text/chat_template.h"

#include <utility>

#include "base/files.h"
#include "base/json.h"
#include "base/rust.h"
#include "gguf/model_files.h"
#include "pippin/error.h"
#include "text/special_tokens.h"

namespace pippin::text {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefault = "default";

struct Source {
  std::string text;
  std::string where;  ///< the file it comes from
};
using Sources = std::map<std::string, Source>;  ///< by template name

/// A template as JSON files hold it: one string, or a list of {name, template}.
void add_from_json(const json::object& object, const fs::path& file, Sources& sources) {
  const auto* found = object.if_contains("chat_template");
  if (!found || found->is_null()) return;
  if (const auto* text = found->if_string()) {
    sources[kDefault] = {std::string(*text), file.string()};
    return;
  }
  const auto* list = found->if_array();
  const auto fail = [&] {
    throw Error(Code::invalid_argument, "[chat_template] " + file.string() +
                                            ": chat_template is neither text nor a list of "
                                            "{name, template}");
  };
  if (!list) fail();
  for (const auto& entry : *list) {
    const auto* named = entry.if_object();
    const auto* name = named ? named->if_contains("name") : nullptr;
    const auto* text = named ? named->if_contains("template") : nullptr;
    if (!name || !name->is_string() || !text || !text->is_string()) fail();
    sources[std::string(name->get_string())] = {std::string(text->get_string()), file.string()};
  }
}

/// All templates of a directory; a file of its own wins over one inside another file.
Sources find_sources(const fs::path& model_dir) {
  Sources sources;
  for (const auto* name : {"tokenizer_config.json", "chat_template.json"}) {
    if (const auto config = gguf::model_json(model_dir, name))
      add_from_json(*config, model_dir / name, sources);
  }
  const auto main_file = model_dir / "chat_template.jinja";
  if (fs::exists(main_file)) sources[kDefault] = {read_text(main_file), main_file.string()};
  const auto folder = model_dir / "additional_chat_templates";
  if (!fs::is_directory(folder)) return sources;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    sources[entry.path().stem().string()] = {read_text(entry.path()), entry.path().string()};
  }
  return sources;
}

std::string to_json(const std::map<std::string, std::string>& members) {
  json::object object;
  for (const auto& [name, value] : members) object[name] = value;
  return json::serialize(object);
}

/// An empty document is an absent one.
PippinText document(const std::string& text) {
  return {text.empty() ? nullptr : rust::bytes(text), text.size()};
}

bool has_documents(const std::string& kwargs_json) {
  if (kwargs_json.find("\"documents\"") == std::string::npos) return false;
  const auto kwargs = parse_json(kwargs_json, "chat_template_kwargs");
  const auto* object = kwargs.if_object();
  const auto* documents = object ? object->if_contains("documents") : nullptr;
  return documents && !documents->is_null();
}

}  // namespace

/// One compiled template and its source.
struct ChatTemplate::Compiled {
  Compiled(std::string text, const std::string& where) : source(std::move(text)) {
    rust::Buffer error;
    const auto status =
        pippin_template_new(rust::bytes(source), source.size(), &handle, error.out());
    rust::check(status, error, where);
  }
  ~Compiled() { pippin_template_free(handle); }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;

  std::string source;
  PippinTemplate* handle = nullptr;
};

void ChatTemplate::add(const std::string& name, std::string source, const std::string& where) {
  templates_[name] = std::make_shared<const Compiled>(std::move(source), where);
}

ChatTemplate ChatTemplate::load(const std::filesystem::path& model_dir) {
  ChatTemplate loaded;
  for (auto& [name, source] : find_sources(model_dir)) {
    loaded.add(name, std::move(source.text), "chat_template: " + source.where);
  }
  if (loaded.templates_.empty()) {
    throw Error(Code::not_found, "[chat_template] no chat template in " + model_dir.string() +
                                     " (chat_template.jinja, chat_template.json or "
                                     "tokenizer_config.json)");
  }
  loaded.special_tokens_json_ = to_json(read_special_tokens(model_dir));
  return loaded;
}

ChatTemplate ChatTemplate::parse(std::string_view source,
                                 const std::map<std::string, std::string>& special_tokens) {
  ChatTemplate parsed;
  parsed.add(kDefault, std::string(source), "chat_template");
  parsed.special_tokens_json_ = to_json(special_tokens);
  return parsed;
}

const ChatTemplate::Compiled& ChatTemplate::choose(bool with_tools, bool with_documents) const {
  const auto named = [&](const char* name) {
    const auto found = templates_.find(name);
    return found == templates_.end() ? nullptr : found->second.get();
  };
  const Compiled* chosen = nullptr;
  if (with_tools) chosen = named("tool_use");
  if (!chosen && with_documents) chosen = named("rag");
  if (!chosen) chosen = named(kDefault);
  return chosen ? *chosen : *templates_.begin()->second;
}

const std::string& ChatTemplate::source(bool with_tools) const {
  return choose(with_tools, false).source;
}

std::string ChatTemplate::render(const ChatInput& input) const {
  const auto& chosen = choose(!input.tools_json.empty(), has_documents(input.kwargs_json));
  const PippinTemplateInput raw{document(input.messages_json), document(input.tools_json),
                                document(input.kwargs_json),   document(special_tokens_json_),
                                document(input.now),           input.add_generation_prompt ? 1 : 0};
  rust::Buffer text;
  rust::Buffer error;
  const auto status = pippin_template_render(chosen.handle, &raw, text.out(), error.out());
  rust::check(status, error, "chat_template");
  return std::string(text.view());
}

}  // namespace pippin::text
