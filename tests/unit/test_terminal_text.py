"""Nothing that a training printed, or a platform said, takes over the terminal that it is shown in."""

from __future__ import annotations

import re

import pytest

from uploader.commands.terminal_text import cut, one_line, printable, width

OBEYED = {
    "the window's title": "\x1b]0;title\x07",
    "the clipboard": "\x1b]52;c;c3VkbyBybQ==\x1b\\",
    "a link": "\x1b]8;;http://evil.example\x07",
    "the same without its end": "\x1b]0;title",
    "the screen cleared": "\x1b[2J\x1b[H",
    "another screen": "\x1b[?1049h",
    "the cursor hidden": "\x1b[?25l",
    "the cursor's place reported": "\x1b[6n",
    "a device's string": "\x1bP$q m\x1b\\",
    "an application's string": "\x1b_G,a=T;AAAA\x1b\\",
    "another set of characters": "\x1b(0",
    "a reset": "\x1bc",
    "half a sequence": "\x1b[",
    "an escape alone": "\x1b",
    "eight-bit sequences": "\x9b31m\x9d0;title\x9c",
    "backspaces and bells": "\b\b\b\a",
    "a carriage return": "\r",
    "the direction of writing": "\u202e\u2066\u200f",
    "NUL and DEL": "\0\x7f",
    "another line's end": "\u2028\x85\v\f",
}


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("what", OBEYED)
def test_what_a_terminal_obeys_is_left_out(what: str, colours: bool) -> None:
    assert printable(f"before {OBEYED[what]}", colours=colours).removesuffix("\x1b[0m") == "before "
    assert printable(f"{OBEYED[what]}\nafter", colours=colours).endswith("\nafter")


def test_what_it_only_shows_stays() -> None:
    text = "a\tb\nzürich 名前 👍🏽 é [0m ]0; ⠋ 10%"
    assert printable(text) == printable(text, colours=True) == text


def test_colours_stay_where_they_are_wanted_and_end_with_their_line() -> None:
    text = "\x1b[1;31mred\n\x1b[38:5:9mx\x1b[0m\x1b[2Jy"
    assert printable(text) == "red\nxy"
    assert printable(text, colours=True) == "\x1b[1;31mred\x1b[0m\n\x1b[38:5:9mx\x1b[0my\x1b[0m"


def test_a_name_is_one_line() -> None:
    assert one_line(" a\nb\r\n\x1b[31mc\t\u2028d ") == "a b c d"


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("名前", 4), ("e\u0301", 1), ("a\u200db", 2), ("", 0)])
def test_columns_are_those_of_a_terminal(text: str, columns: int) -> None:
    assert width(text) == columns
    assert cut(text, columns) == text


@pytest.mark.parametrize("text", ["0123456789", "名前名前名前", "a名b名c名", "e\u0301" * 12])
def test_a_line_that_is_too_long_is_cut_and_says_so(text: str) -> None:
    for columns in range(1, width(text)):
        short = cut(text, columns)
        assert columns - 1 <= width(short) <= columns
        assert re.fullmatch(".*…", short)
