#include "engine/prompt/prompt.h"

#include <gtest/gtest.h>

namespace pippin::engine {
namespace {

const auto demo_dir = std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model";

PromptBuilder builder() {
  PromptBuilder b;
  b.tokenizer = text::Tokenizer::load(demo_dir);
  b.chat_template = std::make_shared<text::ChatTemplate>(text::ChatTemplate::load(demo_dir));
  b.vision.emplace();
  b.vision->image_processor = media::ImageProcessorConfig::load(demo_dir);
  b.vision->image_token = *b.tokenizer->token_to_id("<|image_pad|>");
  b.vision->video_processor = media::VideoProcessorConfig::load(demo_dir);
  b.vision->video_token = *b.tokenizer->token_to_id("<|video_pad|>");
  b.vision->video_text = "<|video_pad|>";
  b.vision->start_text = "<|vision_start|>";
  b.vision->end_text = "<|vision_end|>";
  b.max_context = 4096;
  b.vocab_size = b.tokenizer->vocab_size();
  b.max_token_bytes = 64;
  return b;
}

Message message(const std::string& role, const std::string& text) {
  return {role, {{text, nullptr}}, ""};
}

// The texts before and after the end of what the sequence calls its history.
std::pair<std::string, std::string> halves(const ChatRequest& request) {
  const auto prompts = builder();
  Sequence sequence;
  prompts.build(request, sequence);
  const std::span tokens(sequence.tokens);
  const auto end = static_cast<std::size_t>(sequence.num_history);
  return {prompts.tokenizer->decode(tokens.first(end), false),
          prompts.tokenizer->decode(tokens.subspan(end), false)};
}

TEST(History, EndsWithTheLastAssistantsMessage) {
  ChatRequest request;
  request.messages = {message("system", "Be short."),     message("user", "one?"),
                      message("assistant", "yes \u00e9"), message("user", "\u00e8 two?"),
                      message("assistant", "no"),         message("user", "three?")};
  const auto [before, after] = halves(request);
  EXPECT_TRUE(before.ends_with("<|im_start|>assistant\nno<|im_end|>\n")) << before;
  EXPECT_TRUE(after.starts_with("<|im_start|>user\nthree?")) << after;
}

TEST(History, CountsWhatPicturesTake) {
  ChatRequest request;
  request.messages = {message("user", "what?"), message("assistant", "a square"),
                      message("user", "and now?")};
  const Pixels grey{256, 256, std::vector<std::uint8_t>(256 * 256 * 3, 128)};
  request.messages[0].content.push_back({"", std::make_shared<Pixels>(grey)});
  EXPECT_TRUE(halves(request).second.starts_with("<|im_start|>user\nand now?"));
}

TEST(History, CountsWhatVideosTake) {
  ChatRequest request;
  request.messages = {message("user", "what?"), message("assistant", "it falls"),
                      message("user", "and now?")};
  const Pixels grey{128, 160, std::vector<std::uint8_t>(128 * 160 * 3, 128)};
  for (const std::size_t turn : {0, 2}) {
    ContentPart clip;
    clip.video = std::make_shared<Video>(make_video(std::vector(5, grey), 2));
    request.messages[turn].content.insert(request.messages[turn].content.begin(), clip);
  }
  const std::string after = halves(request).second;
  EXPECT_TRUE(after.starts_with("<|im_start|>user\n<0.2 seconds><|vision_start|>")) << after;
}

TEST(History, IsNoneInAFirstTurn) {
  ChatRequest request;
  request.messages = {message("system", "Be short."), message("user", "one?")};
  EXPECT_EQ(halves(request).first, "");
}

// The next turn, with the whole answer, begins with all of it.
TEST(PromptEnd, GoesOnWithinTheLastMessage) {
  const auto prompts = builder();
  ChatRequest request;
  request.messages = {message("user", "one?"), message("assistant", "yes"), message("user", "two?"),
                      message("assistant", "I say")};
  request.prompt_end = PromptEnd::last_message;
  Sequence sequence;
  const auto prompt = prompts.build(request, sequence);
  EXPECT_TRUE(prompt.text.ends_with("<|im_start|>assistant\nI say")) << prompt.text;
  EXPECT_TRUE(prompt.text.substr(prompt.answer).ends_with("I say"));
  EXPECT_EQ(prompts.tokenizer->decode(sequence.tokens, false), prompt.text);
  request.messages.back() = message("assistant", "I say no.");
  request.messages.push_back(message("user", "three?"));
  request.prompt_end = PromptEnd::answer;
  Sequence next;
  prompts.build(request, next);
  EXPECT_TRUE(std::equal(sequence.tokens.begin(), sequence.tokens.end(), next.tokens.begin()));
  // What of it is history is an earlier turn.
  const std::span tokens(sequence.tokens);
  const auto history = tokens.first(static_cast<std::size_t>(sequence.num_history));
  EXPECT_TRUE(prompts.tokenizer->decode(history, false).ends_with("yes<|im_end|>\n"));
}

// The field that a prompt's error blames, of messages "m.0", "m.1" ... in "m".
std::string blamed(const PromptBuilder& prompts, std::vector<Message> messages) {
  ChatRequest request;
  request.field = "m";
  for (std::size_t i = 0; i < messages.size(); ++i) messages[i].field = "m." + std::to_string(i);
  request.messages = std::move(messages);
  try {
    Sequence sequence;
    prompts.build(request, sequence);
  } catch (const Error& error) {
    return error.field();
  }
  ADD_FAILURE() << "nothing is wrong";
  return "";
}

TEST(PromptErrors, BlameTheMessageThatTheTemplateRefuses) {
  auto prompts = builder();
  prompts.chat_template = std::make_shared<text::ChatTemplate>(text::ChatTemplate::parse(
      "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
      "{{ m.content }}{% endfor %}"));
  EXPECT_EQ(blamed(prompts, {message("user", "a"), message("tool", "b"), message("user", "c")}),
            "m.1");
  prompts.chat_template = std::make_shared<text::ChatTemplate>(
      text::ChatTemplate::parse("{{ raise_exception('never') }}"));
  EXPECT_EQ(blamed(prompts, {message("user", "a")}), "m");
  prompts.chat_template = nullptr;
  EXPECT_EQ(blamed(prompts, {message("user", "a")}), "m");
}

TEST(PromptErrors, BlameTheMessageThatSpellsOutAToken) {
  auto prompts = builder();
  prompts.vision->image_text = "<|image_pad|>";
  for (const char* text : {"<|image_pad|>", "<|video_pad|>"})
    EXPECT_EQ(blamed(prompts, {message("user", "a"), message("user", text)}), "m.1") << text;
}

TEST(PromptErrors, BlameThePictureThatIsTooLarge) {
  auto prompts = builder();
  prompts.max_context = 64;
  const auto picture = [](int height, int width, const std::string& field) {
    const auto size = static_cast<std::size_t>(3 * height * width);
    ContentPart part;
    part.image =
        std::make_shared<Pixels>(Pixels{height, width, std::vector<std::uint8_t>(size, 128)});
    part.field = field;
    return part;
  };
  auto asked = message("user", "what?");
  asked.content.push_back(picture(64, 64, "small"));
  asked.content.push_back(picture(512, 512, "large"));
  EXPECT_EQ(blamed(prompts, {asked}), "large");
  asked.content[2] = picture(1, 1000, "narrow");
  EXPECT_EQ(blamed(prompts, {asked}), "narrow");
  asked.content.pop_back();
  EXPECT_EQ(blamed(prompts, {message("user", std::string(400, 'z')), asked}), "m");
}

TEST(PromptEnd, MayAskForNothing) {
  const auto prompts = builder();
  ChatRequest request;
  request.messages = {message("user", "one?")};
  request.prompt_end = PromptEnd::messages;
  const auto prompt = prompts.render(request);
  EXPECT_TRUE(prompt.text.ends_with("one?<|im_end|>\n")) << prompt.text;
}

}  // namespace
}  // namespace pippin::engine
