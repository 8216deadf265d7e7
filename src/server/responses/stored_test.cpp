// Stored responses: whose they are, and what is left of them on disk, over a fake engine.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <new>

#include "base/failing_memory_testing.h"
#include "server/api_testing.h"
#include "server/responses/store.h"

namespace pippin::server {
namespace {

using namespace testing;

class StoredResponses : public ApiTest {
 protected:
  static std::string asking(const std::string& members) {
    return R"({"model": "tiny", "input": "hi")" + members + "}";
  }
  json::value answer(const std::string& body) {
    const TestResponse response = send(
        "POST /v1/responses HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body);
    EXPECT_EQ(response.status, 200) << response.body;
    return parse_json(response.body, "body");
  }
};

// A folder of the test's own.
std::filesystem::path empty_folder() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const auto folder = std::filesystem::path(::testing::TempDir()) /
                      ("pippin_" + std::string(test->name()) + "_" + std::to_string(::getpid()));
  std::filesystem::remove_all(folder);
  return folder;
}

TEST_F(StoredResponses, OutliveTheServerInAFolder) {
  ApiOptions options;
  options.responses.folder = empty_folder();
  start(options);
  const json::value first = answer(asking(""));
  const std::string first_id(first.at("id").as_string());
  const std::string second_id(
      answer(asking(R"(, "previous_response_id": ")" + first_id + "\"")).at("id").as_string());

  server_.reset();
  start(options);
  EXPECT_EQ(parse_json(get("/v1/responses/" + first_id).body, "body"), first);
  answer(asking(R"(, "previous_response_id": ")" + second_id + "\""));
  EXPECT_EQ(engine_.last_.messages.size(), 5u);

  server_.reset();
  start(options);
  const auto file = options.responses.folder / (first_id + ".json");
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::ofstream(file) << "{\"input\": 1}";
  EXPECT_EQ(get("/v1/responses/" + first_id).status, 404);
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_EQ(get("/v1/responses/" + second_id).status, 404);  // of which a part is lost
  EXPECT_EQ(get("/v1/responses/..%2F" + first_id).status, 404);
  const auto second = options.responses.folder / (second_id + ".json");
  EXPECT_EQ(send("DELETE /v1/responses/" + second_id + " HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
  EXPECT_FALSE(std::filesystem::exists(second));
}

TEST_F(StoredResponses, AreWholeOrNotThere) {
  ApiOptions options;
  options.responses.folder = empty_folder();
  const auto stored = [&] {
    start(options);
    return std::string(answer(asking("")).at("id").as_string());
  };
  const auto status = [&](const std::string& id) {
    server_.reset();
    start(options);
    return get("/v1/responses/" + id).status;
  };
  EXPECT_EQ(status(stored()), 200);
  const auto file_of = [&](const std::string& id) {
    return options.responses.folder / (id + ".json");
  };
  const auto size = std::filesystem::file_size(file_of(stored()));
  // One bit anywhere, in the words as in the checksum.
  for (std::uintmax_t at = 0; at < size; at += 23) {
    const std::string id = stored();
    std::fstream file(file_of(id), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char flipped = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(flipped);
    file.close();
    EXPECT_EQ(status(id), 404) << at;
  }
  const std::string cut = stored(), moved = stored();
  std::filesystem::resize_file(file_of(cut), size - 1);
  EXPECT_EQ(status(cut), 404);
  std::filesystem::rename(file_of(moved), file_of("resp_another"));
  EXPECT_EQ(status("resp_another"), 404);
}

TEST_F(StoredResponses, AFolderThatCannotBeUsedIsDoneWithout) {
  for (const char* folder : {"/dev/null/responses", "/dev/null"}) {
    ApiOptions options;
    options.responses.folder = folder;
    start(options);
    const std::string id(answer(asking("")).at("id").as_string());
    EXPECT_EQ(get("/v1/responses/" + id).status, 200);
    server_.reset();
  }
}

TEST_F(StoredResponses, BelongToTheirKey) {
  gate_ = [](const HttpRequest& head) {
    Admission admission;
    admission.caller = {std::string(head.headers.get("X-Api-Key").value_or("")), false};
    return admission;
  };
  ApiOptions options;
  options.responses.folder = empty_folder();
  start(options);
  const auto as = [&](const std::string& key, const std::string& method, const std::string& path,
                      const std::string& body = "") {
    return send(method + " " + path + " HTTP/1.1\r\nHost: h\r\nX-Api-Key: " + key +
                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  const json::value response =
      parse_json(as("a", "POST", "/v1/responses", asking("")).body, "body");
  const std::string id(response.at("id").as_string());
  const std::string item(response.at("output").at(0).at("id").as_string());
  const std::string path = "/v1/responses/" + id;
  const std::string on = asking(R"(, "previous_response_id": ")" + id + "\"");
  const std::string reference =
      R"({"model": "tiny", "input": [{"type": "item_reference", "id": ")" + item + "\"}]}";
  for (const bool restarted : {false, true}) {
    if (restarted) {
      server_.reset();
      start(options);
    }
    for (const char* other : {"b", ""}) {
      const TestResponse refused = as(other, "GET", path);
      EXPECT_EQ(refused.status, 404);
      // As of one that never was.
      EXPECT_EQ(error_of(refused).at("code"), "not_found");
      EXPECT_EQ(as(other, "GET", path + "/input_items").status, 404);
      EXPECT_EQ(as(other, "DELETE", path).status, 404);
      EXPECT_EQ(as(other, "POST", "/v1/responses", on).status, 404);
      EXPECT_EQ(as(other, "POST", "/v1/responses", reference).status, 404);
    }
    EXPECT_EQ(as("a", "GET", path).status, 200);
    EXPECT_EQ(as("a", "GET", path + "/input_items").status, 200);
    EXPECT_EQ(as("a", "POST", "/v1/responses", on).status, 200);
    EXPECT_EQ(as("a", "POST", "/v1/responses", reference).status, 200);
  }
  EXPECT_EQ(as("a", "DELETE", path).status, 200);
  EXPECT_EQ(as("a", "GET", path).status, 404);
}

TEST_F(StoredResponses, FoldersAreBounded) {
  ApiOptions options;
  options.responses.folder = empty_folder();
  options.responses.max_folder_bytes = 6000;
  start(options);
  for (int i = 0; i < 12; ++i) answer(asking(""));
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(options.responses.folder))
    bytes += entry.file_size();
  EXPECT_GT(bytes, 1000u);
  EXPECT_LE(bytes, 6000u);
}

const std::string owner = "an owner whose name is longer than a string holds in itself";

std::shared_ptr<StoredResponse> response(const std::string& id, StoredResponsePtr previous = {}) {
  auto made = std::make_shared<StoredResponse>();
  made->id = id;
  made->owner = owner;
  made->input = {json::object{{"id", "msg_" + id}, {"content", "words that were asked"}}};
  made->output = {json::object{{"id", "out_" + id}, {"content", "words that were answered"}}};
  made->response = R"({"id": ")" + id + R"(", "of": "some length, to be kept"})";
  made->previous = std::move(previous);
  return made;
}

const std::string first_id = "resp_0000000000000000000000000000000000000001",
                  second_id = "resp_0000000000000000000000000000000000000002";

// A file is no worse for the memory that was missing while it was read.
TEST(ResponseStore, WithoutMemoryAFolderKeepsWhatItHolds) {
  ResponseStore::Options options;
  options.folder = empty_folder();
  {
    ResponseStore store(options);
    const auto first = response(first_id);
    store.put(first);
    store.put(response(second_id, first));
  }
  int refused = 0;
  const auto count = for_each_allocation([&](std::int64_t number) {
    ResponseStore store(options);
    bool failed = false;
    {
      StoredResponsePtr found;
      const FailingMemory memory(number);
      try {
        found = store.find(second_id, owner);
        EXPECT_TRUE(found && found->previous) << "what is there is not told to be missing";
      } catch (const std::bad_alloc&) {
        ++refused;
      }
      failed = memory.has_failed();
    }
    for (const auto& id : {first_id, second_id})
      EXPECT_TRUE(std::filesystem::exists(options.folder / (id + ".json"))) << id;
    const auto found = store.find(second_id, owner);
    EXPECT_TRUE(found);
    EXPECT_EQ(items_until(found).size(), 4u);
    return failed;
  });
  EXPECT_GT(count, 20);
  EXPECT_GT(refused, 20);
  std::filesystem::remove_all(options.folder);
}

TEST(ResponseStore, WithoutMemoryItHoldsWhatItHeld) {
  ResponseStore::Options options;
  options.max_bytes = 600;
  const auto count = for_each_allocation([&](std::int64_t number) {
    ResponseStore store(options);
    store.put(response(first_id));
    auto second = response(second_id), again = response(first_id);
    bool failed = false;
    {
      const FailingMemory memory(number);
      for (const auto& each : {second, again}) try {
          store.put(each);
        } catch (const std::bad_alloc&) {
        }
      failed = memory.has_failed();
    }
    EXPECT_TRUE(store.find(first_id, owner));
    if (const auto found = store.find(second_id, owner)) {
      EXPECT_EQ(found, second);
      EXPECT_TRUE(store.find_item("out_" + second_id, owner));
    } else {
      EXPECT_TRUE(failed);
      EXPECT_FALSE(store.find_item("out_" + second_id, owner)) << "half of it is kept";
    }
    second = again = nullptr;
    // What is kept, and no more, counts towards the limit.
    for (int i = 0; i < 3; ++i) store.put(response("resp_" + std::to_string(i)));
    EXPECT_FALSE(store.find(first_id, owner));
    EXPECT_TRUE(store.find("resp_2", owner));
    return failed;
  });
  EXPECT_GT(count, 4);
}

TEST(ResponseStore, WithoutMemoryAFolderWritesWholeFilesOrNone) {
  ResponseStore::Options options;
  options.folder = empty_folder();
  const auto made = response(first_id);
  const auto count = for_each_allocation([&](std::int64_t number) {
    std::filesystem::remove_all(options.folder);
    bool failed = false;
    {
      ResponseStore store(options);
      const FailingMemory memory(number);
      try {
        store.put(made);
      } catch (const std::bad_alloc&) {
      }
      failed = memory.has_failed();
    }
    for (const auto& file : std::filesystem::directory_iterator(options.folder))
      EXPECT_EQ(file.path().extension(), ".json") << "a part is left behind";
    ResponseStore store(options);
    const bool written = std::filesystem::exists(options.folder / (first_id + ".json"));
    EXPECT_EQ(store.find(first_id, owner) != nullptr, written);
    EXPECT_TRUE(written || failed);
    return failed;
  });
  EXPECT_GT(count, 10);
  std::filesystem::remove_all(options.folder);
}

}  // namespace
}  // namespace pippin::server
