"""A program on a terminal of its own (pty), as its user sees and types it."""
import codecs
import fcntl
import os
import pathlib
import pty
import select
import signal
import subprocess
import termios
import time

from e2e_harness import BINARY, SLOWDOWN


class Terminal:
    """Standard input, output and error are one terminal. `shown` is all that has appeared on it."""

    def __init__(self, *arguments: str | pathlib.Path, env: dict[str, str]):
        self._fd, child = pty.openpty()
        termios.tcsetwinsize(child, (40, 200))
        self.process = subprocess.Popen([BINARY, *arguments], stdin=child, stdout=child, stderr=child, start_new_session=True,
                                        env={"TERM": "xterm", "PATH": "/usr/bin:/bin", **env},
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(child)
        self.shown = self._unread = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def enter(self, text: str) -> None:
        self.type(text + "\r")

    def wait_for(self, text: str, times: int = 1) -> str:
        """Waits until the text has come so many times behind what the last wait has returned, and returns all until then."""
        deadline = time.monotonic() + 60 * SLOWDOWN
        while self._unread.count(text) < times:
            assert time.monotonic() < deadline, f"never came: {text!r} in {self._unread!r}"
            assert self._read(0.1) or self._unread.count(text) >= times, f"the program ended before {text!r}: {self._unread!r}"
        end = 0
        for _ in range(times):
            end = self._unread.index(text, end) + len(text)
        seen, self._unread = self._unread[:end], self._unread[end:]
        return seen

    def _read(self, seconds: float) -> bool:
        """Takes what comes within the time; false where the program has ended."""
        if select.select([self._fd], [], [], seconds)[0]:
            try:
                piece = self._decoder.decode(os.read(self._fd, 65536))
            except OSError:
                return False
            self.shown += piece
            self._unread += piece
        return True

    def end(self) -> int:
        """Waits for the program's end and returns its exit status."""
        deadline = time.monotonic() + 60 * SLOWDOWN
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "the program does not end"
            self._read(0.05)
        return self.process.returncode

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._fd)
