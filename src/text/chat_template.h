// Messages to prompt text, by the Jinja template that a checkpoint carries.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

struct PippinTemplate;

namespace pippin::text {

/// What one rendering sees. The JSON documents are text, so that key order survives.
struct ChatInput {
  /// JSON array of messages, as the template expects them.
  std::string messages_json;
  /// JSON array of tools; empty: the template sees none.
  std::string tools_json;
  /// JSON object of further variables (chat_template_kwargs); empty: none.
  std::string kwargs_json;
  /// Ends the prompt where the assistant begins to speak.
  bool add_generation_prompt = true;
  /// What strftime_now says, "2026-11-22T19:32:12"; empty: the local time.
  std::string now;
};

/// A checkpoint's chat template, or templates: some carry one for tools and one for documents
/// (RAG). Owns the compiled templates. Immutable after load: any thread may render at once.
class ChatTemplate {
 public:
  /// Finds the template where published checkpoints keep it: chat_template.jinja,
  /// chat_template.json, tokenizer_config.json (one, or a list of named ones), and further named
  /// ones in additional_chat_templates/. Throws Error(not_found) where there is none,
  /// Error(invalid_argument) naming file and line where one does not parse.
  static ChatTemplate load(const std::filesystem::path& model_dir);
  /// One template given as text; `special_tokens` are variables by name ("bos_token" ...).
  static ChatTemplate parse(std::string_view source,
                            const std::map<std::string, std::string>& special_tokens = {});

  /// The prompt. The template named "tool_use" renders where there are tools, "rag" where kwargs
  /// hold documents, and the default one otherwise. Throws Error(invalid_argument) with the
  /// template's line and what it raised, or where it goes beyond the bounds on work and output.
  std::string render(const ChatInput& input) const;

  /// The template's Jinja source that a rendering with or without tools uses.
  const std::string& source(bool with_tools = false) const;

 private:
  struct Compiled;

  ChatTemplate() = default;
  void add(const std::string& name, std::string source, const std::string& where);
  const Compiled& choose(bool with_tools, bool with_documents) const;

  std::map<std::string, std::shared_ptr<const Compiled>> templates_;  ///< by name
  std::string special_tokens_json_;                                   ///< JSON object
};

}  // namespace pippin::text
