// Tables of the fields that a request may carry, and what becomes of each: nothing is dropped in silence.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace pippin::server {

/// A field at the top level of a request.
struct Field {
  using Test = bool (*)(const json::value&);

  std::string_view name;
  Test allowed;
  /// Which values are allowed, for the message; empty for any.
  std::string_view allowed_text;
};

/// One table of several.
template <std::size_t... Ns>
constexpr auto joined(const std::array<Field, Ns>&... tables) {
  std::array<Field, (Ns + ...)> all{};
  auto at = all.begin();
  ((at = std::copy(tables.begin(), tables.end(), at)), ...);
  return all;
}

/// A field whose value passes its test is allowed; where it does not, Error(invalid_argument) names it. Returns the names
/// that are in no row; a null member counts as absent.
std::vector<std::string> check_fields(const json::object& body, std::span<const Field> table);

/// Which values a field may have.
namespace field_tests {

inline bool any(const json::value&) { return true; }
inline bool never(const json::value&) { return false; }
inline bool is_string(const json::value& value) { return value.is_string(); }
inline bool is_object(const json::value& value) { return value.is_object(); }
inline bool is_bool(const json::value& value) { return value.is_bool(); }
inline bool is_number(const json::value& value) { return value.is_number(); }
inline bool is_true(const json::value& value) { return value.is_bool() && value.as_bool(); }
inline bool is_false(const json::value& value) { return value.is_bool() && !value.as_bool(); }
inline bool equals(const json::value& value, double number) {
  return value.is_number() && value.to_number<double>() == number;
}
inline bool is_zero(const json::value& value) { return equals(value, 0); }
inline bool is_one(const json::value& value) { return equals(value, 1); }
inline bool is_empty(const json::value& value) {
  return (value.is_object() && value.as_object().empty()) ||
         (value.is_array() && value.as_array().empty());
}
inline bool is_text_format(const json::value& value) {
  return value == json::value{{"type", "text"}};
}
inline bool is_text_only(const json::value& value) { return value == json::array{"text"}; }
inline bool is_medium(const json::value& value) { return value == "medium"; }
inline bool is_auto_or_none(const json::value& value) { return value == "auto" || value == "none"; }

}  // namespace field_tests

// Fields that chats and text completions share.
// clang-format off

/// Honoured, by the functions of request_fields and response_format above all.
inline constexpr auto shared_fields = std::to_array<Field>({
    {"model", field_tests::any, ""}, {"stream", field_tests::any, ""}, {"stream_options", field_tests::any, ""},
    {"temperature", field_tests::any, ""}, {"top_p", field_tests::any, ""}, {"top_k", field_tests::any, ""},
    {"min_p", field_tests::any, ""}, {"seed", field_tests::any, ""}, {"presence_penalty", field_tests::any, ""},
    {"frequency_penalty", field_tests::any, ""}, {"repetition_penalty", field_tests::any, ""},
    {"logit_bias", field_tests::any, ""}, {"max_tokens", field_tests::any, ""}, {"min_tokens", field_tests::any, ""},
    {"stop", field_tests::any, ""}, {"stop_token_ids", field_tests::any, ""},
    {"include_stop_str_in_output", field_tests::any, ""}, {"ignore_eos", field_tests::any, ""},
    {"priority", field_tests::any, ""}, {"timeout", field_tests::any, ""}, {"cache_salt", field_tests::any, ""}, {"n", field_tests::any, ""},
    {"logprobs", field_tests::any, ""}, {"return_token_ids", field_tests::any, ""},
    {"return_tokens_as_token_ids", field_tests::any, ""}, {"prompt_logprobs", field_tests::any, ""}, {"response_format", field_tests::any, ""},
    {"structured_outputs", field_tests::any, ""}, {"guided_json", field_tests::any, ""},
    {"guided_regex", field_tests::any, ""}, {"guided_choice", field_tests::any, ""},
    {"guided_grammar", field_tests::any, ""}, {"grammar", field_tests::any, ""}, {"json_schema", field_tests::any, ""},
});

/// Without influence on the answer's words.
inline constexpr auto neutral_fields = std::to_array<Field>({
    {"user", field_tests::is_string, "a string"},
    {"cache_prompt", field_tests::is_bool, "a boolean"},  // llama.cpp's; the prefix cache is always on
});

/// vLLM's and llama.cpp's that would change the answer.
inline constexpr auto foreign_fields = std::to_array<Field>({
    {"repeat_penalty", field_tests::is_one, "1"},
    {"length_penalty", field_tests::is_one, "1"},
    {"typical_p", field_tests::is_one, "1"},
    {"mirostat", field_tests::is_zero, "0"},
    {"dry_multiplier", field_tests::is_zero, "0"},
    {"xtc_probability", field_tests::is_zero, "0"},
    {"use_beam_search", field_tests::is_false, "false"},
    {"skip_special_tokens", field_tests::is_true, "true"},
    {"bad_words", field_tests::is_empty, "empty"},
    {"allowed_token_ids", field_tests::never, "absent"},
    {"truncate_prompt_tokens", field_tests::never, "absent"},
});
// clang-format on

}  // namespace pippin::server
