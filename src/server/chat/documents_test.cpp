#include "server/chat/documents.h"

#include <gtest/gtest.h>

#include "pippin/error.h"

namespace pippin::server {
namespace {

std::string why(const std::string& data) {
  try {
    text_of_file(data, "file");
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "file");
    return error.what();
  }
  return "";
}

TEST(Documents, AreShownBetweenTags) {
  EXPECT_EQ(document("notes.txt", "One.\nTwo."),
            "<document title=\"notes.txt\">\nOne.\nTwo.\n</document>");
  EXPECT_EQ(document("", "x"), "<document>\nx\n</document>");
  EXPECT_EQ(document_head("a\"><b>\n"), "<document title=\"a   b  \">\n");
}

TEST(Documents, AreReadFromBase64) {
  EXPECT_EQ(text_of_file("data:text/plain;base64,w7Y=", "file"), "ö");
  EXPECT_EQ(text_of_file("w7Y=", "file"), "ö");
  EXPECT_EQ(text_of_file("data:text/csv,a,b", "file"), "a,b");
}

TEST(Documents, WhatIsNoTextIsRefused) {
  EXPECT_NE(why("JVBERi0xLjQ=").find("PDF"), std::string::npos);
  EXPECT_NE(why("/9j/4AAQ").find("UTF-8"), std::string::npos);
  EXPECT_NE(why("YQBi").find("UTF-8"), std::string::npos);  // a zero byte
  EXPECT_NE(why("%%%").find("base64"), std::string::npos);
}

TEST(Documents, FilesElsewhereAreRefusedByName) {
  const auto field = [](json::object file) -> std::string {
    try {
      file_document(Members(file, "part"));
    } catch (const Error& error) {
      return error.field();
    }
    return "";
  };
  EXPECT_EQ(field({{"file_id", "f"}}), "part.file_id");
  EXPECT_EQ(field({{"file_url", "https://x"}}), "part.file_url");
  EXPECT_EQ(field({{"filename", "x"}}), "part.file_data");
  EXPECT_EQ(field({{"filename", "x"}, {"file_data", "YQ=="}}), "");
}

}  // namespace
}  // namespace pippin::server
