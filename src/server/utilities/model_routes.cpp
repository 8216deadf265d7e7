#include "server/utilities/model_routes.h"

#include <boost/url/parse_query.hpp>

#include <memory>
#include <utility>

#include "base/json.h"
#include "server/http/errors.h"
#include "server/http/exchange.h"
#include "server/schema/request_json.h"

namespace pippin::server {
namespace {

using namespace field_tests;

constexpr Field fields[] = {{"model", is_string, "a string"}};

// Where keys are apart, one must not take another's model away.
bool may(Exchange& exchange) {
  if (exchange.caller().admin) return true;
  exchange.respond(error_response(place_of(exchange), 403,
                                  "models are loaded and unloaded only by a key of --admin-key", "",
                                  "admin_key_needed"));
  return false;
}

void change(Exchange& exchange, ModelPool& models, void (ModelPool::*how)(const std::string&)) {
  if (!may(exchange)) return;
  const RequestBody request(exchange.request().body);
  check_fields(request.object(), fields);
  const Members body(request.object());
  const auto name = body.string("model");
  if (!name || name->empty()) refuse("model", "must name a model");
  (models.*how)(*name);
  exchange.respond(json_response(200, json::serialize(json::object{{"success", true}})));
}

}  // namespace

std::span<const Field> model_fields() { return fields; }

std::string model_in(std::string_view query) {
  const auto parsed = boost::urls::parse_query({query.data(), query.size()});
  if (!parsed) return {};
  for (const auto& parameter : boost::urls::params_view(*parsed))
    if (parameter.key == "model") return parameter.value;
  return {};
}

void add_model_routes(Router& router, ModelPool& models) {
  constexpr std::string_view done = R"({"type": "object", "required": ["success"]})";
  router.add("POST", "/models/load",
             {.summary = "Have a model loaded",
              .fields = model_fields,
              .required = {"model"},
              .answer = done},
             [&models](auto exchange) { change(*exchange, models, &ModelPool::load); });
  router.add("POST", "/models/unload",
             {.summary = "Have a model unloaded once its last answer has ended",
              .fields = model_fields,
              .required = {"model"},
              .answer = done},
             [&models](auto exchange) { change(*exchange, models, &ModelPool::unload); });
}

}  // namespace pippin::server
