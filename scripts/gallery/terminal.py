"""What a command says in a terminal with colours, as a picture."""

from __future__ import annotations

import io
import os
import re
import sys
from html import escape
from unittest.mock import patch

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from uploader.__main__ import main

_THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (210, 120, 245),
        (57, 197, 207),
        (177, 186, 196),
    ],
    [
        (110, 118, 129),
        (255, 161, 152),
        (86, 211, 100),
        (227, 179, 65),
        (121, 192, 255),
        (226, 160, 255),
        (86, 212, 221),
        (240, 246, 252),
    ],
)
# The font is that of the machine; no request is made to anybody for another one.
_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: transparent; }}
main {{ display: inline-block; background: #161b22; border-radius: 10px; padding: 12px 18px 16px; }}
p {{ margin: 0 0 10px; line-height: 0; }}
i {{ display: inline-block; width: 11px; height: 11px; margin-right: 7px; border-radius: 50%; background: #484f58; }}
a {{ color: inherit; text-decoration: none; }}
svg {{ width: {cell}px; height: 1.32em; vertical-align: top; fill: currentColor; }}
pre {{ margin: 0; font: 14px/1.32 "DejaVu Sans Mono", monospace; color: #c9d1d9; }}
</style><main><p><i></i><i></i><i></i></p><pre>{lines}</pre></main>"""
_CELL = 8.43  # px: a character's width at 14 px, to which dots are drawn, as fonts have them in other widths
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of each bit of a braille character."""
_PROMPT = '<span style="color:#3fb950">$</span> '


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def said(command: list[str], columns: int, lines: int) -> str:
    """Return what a command says in a terminal of so many columns, with its colours."""
    size = {"COLUMNS": str(columns), "LINES": str(lines), "TERM": "xterm-256color", "COLORTERM": "", "NO_COLOR": ""}
    terminal = _Terminal()
    with patch.dict(os.environ, size), patch.object(sys, "stdout", terminal):
        os.environ.pop("NO_COLOR")
        try:
            main(command)
        except SystemExit as end:
            if end.code:
                raise
    return terminal.getvalue()


def page(command: str, text: str, columns: int) -> str:
    """Return a page that shows a terminal in which a command was given, and what it has said."""
    console = Console(record=True, file=io.StringIO(), width=columns, highlight=False, force_terminal=True)
    console.print(Text.from_ansi(text), soft_wrap=True)
    html = console.export_html(theme=_THEME, inline_styles=True, code_format="{code}")
    lines = re.sub("[\u2800-\u28ff]", _drawn, f"{_PROMPT}{escape(command)}\n\n{html.rstrip()}")
    return _PAGE.format(lines=lines, cell=_CELL)


def _drawn(found: re.Match[str]) -> str:
    """Return a braille character as a drawing that fills its cell, as terminals draw it."""
    bits = ord(found[0]) - 0x2800
    dots = (place for bit, place in enumerate(_DOTS) if bits >> bit & 1)
    circles = "".join(f'<circle cx="{2 * x + 1}" cy="{2.2 * y + 1.1}" r=".72"/>' for x, y in dots)
    return f'<svg viewBox="0 0 4 8.8" preserveAspectRatio="none">{circles}</svg>'
