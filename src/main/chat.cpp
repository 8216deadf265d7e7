#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "base/mutex.h"
#include "main/answer_printer.h"
#include "main/commands.h"
#include "main/conversation.h"
#include "main/line_editor.h"
#include "main/load.h"
#include "main/model_source.h"
#include "main/question.h"
#include "main/running_server.h"
#include "pippin/engine.h"
#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto patience = 50ms;  // between Ctrl-C and the answer's end

constexpr const char* help =
    "/image FILE     show a picture with the next question\n"
    "/video FILE     show a clip with it\n"
    "/system [TEXT]  set the system prompt; without TEXT, leave it out\n"
    "/clear          forget what was said\n"
    "/save FILE      write the chat, as JSON\n"
    "/load FILE      go on with a chat that was saved\n"
    "/help           this\n"
    "/quit           end (so does Ctrl-D)\n"
    "Ctrl-C ends an answer. Several lines: Alt-Enter, a backslash at a line's end, or\n"
    "three quotation marks before and after. A question that begins with a slash: put a space\n"
    "before it.\n";

std::atomic<bool> interrupted{false};  // set by Ctrl-C; a signal handler has nothing else

// Ctrl-C ends an answer and not the program.
class Interruptible {
 public:
  Interruptible() : before_(std::signal(SIGINT, [](int) { interrupted = true; })) {}
  ~Interruptible() { std::signal(SIGINT, before_); }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  void (*before_)(int);
};

// Has the next event at hand, without being deaf to Ctrl-C meanwhile.
class Waiter {
 public:
  /// False where Ctrl-C came first.
  bool wait(ChatStream& stream) {
    const auto ready = std::make_shared<Ready>();
    stream.when_ready([ready] {
      const MutexLock lock(ready->mutex);
      ready->is = true;
      ready->changed.notify_one();
    });
    MutexLock lock(ready->mutex);
    while (!ready->is && !interrupted) ready->changed.wait_for(ready->mutex, patience);
    return !interrupted;
  }

 private:
  struct Ready {  // shared: the engine may still call after the wait
    Mutex mutex;
    ConditionVariable changed;
    bool is GUARDED_BY(mutex) = false;
  };
};

// Whether Ctrl-C comes as a key while a line is read, and as a signal from the line's end on: a handler may stand all the time.
bool ctrl_c_is_a_key() {
  const char* const set = std::getenv("TERM");
  const std::string term = set ? set : "";
  return isatty(STDIN_FILENO) == 1 && term != "dumb" && term != "cons25" && term != "emacs";
}

fs::path history_file(bool wanted) {
  const fs::path folder = wanted ? state_folder() : fs::path();
  return folder.empty() ? folder : folder / "chat_history";
}

// Two words: "/image" and "my picture.png".
std::pair<std::string, std::string> split(const std::string& entry) {
  const auto space = entry.find(' ');
  if (space == std::string::npos) return {entry, ""};
  const auto begin = entry.find_first_not_of(' ', space);
  std::string rest = begin == std::string::npos ? "" : entry.substr(begin);
  while (rest.ends_with(' ')) rest.pop_back();
  return {entry.substr(0, space), rest};
}

class Chat {
 public:
  Chat(const ChatCommand& command, const ModelSource& source, Engine& engine)
      : command_(command),
        source_(source),
        engine_(engine),
        sampling_(sampling_of(command, source.dir)) {
    conversation_.system = command.system;
    if (!command.load.empty()) load(command.load);
  }

  void run() {
    std::vector<std::string> names;
    for (const Command& command : commands()) names.emplace_back(command.name);
    LineEditor editor(names, history_file(!command_.no_history));
    std::cerr << source_.name << " on the " << engine_.info().device
              << ". /help lists the commands; Ctrl-D ends.\n";
    std::optional<Interruptible> between_lines;
    if (ctrl_c_is_a_key()) between_lines.emplace();
    while (!ended_) {
      interrupted = false;
      const LineEditor::Read read = editor.read("> ");
      if (read.kind == LineEditor::Kind::end) return;
      if (read.kind == LineEditor::Kind::interrupted)
        std::cerr << "Ctrl-D or /quit ends.\n";
      else
        take(read.text);
    }
  }

 private:
  struct Command {
    const char* name;
    bool wants_file;
    void (Chat::*run)(const std::string& argument);
  };

  static const std::vector<Command>& commands() {
    static const std::vector<Command> table = {
        {"/clear", false, &Chat::clear},   {"/help", false, &Chat::show_help},
        {"/image", true, &Chat::image},    {"/load", true, &Chat::load},
        {"/quit", false, &Chat::quit},     {"/save", true, &Chat::save},
        {"/system", false, &Chat::system}, {"/video", true, &Chat::video},
    };
    return table;
  }

  // What goes wrong is said, and the chat goes on.
  void take(const std::string& entry) try {
    if (entry.starts_with('/'))
      obey(entry);
    else if (entry.find_first_not_of(" \n\t") != std::string::npos)
      ask(entry);
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
  }

  void obey(const std::string& entry) {
    const auto [name, argument] = split(entry);
    for (const Command& command : commands()) {
      if (name != command.name) continue;
      if (command.wants_file && argument.empty())
        throw Error(Code::invalid_argument, name + " wants a file: " + name + " FILE");
      return (this->*command.run)(argument);
    }
    throw Error(Code::invalid_argument, "there is no command " + name + "; /help lists them");
  }

  void ask(const std::string& text) {
    conversation_.ask(text);
    try {
      answer();
    } catch (...) {
      conversation_.take_back();
      throw;
    }
  }

  void answer() {
    const Interruptible interruptible;
    ChatRequest request;
    request.messages = conversation_.messages();
    request.sampling = sampling_;
    request.stop = command_.stop;
    request.hooks.wanted = [] { return !interrupted.load(); };
    const auto begun = std::chrono::steady_clock::now();
    AnswerPrinter printer({std::cout, isatty(STDOUT_FILENO) == 1}, remarks_);
    try {
      print(*engine_.chat(std::move(request)), printer);
    } catch (const Error& error) {  // Ctrl-C came before the prompt was ready
      if (!interrupted || error.code() != Code::cancelled) throw;
    }
    printer.finish();
    remark((interrupted ? "[ended by Ctrl-C] " : "") + printer.stats(begun));
    conversation_.answer(printer.text(), printer.reasoning());
  }

  static void print(ChatStream& stream, AnswerPrinter& printer) {
    Waiter waiter;
    while (!stream.finished() && waiter.wait(stream))
      while (const auto event = stream.poll()) printer.print(*event);
  }

  void remark(const std::string& text) {
    remarks_.stream << (remarks_.terminal ? "\033[2m" + text + "\033[0m" : text) << std::endl;
  }

  Attachment attachment(bool is_video, const std::string& name) {
    const bool is_url = name.find("://") != std::string::npos;
    std::error_code ignored;
    const std::string source = is_url ? name : fs::absolute(name, ignored).string();
    return {is_video, source, is_video ? load_clip(name, source_.dir) : load_picture(name)};
  }

  void attach(bool is_video, const std::string& name) {
    if (!engine_.info().takes_images)
      throw Error(Code::invalid_argument, source_.name + " takes no pictures");
    conversation_.attach(attachment(is_video, name));
    remark("It is shown with the next question.");
  }

  void image(const std::string& name) { attach(false, name); }
  void video(const std::string& name) { attach(true, name); }
  void clear(const std::string&) { conversation_.clear(); }
  void show_help(const std::string&) { std::cerr << help; }
  void quit(const std::string&) { ended_ = true; }
  void system(const std::string& text) { conversation_.system = text; }

  void save(const std::string& file) {
    conversation_.save(file);
    remark("Saved in " + file + ".");
  }

  void load(const std::string& file) {
    conversation_.load(file, [this](bool is_video, const std::string& source) {
      return attachment(is_video, source);
    });
    remark("Goes on after " + std::to_string(conversation_.turns().size()) + " messages.");
  }

  const ChatCommand& command_;
  const ModelSource& source_;
  Engine& engine_;
  const SamplingOptions sampling_;
  Output remarks_{std::cerr, isatty(STDERR_FILENO) == 1};
  Conversation conversation_;
  bool ended_ = false;
};

}  // namespace

int chat(const ChatCommand& command, const fs::path& program) {
  const ModelSource source = get_model(command.model, program, command.engine, command.offline);
  const std::unique_ptr<Engine> engine = load_for_answers(source, command);
  Chat(command, source, *engine).run();
  return EXIT_SUCCESS;
}

}  // namespace pippin
