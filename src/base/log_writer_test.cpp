#include "base/log_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <string>

namespace pippin {
namespace {

struct Pipe {
  std::array<int, 2> ends{};
  Pipe() { EXPECT_EQ(::pipe(ends.data()), 0); }
  ~Pipe() {
    for (const int end : ends)
      if (end >= 0) ::close(end);
  }
  std::string read(std::size_t size) const {
    std::string text(size, ' ');
    const ssize_t got = ::read(ends[0], text.data(), size);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
  }
};

TEST(LogWriter, WritesWhatIsRead) {
  const Pipe pipe;
  LogWriter writer(pipe.ends[1]);
  writer.write("one\n");
  EXPECT_EQ(pipe.read(10), "one\n");
  const std::string line(20'000, 'x');
  writer.write(line);
  std::string got;
  while (got.size() < line.size()) got += pipe.read(line.size());
  EXPECT_EQ(got, line);
  EXPECT_EQ(writer.num_dropped(), 0);
}

// Waiting would never end: this thread is the reader.
TEST(LogWriter, DropsWhatNobodyReads) {
  const Pipe pipe;
  LogWriter writer(pipe.ends[1]);
  const std::string line = std::string(999, 'x') + "\n";
  for (int i = 0; i < 2000; ++i) writer.write(line);
  EXPECT_GT(writer.num_dropped(), 500);
  std::int64_t lines = 0;
  const auto written = 2000 - writer.num_dropped();
  while (lines < written) {
    const std::string got = pipe.read(1000);
    EXPECT_EQ(got, line);
    ++lines;
  }
  writer.write("more\n");
  EXPECT_EQ(pipe.read(100), "more\n");
}

TEST(LogWriter, SurvivesAReaderThatLeaves) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  LogWriter writer(pipe.ends[1]);
  ::close(pipe.ends[0]);
  pipe.ends[0] = -1;
  writer.write("one\n");
  EXPECT_EQ(writer.num_dropped(), 1);
  std::signal(SIGPIPE, before);
}

TEST(LogWriter, LeavesTheDescriptorsFlagsAlone) {
  const Pipe pipe;
  const int before = ::fcntl(pipe.ends[1], F_GETFL);
  LogWriter writer(pipe.ends[1]);
  writer.write("one\n");
  EXPECT_EQ(::fcntl(pipe.ends[1], F_GETFL), before);
}

}  // namespace
}  // namespace pippin
