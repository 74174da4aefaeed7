"""Commands in a real terminal of a chosen width."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

from uploader.commands.terminal_text import width

_STYLES = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")


def in_terminal(
    command: Sequence[str], environment: Mapping[str, str], columns: int = 80, lines: int = 50
) -> tuple[int, str]:
    """Run a command in a terminal; return its exit code and what it has printed there."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    with subprocess.Popen(command, env=environment, **streams) as process:
        os.close(terminal)
        shown = b"".join(iter(lambda: _read(screen), b""))
    os.close(screen)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def without_styles(shown: str) -> str:
    """Return what was printed without colours, and without where its links lead."""
    return _STYLES.sub("", shown)


def widest(shown: str) -> int:
    """Return how many columns the longest line takes."""
    return max(map(width, without_styles(shown).split("\n")))


def _read(screen: int) -> bytes:
    """Return what is shown next; nothing when the other side has closed, which Linux reports as an error."""
    try:
        return os.read(screen, 65536)
    except OSError:
        return b""


class Terminal:
    """A command in a terminal, as long as it runs."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], columns: int = 80) -> None:
        """Start it."""
        self._screen, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        self.process = subprocess.Popen(command, env=environment, **streams)
        os.close(terminal)
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a character
        self._shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)

    def wait_for(self, text: str) -> None:
        """Wait until a text is shown."""
        while text not in self._shown:
            more = _read(self._screen)
            assert more, self._shown
            self._shown += self._decoder.decode(more)

    def rest(self) -> str:
        """Wait for the command's end; return all that was shown."""
        self._shown += self._decoder.decode(b"".join(iter(lambda: _read(self._screen), b"")), final=True)
        self.process.wait()
        return self._shown


class Session:
    """A command that controls a terminal of its own, as a shell does: what is typed there can interrupt and stop jobs.

    Attributes:
        shown: What the terminal has shown so far.
        exit_code: How the command ended, afterwards.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it."""
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # `nohup` has processes ignore the first
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(command[0], [*command], dict(environment))
        self.shown = ""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._screen)  # which hangs up
        self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._screen, text.encode())

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until a text was shown as often."""
        while self.shown.count(text) < times:
            more = _read(self._screen)
            assert more, self.shown
            self.shown += more.decode()
