"""pippin chat on a terminal, and run's two streams."""
import json
import pathlib
import re
import signal
import subprocess
import time
from typing import Iterator

import pytest

from e2e_harness import BINARY, MODEL, ROOT, SLOWDOWN, run_program
from e2e_hub import REPO, demo_repo, played
from e2e_terminal import Terminal

SHAPES = ROOT / "assets/pictures/shapes.png"
STATS = "a second]"  # the end of the line behind each answer


@pytest.fixture
def chat(tmp_path: pathlib.Path) -> Iterator[Terminal]:
    with Terminal("chat", MODEL, "--temperature", "0", "--max-tokens", "48", env={"HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("> ")
        yield terminal


def test_a_chat_remembers_and_counts(chat):
    chat.enter("What is Pippin?")
    first = chat.wait_for(STATS)
    assert "MLX" in first and "tokens generated" in first
    chat.enter("What is Pippin?")
    second = chat.wait_for(STATS)
    cached = int(re.search(r"(\d+) of them cached", second)[1])
    assert cached > 0, "the first question is known"
    chat.enter("/clear")
    chat.enter("What is Pippin?")
    cleared = chat.wait_for(STATS)
    tokens = lambda shown: int(re.search(r"(\d+) prompt tokens", shown)[1])
    assert tokens(cleared) == tokens(first) < tokens(second)
    chat.wait_for("> ")  # before that, Ctrl-D is no key
    chat.type("\x04")
    assert chat.end() == 0


def test_a_picture_is_shown_with_the_next_question(chat):
    chat.enter(f"/image {SHAPES}")
    chat.wait_for("shown with the next question")
    chat.enter("What colour is the square?")
    assert "blue" in chat.wait_for(STATS)
    chat.enter("/image /no/such.png")
    assert "/no/such.png" in chat.wait_for("No such file")
    chat.enter("/quit")
    assert chat.end() == 0


def hot_chat(tmp_path) -> Terminal:
    """A hot model seldom stops at once: there is time for Ctrl-C."""
    return Terminal("chat", MODEL, "--seed", "1", "--temperature", "2", env={"HOME": str(tmp_path)})


def test_ctrl_c_ends_the_answer_and_not_the_program(tmp_path):
    with hot_chat(tmp_path) as chat:
        for _ in range(20):
            chat.wait_for("> ")  # before that, a terminal drops at Ctrl-C what was typed
            chat.enter("Tell me about yourself.")
            chat.wait_for("yourself.\x1b[?2004l\r\n")
            chat.type("\x03")
            shown = chat.wait_for(STATS)
            if "ended by Ctrl-C" in shown:
                break
        assert "ended by Ctrl-C" in shown
        chat.wait_for("> ")
        chat.type("\x03")
        chat.wait_for("Ctrl-D or /quit ends")
        chat.enter("/quit")
        assert chat.end() == 0


def test_ctrl_c_at_any_moment_ends_no_program(tmp_path):
    with hot_chat(tmp_path) as chat:
        ended = 0
        for i in range(40):
            chat.wait_for("> ")
            chat.enter("Tell me about yourself.")
            chat.wait_for("\r\n")  # the line is read: Ctrl-C is a signal from here on
            time.sleep(i / 2000)
            chat.process.send_signal(signal.SIGINT)
            ended += "ended by Ctrl-C" in chat.wait_for(STATS)
        assert ended > 0
        chat.wait_for("> ")
        chat.enter("/quit")
        assert chat.end() == 0


def test_alt_enter_during_an_answer_is_a_new_line(chat, tmp_path):
    chat.enter("What is Pippin?")
    chat.wait_for("Pippin is")
    chat.enter("What is\x1b\rPippin?")
    chat.wait_for(STATS, times=2)
    chat.enter(f"/save {tmp_path}/chat.json")
    chat.wait_for("Saved in")
    messages = json.loads((tmp_path / "chat.json").read_text())["messages"]
    assert [message["content"] for message in messages if message["role"] == "user"] == ["What is Pippin?", "What is\nPippin?"]


def test_several_lines_are_one_question(chat, tmp_path):
    chat.enter("What is \\")
    chat.enter("Pippin?")
    chat.wait_for(STATS)
    chat.type("\x1b[200~What is\nPippin?\x1b[201~")  # pasted
    chat.enter("")
    chat.wait_for(STATS)
    chat.enter('"""')
    chat.enter("What is")
    chat.enter('Pippin?"""')
    chat.wait_for(STATS)
    chat.enter("What is\x1b\rPippin?")  # Alt-Enter
    chat.wait_for(STATS)
    chat.enter(f"/save {tmp_path}/chat.json")
    chat.wait_for("Saved in")
    messages = json.loads((tmp_path / "chat.json").read_text())["messages"]
    asked = [message["content"] for message in messages if message["role"] == "user"]
    assert asked == ["What is \nPippin?", "What is\nPippin?", "What is\nPippin?", "What is\nPippin?"]


def test_what_is_typed_during_an_answer_is_the_next_question(chat):
    chat.enter("What is Pippin?")
    chat.wait_for("Pippin is")
    chat.enter("/nonsense")
    chat.wait_for(STATS)
    chat.wait_for("there is no command /nonsense")


def test_a_saved_chat_goes_on(chat, tmp_path):
    chat.enter("/system Be brief.")
    chat.enter(f"/image {SHAPES}")
    chat.enter("Describe the picture.")
    described = chat.wait_for(STATS)
    chat.enter(f"/save {tmp_path}/chat.json")
    chat.wait_for("Saved in")
    saved = json.loads((tmp_path / "chat.json").read_text())
    assert [message["role"] for message in saved["messages"]] == ["system", "user", "assistant"]
    with Terminal("chat", MODEL, "--load", f"{tmp_path}/chat.json", "--temperature", "0", "--max-tokens", "48",
                  env={"HOME": str(tmp_path)}) as again:
        again.wait_for("Goes on after 2 messages")
        again.wait_for("> ")
        again.enter("What colour is the square?")
        assert "blue" in again.wait_for(STATS) and "circle" in described


def test_what_was_typed_is_there_the_next_time(chat, tmp_path):
    chat.enter("/help")
    assert "/image FILE" in chat.wait_for("before it.")
    chat.enter("/nonsense")
    chat.wait_for("there is no command /nonsense")
    chat.wait_for("> ")  # before that, Ctrl-D is no key
    chat.type("\x04")
    assert chat.end() == 0
    history = tmp_path / ".local/state/pippin/chat_history"
    assert "/help" in history.read_text() and history.stat().st_mode & 0o077 == 0
    with Terminal("chat", MODEL, env={"HOME": str(tmp_path)}) as again:
        again.wait_for("> ")
        again.type("\x1b[A\x1b[A\r")  # twice up: /help
        again.wait_for("/image FILE")


def test_a_chat_by_name_shows_progress(tmp_path):
    with played(played__demo=demo_repo()) as hub:
        hub.bytes_per_second = 20_000_000
        with Terminal("chat", REPO, env=hub.environment(tmp_path)) as chat:
            shown = chat.wait_for("> ")
            assert "MB of 30" in shown and "MB/s" in shown and " left" in shown and "\r" in shown
            assert f"{REPO} on the" in shown


def test_a_chat_without_a_terminal_reads_lines(tmp_path):
    result = run_program("chat", MODEL, "--temperature", "0", "--max-tokens", "48", input="What is Pippin?\n/quit\n",
                         env={"HOME": str(tmp_path)})
    assert result.returncode == 0 and "MLX" in result.stdout
    assert "tokens generated" not in result.stdout and "tokens generated" in result.stderr and "\x1b" not in result.stdout


def test_what_run_says_of_itself_is_not_in_the_answer(tmp_path):
    with played(played__demo=demo_repo()) as hub:
        result = run_program("run", REPO, "--temperature", "0", "--max-tokens", "48", "--stats", input="What is Pippin?\n",
                             env=hub.environment(tmp_path))
    local = run_program("run", MODEL, "What is Pippin?", "--temperature", "0", "--max-tokens", "48")
    assert result.stdout == local.stdout and local.stderr == ""
    assert "to fetch" in result.stderr and "tokens generated" in result.stderr


def test_a_reader_that_leaves_ends_run(tmp_path):
    process = subprocess.Popen([BINARY, "run", MODEL, "Tell me about yourself.", "--temperature", "2", "--seed", "1"],
                               stdout=subprocess.PIPE)
    process.stdout.read(1)
    process.stdout.close()
    process.wait(timeout=60 * SLOWDOWN)
