"""Commands in a real terminal of a chosen width."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

from uploader.commands.terminal_text import width

_STYLES = re.compile(r"\x1b\[[0-9;]*m")


def in_terminal(command: Sequence[str], environment: Mapping[str, str], columns: int = 80) -> tuple[int, str]:
    """Run a command in a terminal; return its exit code and what it has printed there."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    with subprocess.Popen(command, env=environment, **streams) as process:
        os.close(terminal)
        shown = b"".join(iter(lambda: _read(screen), b""))
    os.close(screen)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def without_styles(shown: str) -> str:
    """Return what was printed without colours."""
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
