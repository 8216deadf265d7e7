#include "server/openai/chat_parser.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::server {
namespace {

const std::string hello = R"("messages": [{"role": "user", "content": "hello"}])";

// A request of one message with further members.
ChatCall parse_with(const std::string& members) {
  return parse_chat("{" + hello + (members.empty() ? "" : ", ") + members + "}");
}

// The field that the error names; "" where the request is taken.
std::string refused(const std::string& body) {
  try {
    parse_chat(body);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument) << body;
    EXPECT_NE(std::string(error.what()), "");
    return error.field().empty() ? "no field" : error.field();
  }
}

std::string refused_with(const std::string& members) {
  return refused("{" + hello + ", " + members + "}");
}

std::string refused_message(const std::string& message) {
  return refused(R"({"messages": [)" + message + "]}");
}

TEST(ChatCall, DefaultsAreOpenAis) {
  const ChatCall call = parse_with("");
  EXPECT_EQ(call.request.sampling.temperature, 1);
  EXPECT_EQ(call.request.sampling.top_p, 1);
  EXPECT_EQ(call.request.sampling.top_k, 0);
  EXPECT_FALSE(call.request.sampling.seed);
  EXPECT_EQ(call.request.stop.max_tokens, 0);
  EXPECT_FALSE(call.stream);
  EXPECT_EQ(call.model, "");
  ASSERT_EQ(call.request.messages.size(), 1u);
  EXPECT_EQ(call.request.messages[0].role, "user");
  EXPECT_EQ(call.request.messages[0].content.at(0).text, "hello");
}

TEST(ChatCall, TakesTheModelsDefaultsWhereTheRequestSaysNothing) {
  SamplingOptions model;
  model.temperature = 0.6f;
  model.top_k = 20;
  const ChatCall call = parse_chat("{" + hello + R"(, "top_k": 0})", model);
  EXPECT_FLOAT_EQ(call.request.sampling.temperature, 0.6f);
  EXPECT_EQ(call.request.sampling.top_k, 0);
}

TEST(ChatCall, TakesEveryHonouredField) {
  const ChatCall call =
      parse_with(R"("model": "m", "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1,
      "seed": -3, "max_tokens": 5, "stop": ["a", "b"], "stop_token_ids": [1, 2], "ignore_eos": true, "stream": true, "priority": -2, "timeout": 2.5,
      "stream_options": {"include_usage": true}, "chat_template_kwargs": {"enable_thinking": false},
      "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])");
  EXPECT_EQ(call.model, "m");
  EXPECT_FLOAT_EQ(call.request.sampling.temperature, 0.5f);
  EXPECT_FLOAT_EQ(call.request.sampling.top_p, 0.9f);
  EXPECT_EQ(call.request.sampling.top_k, 40);
  EXPECT_FLOAT_EQ(call.request.sampling.min_p, 0.1f);
  EXPECT_EQ(call.request.sampling.seed, static_cast<std::uint64_t>(-3));
  EXPECT_EQ(call.request.stop.max_tokens, 5);
  EXPECT_EQ(call.request.stop.strings, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(call.request.stop.token_ids, (std::vector<std::int32_t>{1, 2}));
  EXPECT_TRUE(call.request.stop.ignore_eos);
  EXPECT_EQ(call.request.priority, -2);
  EXPECT_EQ(call.request.stop.timeout_s, 2.5);
  EXPECT_TRUE(call.stream);
  EXPECT_TRUE(call.include_usage);
  EXPECT_EQ(call.request.template_kwargs_json, R"({"enable_thinking":false})");
  EXPECT_EQ(parse_json(call.request.tools_json, "tools").at(0).at("function").at("name"), "f");
  EXPECT_TRUE(call.ignored.empty());
}

TEST(ChatCall, TakesOtherSpellings) {
  EXPECT_EQ(parse_with(R"("stop": "x")").request.stop.strings, std::vector<std::string>{"x"});
  EXPECT_EQ(parse_with(R"("max_tokens": 5, "max_completion_tokens": 7)").request.stop.max_tokens,
            7);
  EXPECT_EQ(parse_with(R"("max_tokens": 5.0)").request.stop.max_tokens, 5);
  EXPECT_EQ(parse_with(R"("top_k": -1)").request.sampling.top_k, 0);
  EXPECT_EQ(parse_with(R"("top_p": 0)").request.sampling.top_k, 1);
  EXPECT_EQ(parse_with(R"("top_k": 99999999999)").request.sampling.top_k, 2147483647);
}

TEST(ChatCall, TakesPenaltiesAndBiases) {
  const auto sampling =
      parse_with(R"("presence_penalty": -2, "frequency_penalty": 0.5, "repetition_penalty": 1.1,
                    "logit_bias": {"5": -100, "70": 1.5})")
          .request.sampling;
  EXPECT_EQ(sampling.presence_penalty, -2);
  EXPECT_EQ(sampling.frequency_penalty, 0.5f);
  EXPECT_EQ(sampling.repetition_penalty, 1.1f);
  ASSERT_EQ(sampling.logit_bias.size(), 2u);
  EXPECT_EQ(sampling.logit_bias[0].token, 5);
  EXPECT_EQ(sampling.logit_bias[0].bias, -100);
  EXPECT_EQ(sampling.logit_bias[1].token, 70);
  EXPECT_EQ(sampling.logit_bias[1].bias, 1.5f);
  EXPECT_EQ(refused_with(R"("logit_bias": {"5": "much"})"), "logit_bias.5");
}

TEST(ChatCall, TakesWhatCannotChangeTheAnswer) {
  const ChatCall call =
      parse_with(R"("user": "u", "metadata": {"a": "b"}, "store": true, "service_tier": "auto",
      "safety_identifier": "s", "prompt_cache_key": "k", "prediction": {"type": "content", "content": ""},
      "parallel_tool_calls": false, "top_p": null)");
  EXPECT_TRUE(call.ignored.empty());
}

TEST(ChatCall, TakesNeutralValuesAndRefusesOthers) {
  struct Case {
    const char *field, *neutral, *other;
  };
  const Case cases[] = {{"modalities", R"(["text"])", R"(["text", "audio"])"},
                        {"audio", "null", R"({"voice": "x"})"},
                        {"verbosity", R"("medium")", R"("low")"},
                        {"functions", "[]", "[{}]"},
                        {"function_call", R"("none")", R"({"name": "f"})"},
                        {"skip_special_tokens", "true", "false"},
                        {"echo", "false", "true"}};
  for (const Case& c : cases) {
    const std::string key = "\"" + std::string(c.field) + "\": ";
    EXPECT_EQ(refused_with(key + c.neutral), "") << c.field;
    EXPECT_EQ(refused_with(key + c.other), c.field);
  }
}

TEST(ChatCall, TakesWhereThePromptEnds) {
  const auto end = [](const std::string& members) {
    return parse_with(members).request.prompt_end;
  };
  EXPECT_EQ(end(""), PromptEnd::answer);
  EXPECT_EQ(end(R"("add_generation_prompt": true, "continue_final_message": false)"),
            PromptEnd::answer);
  EXPECT_EQ(end(R"("add_generation_prompt": false)"), PromptEnd::messages);
  EXPECT_EQ(end(R"("continue_final_message": true)"), PromptEnd::last_message);
  EXPECT_EQ(end(R"("add_generation_prompt": false, "continue_final_message": true)"),
            PromptEnd::last_message);
  EXPECT_EQ(refused_with(R"("add_generation_prompt": true, "continue_final_message": true)"),
            "add_generation_prompt");
  EXPECT_EQ(refused_with(R"("continue_final_message": "yes")"), "continue_final_message");
}

TEST(ChatCall, TakesHowTokensAreTold) {
  const ChatCall call = parse_with(R"("logprobs": true, "top_logprobs": 3, "n": 4, "min_tokens": 2,
      "return_token_ids": true, "return_tokens_as_token_ids": true, "include_stop_str_in_output": true)");
  EXPECT_TRUE(call.tokens.logprobs && call.tokens.ids && call.tokens.named_by_id);
  EXPECT_TRUE(call.request.list_tokens);
  EXPECT_EQ(call.request.sampling.top_logprobs, 3);
  EXPECT_EQ(call.num_choices, 4);
  EXPECT_EQ(call.request.stop.min_tokens, 2);
  EXPECT_TRUE(call.request.stop.include_strings);
  EXPECT_EQ(parse_with(R"("logprobs": true)").request.sampling.top_logprobs, 0);
  EXPECT_EQ(parse_with(R"("logprobs": false, "top_logprobs": 0)").request.sampling.top_logprobs,
            -1);
  EXPECT_EQ(refused_with(R"("top_logprobs": 3)"), "top_logprobs");
  EXPECT_EQ(parse_with(R"("prompt_logprobs": 2)").request.sampling.prompt_logprobs, 2);
  EXPECT_EQ(refused_with(R"("prompt_logprobs": 2, "stream": true)"), "prompt_logprobs");
}

TEST(ChatCall, SaysReasoningEffortInTheTemplatesWords) {
  const auto kwargs = [](const std::string& members) {
    const std::string text = parse_with(members).request.template_kwargs_json;
    return text.empty() ? json::object() : parse_json(text, "kwargs").as_object();
  };
  EXPECT_EQ(kwargs(R"("reasoning_effort": "low")").at("reasoning_effort"), "low");
  EXPECT_EQ(kwargs(R"("reasoning_effort": "none")").at("enable_thinking"), false);
  EXPECT_EQ(
      kwargs(R"("reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": true})")
          .at("enable_thinking"),
      true);
  EXPECT_TRUE(kwargs(R"("user": "u")").empty());
}

TEST(ChatCall, NamesFieldsOfWrongTypeOrRange) {
  for (const auto& [field, values] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"model", {"1", "[]"}},
           {"stream", {"1", "\"yes\""}},
           {"temperature", {"\"hot\"", "-0.1", "2.1", "1e999"}},
           {"top_p", {"1.5", "-1", "{}"}},
           {"top_k", {"-2", "0.5", "\"1\""}},
           {"min_p", {"2"}},
           {"presence_penalty", {"2.1", "-2.1", "\"1\""}},
           {"frequency_penalty", {"3", "[]"}},
           {"repetition_penalty", {"0", "-1", "1000"}},
           {"logit_bias",
            {"1", "[]", R"({"a": 1})", R"({"-1": 1})", R"({"1.5": 1})", R"({"": 1})",
             R"({"5": 101})", R"({"5": -101})", R"({"4294967296": 1})"}},
           {"seed", {"1.5", "\"1\""}},
           {"n", {"0", "-1", "129", "1.5", "\"2\""}},
           {"logprobs", {"1", "\"yes\""}},
           {"top_logprobs", {"-1", "21", "true"}},
           {"min_tokens", {"-1", "\"1\""}},
           {"return_token_ids", {"1"}},
           {"include_stop_str_in_output", {"0"}},
           {"reasoning_effort", {"\"extreme\"", "3"}},
           {"max_tokens", {"0", "-1", "1.5", "\"5\""}},
           {"max_completion_tokens", {"0"}},
           {"stop", {"1", "[1]", "\"\"", "[\"\"]", "{}"}},
           {"stop_token_ids", {"1", "[-1]", "[1.5]", "[4294967296]"}},
           {"ignore_eos", {"1"}},
           {"timeout", {"0", "-1", "1e9", "\"5\""}},
           {"priority", {"1.5", "\"high\"", "1000001", "-9223372036854775808"}},
           {"chat_template_kwargs", {"[]", "1"}},
           {"tools", {"{}", "\"x\""}},
           {"user", {"1"}},
           {"metadata", {"1"}},
           {"store", {"1"}},
           {"parallel_tool_calls", {"1"}},
           {"stream_options", {"1", "{}"}},
           {"messages", {"1", "{}", "[]", "null"}}})
    for (const auto& value : values) {
      const bool messages = field == "messages";
      EXPECT_EQ(refused("{" + (messages ? "" : hello + ", ") + "\"" + field + "\": " + value + "}"),
                field)
          << value;
    }
  EXPECT_EQ(refused("{}"), "messages");
  EXPECT_EQ(refused_with(R"("stream": true, "stream_options": {"include_usage": 1})"),
            "stream_options.include_usage");
}

TEST(ChatCall, NamesBodiesThatAreNotObjects) {
  for (const std::string body :
       {"", "{", "[]", "1", "{\"messages\": [}", "{\"a\": \"\xFF\"}", "{} {}", "nonsense"})
    EXPECT_EQ(refused(body), "body") << body;
  EXPECT_EQ(refused(std::string(100'000, '[')), "body");
}

TEST(ChatCall, NamesMessagesThatAreWrong) {
  EXPECT_EQ(refused_message("1"), "messages.0");
  EXPECT_EQ(refused_message("{}"), "messages.0.role");
  EXPECT_EQ(refused_message(R"({"role": 1, "content": "x"})"), "messages.0.role");
  EXPECT_EQ(refused_message(R"({"role": "robot", "content": "x"})"), "messages.0.role");
  EXPECT_EQ(refused_message(R"({"role": "user"})"), "messages.0.content");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": null})"), "messages.0.content");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": 5})"), "messages.0.content");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": []})"), "messages.0.content");
  EXPECT_EQ(refused_message(R"({"role": "assistant"})"), "messages.0.content");
  EXPECT_EQ(
      refused_message(R"({"role": "user", "content": "x"}, {"role": "user", "content": ["x"]})"),
      "messages.1.content.0");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": [{}]})"), "messages.0.content.0.type");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": [{"type": "text"}]})"),
            "messages.0.content.0.text");
  EXPECT_EQ(refused_message(
                R"({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]})"),
            "messages.0.content.0.type");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": [{"type": "image_url"}]})"),
            "messages.0.content.0.image_url");
  EXPECT_EQ(
      refused_message(R"({"role": "user", "content": [{"type": "image_url", "image_url": {}}]})"),
      "messages.0.content.0.image_url.url");
  EXPECT_EQ(
      refused_message(
          R"({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": "y"}}]})"),
      "messages.0.content.0.image_url.detail");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": "x", "tool_calls": []})"),
            "messages.0.tool_calls");
  EXPECT_EQ(refused_message(R"({"role": "assistant", "content": "x", "tool_calls": {}})"),
            "messages.0.tool_calls");
  EXPECT_EQ(
      refused_message(
          R"({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]})"),
      "messages.0.tool_calls.0.function.arguments");
  EXPECT_EQ(refused_message(R"({"role": "assistant", "tool_calls": [{"function": {}}]})"),
            "messages.0.tool_calls.0.function.name");
}

TEST(ChatCall, NamesToolsThatAreWrong) {
  EXPECT_EQ(refused_with(R"("tools": [1])"), "tools.0");
  EXPECT_EQ(refused_with(R"("tools": [{"type": "custom"}])"), "tools.0.type");
  EXPECT_EQ(refused_with(R"("tools": [{"type": "function"}])"), "tools.0.function");
  EXPECT_EQ(refused_with(R"("tools": [{"type": "function", "function": {}}])"),
            "tools.0.function.name");
  const std::string tool = R"("tools": [{"type": "function", "function": {"name": "f"}}])";
  EXPECT_FALSE(parse_with(tool + R"(, "parallel_tool_calls": false)").request.parallel_tool_calls);
  EXPECT_TRUE(parse_with(tool).request.parallel_tool_calls);
  EXPECT_EQ(parse_with(tool + R"(, "tool_choice": "none")").request.tools_json, "");
}

TEST(ChatCall, KeepsPicturesInTheirPlaces) {
  const ChatCall call = parse_chat(
      R"({"messages": [{"role": "developer", "content": "s"}, {"role": "user", "content": [
      {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u1", "detail": "low"}},
      {"type": "image_url", "image_url": {"url": "u2"}}]}]})");
  EXPECT_EQ(call.request.messages[0].role, "system");
  EXPECT_EQ(call.request.messages[1].content.size(), 3u);
  ASSERT_EQ(call.media.size(), 2u);
  EXPECT_EQ(call.media[0].urls, std::vector<std::string>{"u1"});
  EXPECT_TRUE(call.media[0].low_detail);
  EXPECT_EQ(call.media[1].message, 1u);
  EXPECT_EQ(call.media[1].part, 2u);
  EXPECT_EQ(call.media[1].field, "messages.1.content.2.image_url");
}

TEST(ChatCall, ReadsVideosInEveryForm) {
  const ChatCall call = parse_chat(R"({"messages": [{"role": "user", "content": [
      {"type": "video_url", "video_url": {"url": "u1", "fps": 4}, "fps": 3, "max_frames": 9},
      {"type": "video", "video": ["f1", "f2"], "fps": 0.5},
      {"type": "video", "video": "u2"}]}],
      "mm_processor_kwargs": {"num_frames": 8, "min_frames": 2}})");
  ASSERT_EQ(call.media.size(), 3u);
  using Kind = MediaSource::Kind;
  EXPECT_EQ(call.media[0].kind, Kind::video);
  EXPECT_EQ(call.media[0].field, "messages.0.content.0.video_url");
  EXPECT_EQ(call.media[0].sampling.over({}),
            (VideoSampling{.fps = 4, .min_frames = 2, .max_frames = 9}));
  EXPECT_EQ(call.media[1].kind, Kind::frames);
  EXPECT_EQ(call.media[1].urls, (std::vector<std::string>{"f1", "f2"}));
  EXPECT_EQ(call.media[1].sampling.fps, 0.5);
  EXPECT_EQ(call.media[2].kind, Kind::video);
  EXPECT_EQ(call.media[2].sampling.over({.fps = 7}).num_frames, 8);
  EXPECT_EQ(call.ignored, std::vector<std::string>{});
}

TEST(ChatCall, NamesWhatIsWrongWithVideos) {
  const auto part = [](const std::string& members) {
    return refused_message(R"({"role": "user", "content": [{)" + members + "}]}");
  };
  const std::string at = "messages.0.content.0.";
  EXPECT_EQ(part(R"("type": "video_url")"), at + "video_url");
  EXPECT_EQ(part(R"("type": "video_url", "video_url": {})"), at + "video_url.url");
  EXPECT_EQ(part(R"("type": "video_url", "video_url": {"url": "u", "fps": 0})"),
            at + "video_url.fps");
  EXPECT_EQ(part(R"("type": "video_url", "video_url": {"url": "u", "max_frames": 1000000000})"),
            at + "video_url.max_frames");
  EXPECT_EQ(part(R"("type": "video_url", "video_url": {"url": "u", "fps": 1, "num_frames": 2})"),
            at + "video_url.num_frames");
  EXPECT_EQ(part(R"("type": "video")"), at + "video");
  EXPECT_EQ(part(R"("type": "video", "video": [])"), at + "video");
  EXPECT_EQ(part(R"("type": "video", "video": [1])"), at + "video.0");
  EXPECT_EQ(part(R"("type": "video", "video": ["u"], "max_frames": 2)"), at + "max_frames");
  EXPECT_EQ(refused_with(R"("mm_processor_kwargs": {"min_pixels": 4})"),
            "mm_processor_kwargs.min_pixels");
  EXPECT_EQ(refused_with(R"("mm_processor_kwargs": {"fps": -1})"), "mm_processor_kwargs.fps");
}

TEST(ChatCall, GivesTemplatesToolCallsAsObjects) {
  const ChatCall call =
      parse_chat(R"({"messages": [{"role": "assistant", "content": null, "tool_calls": [
      {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": [1, 2]}"}}]},
      {"role": "tool", "tool_call_id": "c1", "content": "7"}]})");
  const json::value extra = parse_json(call.request.messages[0].extra_json, "extra");
  EXPECT_EQ(extra.at("tool_calls").at(0).at("id"), "c1");
  EXPECT_EQ(extra.at("tool_calls").at(0).at("function").at("arguments").at("x").at(1), 2);
  EXPECT_EQ(parse_json(call.request.messages[1].extra_json, "extra").at("tool_call_id"), "c1");
}

// A conversation must go on after an answer that max_tokens cut off.
TEST(ChatCall, GivesTemplatesBrokenArgumentsAsTheyWere) {
  for (const std::string broken : {R"({"x": 1)", "[1]", "7"}) {
    json::object function{{"name", "f"}, {"arguments", broken}};
    json::object message{
        {"role", "assistant"},
        {"tool_calls", json::array{json::object{{"id", "c1"}, {"function", function}}}}};
    const ChatCall call =
        parse_chat(json::serialize(json::object{{"messages", json::array{std::move(message)}}}));
    const json::value extra = parse_json(call.request.messages[0].extra_json, "extra");
    EXPECT_EQ(extra.at("tool_calls").at(0).at("function").at("arguments"), json::string(broken));
  }
}

// Some templates print a call as it is: what a client adds to it would make the prompt another than the answer was.
TEST(ChatCall, GivesTemplatesNothingElseOfToolCalls) {
  const ChatCall call =
      parse_chat(R"({"messages": [{"role": "assistant", "content": "", "tool_calls": [
      {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}, "extra_content": {}}]}]})");
  EXPECT_EQ(
      parse_json(call.request.messages[0].extra_json, "extra").at("tool_calls").at(0),
      parse_json(R"({"id": "c1", "type": "function", "function": {"name": "f", "arguments": {}}})",
                 "call"));
  EXPECT_EQ(call.ignored, std::vector<std::string>{"messages.0.tool_calls.0.extra_content"});
}

TEST(ChatCall, BreakpointsOfCachesSayNothing) {
  const ChatCall call = parse_chat(R"({"messages": [
      {"role": "system", "content": "a", "cache_control": {"type": "ephemeral"}},
      {"role": "user", "content": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"},
        "prompt_cache_breakpoint": {"mode": "explicit"}}]}], "prompt_cache_options": {"mode": "explicit"}})");
  EXPECT_EQ(call.ignored, std::vector<std::string>{});
  EXPECT_EQ(call.request.messages[0].extra_json, "");
}

TEST(ChatCall, ListsEveryUnknownName) {
  const ChatCall call = parse_chat(
      R"({"messages": [{"role": "user", "mood": 1, "content": [{"type": "text", "text": "a", "b": 1}]}],
      "tempature": 1, "stream": true, "stream_options": {"x": 1}})");
  std::vector<std::string> names = call.ignored;
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"messages.0.content.0.b", "messages.0.mood",
                                             "stream_options.x", "tempature"}));
}

}  // namespace
}  // namespace pippin::server
