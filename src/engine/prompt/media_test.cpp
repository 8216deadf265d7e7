// Oracle: what transformers' Qwen3VLProcessor writes into a prompt, by hand.
#include "engine/prompt/media.h"

#include <gtest/gtest.h>

#include <memory>

#include "pippin/error.h"

namespace pippin::engine {
namespace {

constexpr std::int32_t kImage = 7, kVideo = 8;

VisionInput vision() {
  VisionInput input;
  input.image_processor.patch_size = 16;
  input.image_token = kImage;
  input.video_processor.emplace();
  input.video_processor->frames.patch_size = 16;
  input.video_processor->frames.min_pixels = 1024;
  input.video_processor->frames.max_pixels = 1 << 16;
  input.video_token = kVideo;
  input.video_text = "<pad>";
  input.start_text = "<s>";
  input.end_text = "<e>";
  return input;
}

Pixels gray(std::uint8_t level) { return {32, 64, std::vector<std::uint8_t>(32 * 64 * 3, level)}; }

ContentPart clip(int num_frames, double fps = 2) {
  std::vector<Pixels> frames;
  for (int i = 0; i < num_frames; ++i) frames.push_back(gray(static_cast<std::uint8_t>(i)));
  ContentPart part;
  part.video = std::make_shared<Video>(make_video(std::move(frames), fps));
  return part;
}

ContentPart picture() { return {"", std::make_shared<Pixels>(gray(200))}; }

ChatRequest chat(std::vector<ContentPart> parts) {
  ChatRequest request;
  request.messages.push_back({"user", std::move(parts), ""});
  return request;
}

Code code_of(const auto& function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "messages");
    return error.code();
  }
  return Code::internal;
}

TEST(PromptMedia, GivesEachTemporalPatchItsTimeAndPlace) {
  const VisionInput input = vision();
  const ChatRequest request = chat({clip(3), clip(2, 1)});
  const PromptMedia media(request, &input);
  EXPECT_EQ(media.expand("a<s><pad><e>b<pad>c"),
            "a<0.2 seconds><s><pad><e><1.0 seconds><s><pad><e>b<0.5 seconds><s><pad><e>c");
  // Marks that belong to something else stay.
  EXPECT_EQ(media.expand("<s><pad><s><pad><e><e>"),
            "<s><0.2 seconds><s><pad><e><1.0 seconds><s><pad><e><0.5 seconds><s><pad><e><e>");
}

TEST(PromptMedia, ExpandsAPromptsEndByTheLastVideos) {
  const VisionInput input = vision();
  const ChatRequest request = chat({clip(3), clip(2, 1)});
  const PromptMedia media(request, &input);
  EXPECT_EQ(media.expand_end("b<pad>c"), "b<0.5 seconds><s><pad><e>c");
  EXPECT_EQ(media.expand_end("c"), "c");
}

TEST(PromptMedia, WantsAPlaceForEach) {
  const VisionInput input = vision();
  const ChatRequest request = chat({clip(3), picture()});
  const PromptMedia media(request, &input);
  EXPECT_EQ(code_of([&] { media.expand("no place"); }), Code::invalid_argument);
  EXPECT_EQ(code_of([&] { media.expand("<pad><pad>"); }), Code::invalid_argument);
  media.check_places(std::vector<std::int32_t>{kVideo, 1, kVideo, kImage});
  using Tokens = std::vector<std::int32_t>;
  for (const Tokens& tokens : {Tokens{kVideo, kImage}, Tokens{kVideo, kVideo}, Tokens{}})
    EXPECT_EQ(code_of([&] { media.check_places(tokens); }), Code::invalid_argument);
}

TEST(PromptMedia, TakesWhatTheModelTakes) {
  VisionInput input = vision();
  const ChatRequest video = chat({clip(1)}), still = chat({picture()}),
                    text = chat({{"a", nullptr}});
  EXPECT_EQ(code_of([&] { PromptMedia(video, nullptr); }), Code::invalid_argument);
  EXPECT_EQ(code_of([&] { PromptMedia(still, nullptr); }), Code::invalid_argument);
  PromptMedia(text, nullptr).check_places(std::vector<std::int32_t>{kImage});
  input.video_processor.reset();
  EXPECT_EQ(code_of([&] { PromptMedia(video, &input); }), Code::invalid_argument);
  PromptMedia(still, &input).check_places(std::vector<std::int32_t>{kImage, kVideo});
}

TEST(PromptMedia, ShowsEachAtItsPlace) {
  const VisionInput input = vision();
  const ChatRequest request = chat({picture(), clip(3)});
  PromptMedia media(request, &input);
  EXPECT_EQ(media.next(1), nullptr);
  const Shown* first = media.next(kVideo);
  const Shown* still = media.next(kImage);
  const Shown* second = media.next(kVideo);
  ASSERT_TRUE(first && still && second);
  EXPECT_EQ(first->frames.size(), 2u);
  EXPECT_EQ(second->frames.size(), 1u);
  EXPECT_EQ(second->frames.data(), &request.messages[0].content[1].video->frames[2]);
  EXPECT_EQ(still->frames.data(), request.messages[0].content[0].image.get());
  EXPECT_EQ(first->merged_grid(), (media::PatchGrid{1, 1, 2}));
  const MediaItem item = second->item({5, 2, second->merged_grid()});
  EXPECT_EQ(item.span.begin, 5);
  EXPECT_EQ(item.patches->get().grid, (media::PatchGrid{1, 2, 4}));
}

TEST(PromptMedia, AFrameKeepsItsNameInALongerCut) {
  const VisionInput input = vision();
  const auto names = [&](int num_frames) {
    const ChatRequest request = chat({clip(num_frames)});
    PromptMedia media(request, &input);
    std::vector<Digest> digests;
    for (int i = 0; i < (num_frames + 1) / 2; ++i)
      digests.push_back(media.next(kVideo)->item({}).digest);
    return digests;
  };
  const auto short_cut = names(4), long_cut = names(8);
  ASSERT_EQ(long_cut.size(), 4u);
  EXPECT_EQ(short_cut[0], long_cut[0]);
  EXPECT_EQ(short_cut[1], long_cut[1]);
  EXPECT_NE(long_cut[1], long_cut[2]);
  // So long that the budget makes every frame smaller: other features, other names.
  EXPECT_NE(names(70)[0], short_cut[0]);
}

}  // namespace
}  // namespace pippin::engine
