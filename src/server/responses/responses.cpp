#include "server/responses/responses.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "pippin/error.h"
#include "server/http/errors.h"
#include "server/responses/call.h"
#include "server/responses/reply.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"
#include "text/parsers/call_id.h"

namespace pippin::server {
namespace {

constexpr std::string_view folder = "/v1/responses/";
constexpr std::string_view items_suffix = "/input_items";

// A parameter of a query ("limit=20&order=asc"); "" where it is absent. None of those known needs escapes.
std::string_view parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('='))
      return pair.substr(name.size() + 1);
  }
  return {};
}

std::size_t limit_in(std::string_view query) {
  const std::string_view text = parameter(query, "limit");
  if (text.empty()) return 20;
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size() || limit < 1 || limit > 100)
    refuse("limit", "must be between 1 and 100");
  return limit;
}

bool ascending_in(std::string_view query) {
  const std::string_view order = parameter(query, "order");
  if (!order.empty() && order != "asc" && order != "desc") refuse("order", "must be asc or desc");
  return order == "asc";
}

bool has_id(const json::value& item, std::string_view id) {
  return item.at("id") == json::string_view(id);
}

// A page of the items, as `query` asks.
json::object page_of(json::array items, std::string_view query) {
  if (!ascending_in(query)) std::reverse(items.begin(), items.end());
  const std::string_view after = parameter(query, "after");
  auto begin = items.begin();
  if (!after.empty()) {
    begin = std::find_if(begin, items.end(), [&](const auto& item) { return has_id(item, after); });
    if (begin == items.end()) refuse("after", "names no item of the list");
    ++begin;
  }
  const auto rest = static_cast<std::size_t>(items.end() - begin);
  const std::size_t count = std::min(limit_in(query), rest);
  const json::array page(begin, begin + static_cast<std::ptrdiff_t>(count));
  return {{"object", "list"},
          {"data", page},
          {"first_id", page.empty() ? json::value() : page.front().at("id")},
          {"last_id", page.empty() ? json::value() : page.back().at("id")},
          {"has_more", count < rest}};
}

}  // namespace

void Responses::add_routes(Router& router) {
  router.add("POST", "/v1/responses",
             {.summary = "Answer in the words of OpenAI's Responses",
              .fields = responses_fields,
              .required = {"input"},
              .answer = R"({"type": "object", "required": ["id", "object", "output"]})",
              .streams = true},
             [this](auto exchange) { answer(std::move(exchange)); });
  router.add("GET", "/v1/responses/*", {.summary = "A stored response, or its input_items"},
             [this](auto exchange) { show(*exchange); });
  router.add("DELETE", "/v1/responses/*", {.summary = "Delete a stored response"},
             [this](auto exchange) { erase(*exchange); });
}

void Responses::answer(std::shared_ptr<Exchange> exchange) {
  if (refuse_compressed(*exchange)) return;
  const std::string id = "resp_" + text::random_letters(32);
  auto call = std::make_shared<ResponsesCall>(
      parse_responses_call(exchange->request().body, id, sampling_));
  const std::string owner = exchange->caller().id;
  StoredResponsePtr previous;
  if (!call->previous_response_id.empty())
    previous = find(*exchange, call->previous_response_id, "previous_response_id");
  read_items(*call, items_until(previous),
             [&](const std::string& item) { return store_.find_item(item, owner); });
  ChatCall chat = std::move(call->chat);
  auto make_reply = [this, id, owner, call, previous](const ReplyFacts& facts) {
    ResponsesReply::Keep keep = [this, id, owner, call, previous](const json::object& response) {
      auto stored = std::make_shared<StoredResponse>();
      stored->id = id;
      stored->owner = owner;
      stored->input = call->input;
      stored->output = response.at("output").as_array();
      stored->response = json::serialize(response);
      stored->previous = previous;
      store_.put(std::move(stored));
    };
    if (!call->store) keep = nullptr;
    return std::make_unique<ResponsesReply>(
        ResponsesReply::Options{id, facts.model, facts.created, call->summarize, call->encrypt,
                                call->repeated, call->namespaces, std::move(keep)});
  };
  service_.answer(std::move(exchange), std::move(chat), std::move(make_reply));
}

StoredResponsePtr Responses::find(const Exchange& exchange, const std::string& id,
                                  const std::string& field) {
  if (auto found = store_.find(id, exchange.caller().id)) return found;
  throw Error(Code::not_found, "response '" + excerpt(id) + "' is not known (any more)", field);
}

void Responses::show(Exchange& exchange) {
  std::string id = exchange.request().path.substr(folder.size());
  if (id.ends_with(items_suffix)) {
    id.resize(id.size() - items_suffix.size());
    return show_input_items(exchange, id);
  }
  if (parameter(exchange.request().query, "stream") == "true")
    refuse("stream", "must be false (an answer can be read again whole only)");
  exchange.respond(json_response(200, find(exchange, id, "response_id")->response));
}

// What the answer was given: the conversation before it, too.
void Responses::show_input_items(Exchange& exchange, const std::string& id) {
  const StoredResponsePtr response = find(exchange, id, "response_id");
  json::array items = items_until(response->previous);
  items.insert(items.end(), response->input.begin(), response->input.end());
  exchange.respond(
      json_response(200, json::serialize(page_of(std::move(items), exchange.request().query))));
}

void Responses::erase(Exchange& exchange) {
  const std::string id = exchange.request().path.substr(folder.size());
  if (!store_.erase(id, exchange.caller().id)) find(exchange, id, "response_id");
  exchange.respond(
      json_response(200, json::serialize(json::object{
                             {"id", valid_utf8(id)}, {"object", "response"}, {"deleted", true}})));
}

}  // namespace pippin::server
