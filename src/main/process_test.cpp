#include "main/process.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/files.h"
#include "pippin/error.h"

namespace pippin {
namespace {

using namespace std::chrono_literals;

const std::filesystem::path log_file =
    std::filesystem::path(::testing::TempDir()) / "pippin_process_test";

ProcessOptions shell(const std::string& script) {
  return {"sh", {"-c", script}, {}, {}, log_file, true};
}

int wait_for(Process& process) {
  while (!process.status()) std::this_thread::sleep_for(1ms);
  return *process.status();
}

TEST(Process, GivesItsStatusAndItsOutput) {
  Process process(shell("echo out; echo error >&2; exit 3"));
  EXPECT_EQ(wait_for(process), 3);
  EXPECT_EQ(read_text(log_file), "out\nerror\n");
  EXPECT_EQ(wait_for(process), 3) << "asked again";
}

TEST(Process, GetsVariables) {
  ::setenv("PIPPIN_TEST_GONE", "x", 1);
  ::setenv("PIPPIN_TEST_CHANGED", "old", 1);
  ProcessOptions options = shell("echo $PIPPIN_TEST_GONE-$PIPPIN_TEST_CHANGED-$PIPPIN_TEST_NEW");
  options.variables = {{"PIPPIN_TEST_CHANGED", "new"}, {"PIPPIN_TEST_NEW", "a b"}};
  options.removed = {"PIPPIN_TEST_GONE"};
  Process process(options);
  EXPECT_EQ(wait_for(process), 0);
  EXPECT_EQ(read_text(log_file), "-new-a b\n");
}

TEST(Process, EndsWhereItIsAskedAndWhereItIsDeaf) {
  Process willing(shell("sleep 60"));
  willing.end(10s);
  EXPECT_EQ(willing.status(), 128 + SIGTERM);
  Process deaf(shell("trap '' TERM; echo ready; while :; do sleep 0.01; done"));
  while (read_text(log_file) != "ready\n") std::this_thread::sleep_for(1ms);
  deaf.end(0s);
  EXPECT_EQ(deaf.status(), 128 + SIGKILL);
}

TEST(Process, ThatIsNotThereIsAnError) {
  EXPECT_THROW(Process({"/no/such/program", {}, {}, {}, log_file, false}), Error);
}

TEST(HeldSignals, AreAskedForAndDroppedAtTheEnd) {
  {
    const HeldSignals signals;
    EXPECT_FALSE(signals.end_wanted());
    ::kill(::getpid(), SIGINT);
    EXPECT_TRUE(signals.end_wanted());
    EXPECT_EQ(signals.wait(), SIGINT);
    Process child(shell("exit 0"));
    EXPECT_EQ(signals.wait(), SIGCHLD) << "a child's end wakes who waits";
    EXPECT_EQ(wait_for(child), 0);
    std::thread([] { ::raise(SIGTERM); }).join();
    EXPECT_EQ(signals.wait(), SIGTERM) << "whatever thread it comes to";
    ::kill(::getpid(), SIGINT);
  }  // this process lives on
  EXPECT_EQ(std::signal(SIGINT, SIG_DFL), SIG_DFL);
}

}  // namespace
}  // namespace pippin
