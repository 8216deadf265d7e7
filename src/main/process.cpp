#include "main/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "pippin/error.h"

extern char** environ;  // NOLINT: POSIX's

namespace pippin {
namespace {

using namespace std::chrono_literals;

struct Actions {
  Actions() { posix_spawn_file_actions_init(&value); }
  ~Actions() { posix_spawn_file_actions_destroy(&value); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  posix_spawn_file_actions_t value;
};

struct Attributes {
  Attributes() { posix_spawnattr_init(&value); }
  ~Attributes() { posix_spawnattr_destroy(&value); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  posix_spawnattr_t value;
};

bool is_named(const std::string& setting, const std::string& name) {
  return setting.size() > name.size() && setting.starts_with(name) && setting[name.size()] == '=';
}

std::vector<std::string> environment(const ProcessOptions& options) {
  std::vector<std::string> settings;
  for (char** at = environ; *at != nullptr; ++at) settings.emplace_back(*at);
  const auto drop = [&](const std::string& name) {
    std::erase_if(settings, [&](const std::string& setting) { return is_named(setting, name); });
  };
  for (const std::string& name : options.removed) drop(name);
  for (const auto& [name, value] : options.variables) {
    drop(name);
    settings.push_back(name + "=" + value);
  }
  return settings;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

void send_output(const std::filesystem::path& log, Actions& actions) {
  if (log.empty()) return;
  posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions.value, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions.value, STDOUT_FILENO, STDERR_FILENO);
}

void set_attributes(bool apart, Attributes& attributes) {
  posix_spawnattr_setpgroup(&attributes.value, 0);
  if (apart) posix_spawnattr_setflags(&attributes.value, POSIX_SPAWN_SETPGROUP);
}

// What a signal handler may use: the pipe's end that is written to, and a flag.
volatile std::sig_atomic_t handlers_pipe = -1;
volatile std::sig_atomic_t end_has_come = 0;

void take_signal(int signal) {
  const int error = errno;
  if (signal != SIGCHLD) end_has_come = 1;
  const auto byte = static_cast<char>(signal);
  [[maybe_unused]] const auto written = ::write(handlers_pipe, &byte, 1);
  errno = error;
}

}  // namespace

Process::Process(const ProcessOptions& options) {
  Actions actions;
  Attributes attributes;
  send_output(options.log, actions);
  set_attributes(options.apart, attributes);
  std::vector<std::string> arguments = {options.program.string()};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> settings = environment(options);
  const int error = posix_spawnp(&id_, options.program.c_str(), &actions.value, &attributes.value,
                                 pointers(arguments).data(), pointers(settings).data());
  if (error != 0)
    throw Error(Code::unavailable,
                "cannot start " + options.program.string() + ": " + std::strerror(error));
}

std::optional<int> Process::status() {
  int status = 0;
  if (!status_ && ::waitpid(id_, &status, WNOHANG) == id_)
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return status_;
}

void Process::send(int signal) const {
  if (!status_) ::kill(id_, signal);
}

void Process::end(std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  send(SIGTERM);
  while (!status() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(10ms);
  send(SIGKILL);
  while (!status()) std::this_thread::sleep_for(10ms);
}

HeldSignals::HeldSignals() {
  int ends[2];
  if (::pipe(ends) != 0)
    throw Error(Code::unavailable, std::string("cannot make a pipe: ") + std::strerror(errno));
  pipe_ = Descriptor(ends[0]);
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);  // a handler must not wait
  handlers_pipe = ends[1];
  end_has_come = 0;
  struct sigaction action{};
  action.sa_handler = take_signal;
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < held.size(); ++i) ::sigaction(held[i], &action, &before_[i]);
}

HeldSignals::~HeldSignals() {
  for (std::size_t i = 0; i < held.size(); ++i) ::sigaction(held[i], &before_[i], nullptr);
  ::close(handlers_pipe);
  handlers_pipe = -1;
}

bool HeldSignals::end_wanted() const { return end_has_come != 0; }

int HeldSignals::wait() const {
  char signal = 0;
  while (::read(pipe_.get(), &signal, 1) < 0 && errno == EINTR) {
  }
  return signal;
}

}  // namespace pippin
