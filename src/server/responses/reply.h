// Native types -> the JSON of OpenAI's Responses API, streamed and whole.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "server/chat/block_reply.h"
#include "server/responses/tools.h"

namespace pippin::server {

/// An answer is a list of output items: reasoning, message and function_call, one a block. A stream says each as it comes, with numbered
/// events, and ends with response.completed, incomplete or failed, which carries the whole response.
class ResponsesReply final : public BlockReply {
 public:
  /// Gets the whole object and its output items when the answer has ended well.
  using Keep = std::function<void(const json::object& response)>;

  struct Options {
    std::string id;  ///< "resp_..."
    std::string model;
    std::int64_t created = 0;  ///< in seconds since 1970
    bool summarize = false;    ///< see ResponsesCall
    bool encrypt = false;      ///< see ResponsesCall
    json::object repeated;     ///< see ResponsesCall
    Namespaces namespaces;     ///< see ResponsesCall
    Keep keep;                 ///< may be null
  };

  explicit ResponsesReply(Options options);

  std::string open() override;
  std::string fail(const Error& error) override;
  std::string whole() override;

 private:
  std::string begin() override;
  std::string grow(std::string_view piece) override;
  std::string end() override;
  std::string last() override;

  std::string event(const std::string& type, json::object members);
  /// An event of the last block's part, with members that say which part that is.
  std::string part_event(const std::string& type, json::object members);
  json::object response(std::string_view status) const;
  /// Completed or incomplete; told to keep().
  json::object ended_response();
  /// The block's item, with all its text or (as it begins) none.
  json::object item(std::size_t index, std::string_view status) const;
  json::object part(const AnswerBlock& block, bool empty) const;
  std::string item_id(std::size_t index) const;
  /// The called function as the request named it.
  NamespacedName called(const AnswerBlock& block) const;

  const Options options_;
  std::int64_t sequence_number_ = 0;
};

}  // namespace pippin::server
