// Pictures and videos in requests to the OpenAI API.
#include <gtest/gtest.h>

#include <cstdio>

#include "server/api_testing.h"

namespace pippin::server {
namespace {

using namespace testing;
using OpenAiMediaTest = ApiTest;

// A 2 x 1 picture: red, blue.
const std::string bmp_url =
    "data:image/"
    "bmp;base64,Qk0+AAAAAAAAADYAAAAoAAAAAgAAAAEAAAABABgAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAD//"
    "wAAAAA=";

std::string with_picture(const std::string& url) {
  return R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"},
      {"type": "image_url", "image_url": {"url": ")" +
         url + R"("}}]}]})";
}

TEST_F(OpenAiMediaTest, GivesTheEnginePixels) {
  start();
  const TestResponse response = chat(with_picture(bmp_url));
  ASSERT_EQ(response.status, 200) << response.body;
  const auto& content = engine_.last_.messages.at(0).content;
  ASSERT_EQ(content.size(), 2u);
  EXPECT_EQ(content[0].text, "what?");
  ASSERT_TRUE(content[1].image);
  EXPECT_EQ(*content[1].image, (Pixels{1, 2, {255, 0, 0, 0, 0, 255}}));
}

TEST_F(OpenAiMediaTest, NamesThePictureThatIsWrong) {
  ApiOptions options;
  options.media.image.max_pixels = 1;
  start(options);
  for (const std::string url : {"data:image/png;base64,AAAA", "nonsense", "file:///etc/passwd",
                                "http://169.254.169.254/x", "ftp://x/y"}) {
    const TestResponse response = chat(with_picture(url));
    EXPECT_EQ(response.status, 400) << url;
    EXPECT_EQ(error_of(response).at("param"), "messages.0.content.1.image_url") << url;
  }
  EXPECT_EQ(chat(with_picture(bmp_url)).status, 413);
}

TEST_F(OpenAiMediaTest, LimitsTheSumOfPictures) {
  ApiOptions options;
  options.media.max_pixels = 3;
  start(options);
  const std::string part = R"({"type": "image_url", "image_url": {"url": ")" + bmp_url + R"("}})";
  const TestResponse response =
      chat(R"({"messages": [{"role": "user", "content": [)" + part + "," + part + "]}]}");
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(error_of(response).at("param"), "messages.0.content.1.image_url");
}

TEST_F(OpenAiMediaTest, ShrinksPicturesOfLowDetail) {
  start();
  // 600 x 1 pixels, PBM-like in a BMP without padding questions: made here, so that the sizes are seen.
  const int width = 600;
  std::string bmp("BM", 2);
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bmp += static_cast<char>(i < 4 ? value >> (8 * i) & 255 : 0);
  };
  put(54 + width * 3, 4), put(0, 4), put(54, 4), put(40, 4), put(width, 4), put(1, 4), put(1, 2),
      put(24, 2), put(0, 24);
  bmp += std::string(width * 3, '\x40');
  std::string url = "data:image/bmp,";
  for (const char byte : bmp) {
    char text[4];
    std::snprintf(text, sizeof(text), "%%%02X", static_cast<unsigned char>(byte));
    url += text;
  }
  const auto ask = [&](const std::string& detail) {
    const TestResponse response = chat(
        R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ")" +
        url + R"(", "detail": ")" + detail + R"("}}]}]})");
    EXPECT_EQ(response.status, 200) << response.body;
    return engine_.last_.messages.at(0).content.at(0).image->width;
  };
  EXPECT_EQ(ask("high"), 600);
  EXPECT_EQ(ask("low"), 512);
}

std::string clip_url(const std::string& name) {
  return "file:" + std::string(PIPPIN_SOURCE_DIR) + "/src/media/testdata/video/" + name;
}

ApiOptions with_clips() {
  ApiOptions options;
  options.fetch.media_root = std::string(PIPPIN_SOURCE_DIR) + "/src/media/testdata/video";
  return options;
}

std::string with_part(const std::string& part, const std::string& members = "") {
  return R"({"messages": [{"role": "user", "content": [)" + part + "]}]" + members + "}";
}

TEST_F(OpenAiMediaTest, GivesTheEngineSampledFrames) {
  start(with_clips());
  const auto seconds = [&](const std::string& part, const std::string& members = "") {
    const TestResponse response = chat(with_part(part, members));
    EXPECT_EQ(response.status, 200) << response.body;
    return engine_.last_.messages.at(0).content.at(0).video->seconds;
  };
  using Seconds = std::vector<double>;
  // Twenty frames in two seconds. First as the model samples, then as the request says.
  const std::string url = R"("url": ")" + clip_url("h264.mp4") + R"(")";
  const std::string plain = R"({"type": "video_url", "video_url": {)" + url + "}}";
  EXPECT_EQ(seconds(plain), (Seconds{0, 0.6, 1.3, 1.9}));
  EXPECT_EQ(seconds(R"({"type": "video_url", "video_url": {)" + url + R"(, "max_frames": 2}})"),
            (Seconds{0, 1.9}));
  EXPECT_EQ(seconds(R"({"type": "video_url", "fps": 3, "video_url": {)" + url + "}}").size(), 6u);
  const std::string kwargs = R"(, "mm_processor_kwargs": {"num_frames": 3})";
  EXPECT_EQ(seconds(plain, kwargs).size(), 3u);
  EXPECT_EQ(
      seconds(R"({"type": "video", "fps": 5, "video": ")" + clip_url("h264.mp4") + R"("})", kwargs)
          .size(),
      10u);
}

TEST_F(OpenAiMediaTest, TakesAVideoAsPictures) {
  start();
  const auto video = [&](const std::string& part) {
    const TestResponse response = chat(with_part(part));
    EXPECT_EQ(response.status, 200) << response.body;
    return *engine_.last_.messages.at(0).content.at(0).video;
  };
  const std::string pictures = "[\"" + bmp_url + "\", \"" + bmp_url + "\", \"" + bmp_url + "\"]";
  const Video listed = video(R"({"type": "video", "fps": 4, "video": )" + pictures + "}");
  EXPECT_EQ(listed.seconds, (std::vector<double>{0, 0.25, 0.5}));
  EXPECT_EQ(listed.frames[2], (Pixels{1, 2, {255, 0, 0, 0, 0, 255}}));
  // vLLM's form: the frames' base64 in one URL (of whatever format they are), at the model's own rate.
  const std::string base64 = bmp_url.substr(bmp_url.find(',') + 1);
  const Video joined =
      video(R"({"type": "video_url", "video_url": {"url": "data:video/jpeg;base64,)" + base64 +
            "," + base64 + R"("}})");
  EXPECT_EQ(joined.seconds, (std::vector<double>{0, 0.5}));
  EXPECT_EQ(joined.frames[0], listed.frames[0]);
  for (const char* head :
       {"DATA:Video/JPEG;base64,", "data:video/jpeg; base64 ,", "data:video/jpeg;q=1;BASE64,"})
    EXPECT_EQ(video(R"({"type": "video_url", "video_url": {"url": ")" + std::string(head) + base64 +
                    "," + base64 + R"("}})")
                  .frames,
              joined.frames)
        << head;
}

// 1 x 1, white.
const std::string small_bmp_url =
    "data:image/"
    "bmp;base64,Qk06AAAAAAAAADYAAAAoAAAAAQAAAAEAAAABABgAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAA////AA==";

TEST_F(OpenAiMediaTest, NamesTheFrameThatIsWrong) {
  ApiOptions options;
  options.media.max_pixels = 7;
  start(options);
  const auto param = [&](const std::vector<std::string>& urls, int status) {
    std::string list;
    for (const std::string& url : urls) list += (list.empty() ? "\"" : ", \"") + url + "\"";
    const TestResponse response = chat(with_part(R"({"type": "video", "video": [)" + list + "]}"));
    EXPECT_EQ(response.status, status) << response.body;
    return std::string(error_of(response).at("param").as_string());
  };
  const std::string field = "messages.0.content.0.video.";
  EXPECT_EQ(param({bmp_url, bmp_url, "nonsense"}, 400), field + "2");
  EXPECT_EQ(param({"data:image/png;base64,AAAA", bmp_url}, 400), field + "0");
  EXPECT_EQ(param({bmp_url, small_bmp_url, bmp_url}, 400), field + "1");  // of another size
  EXPECT_EQ(param({bmp_url, bmp_url, bmp_url, bmp_url}, 413), field + "3");
}

TEST_F(OpenAiMediaTest, SaysThatAudioIsIgnored) {
  start(with_clips());
  const auto details = [&](const std::string& name) {
    const TestResponse response = chat(
        with_part(R"({"type": "video_url", "video_url": {"url": ")" + clip_url(name) + R"("}})"));
    EXPECT_EQ(response.status, 200) << response.body;
    return parse_json(response.body, "body").at("usage").at("prompt_tokens_details").as_object();
  };
  EXPECT_EQ(details("h264.mp4").at("ignored_audio_tracks"), 1);
  EXPECT_FALSE(details("vp9.webm").contains("ignored_audio_tracks"));
}

TEST_F(OpenAiMediaTest, NamesTheVideoThatIsWrong) {
  ApiOptions options = with_clips();
  options.media.video.max_frames = 10;
  start(options);
  const auto refused = [&](const std::string& part, int status) {
    const TestResponse response = chat(with_part(part));
    EXPECT_EQ(response.status, status) << response.body;
    return std::string(error_of(response).at("param").as_string());
  };
  const auto of_url = [](const std::string& url) {
    return R"({"type": "video_url", "video_url": {"url": ")" + url + R"("}})";
  };
  const std::string field = "messages.0.content.0.video_url";
  EXPECT_EQ(refused(of_url(clip_url("h264.mp4")), 413), field);
  EXPECT_EQ(refused(of_url(clip_url("missing.mp4")), 400), field);
  EXPECT_EQ(refused(of_url(bmp_url), 400), field);
  EXPECT_EQ(refused(of_url("data:video/jpeg;base64,"), 400), field);
  EXPECT_EQ(refused(R"({"type": "video", "video": ["nonsense"]})", 400),
            "messages.0.content.0.video.0");
  engine_.info_.video_sampling.reset();
  EXPECT_EQ(refused(of_url(clip_url("vp8.webm")), 400), field);
}

}  // namespace
}  // namespace pippin::server
