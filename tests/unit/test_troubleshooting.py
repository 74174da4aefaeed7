"""docs/troubleshooting.md has each message that a person can meet, with its cause and what to do, and no other."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from support.messages import HOLE, Inventory, messages

from uploader.server import http_errors
from uploader.server.http_errors import ApiError

pytestmark = pytest.mark.repository

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text("utf-8")
BLOCK = re.compile(r"^```text\n(.*?)^```\n\n(.*?)(?=^```text|^#|^\||\Z)", re.MULTILINE | re.DOTALL)
TO_DO = "→ "


@cache
def entries() -> list[tuple[list[str], str]]:
    """Return the messages of each entry, and what the page says of them; a line that is indented goes on with one."""
    return [(re.sub(r"\n +", " ", block).splitlines(), said) for block, said in BLOCK.findall(PAGE)]


def listed() -> list[str]:
    return [message for block, _ in entries() for message in block]


def test_each_message_of_the_code_has_an_entry() -> None:
    missing = {message: place for message, place in messages().items() if message not in set(listed())}
    assert missing == {}, "add these to docs/troubleshooting.md, each with its cause and what to do"


def test_each_entry_is_a_message_of_the_code() -> None:
    gone = [message for message in listed() if message not in messages()]
    assert gone == [], "the code has these no more, or in other words"


def test_each_message_is_listed_once() -> None:
    assert sorted(listed()) == sorted(set(listed()))
    assert len(listed()) > 500


def test_each_entry_has_a_cause_and_what_to_do() -> None:
    assert [block for block, said in entries() if len(re.findall(rf"^{TO_DO}\w|^{TO_DO}`", said, re.M)) != 1] == []
    assert [block for block, said in entries() if not re.match(r"[`\w]", said)] == []


def test_each_status_of_the_local_platform_is_explained() -> None:
    answered = {one.status for one in ApiError.__subclasses__() if one.__module__ == http_errors.__name__}
    rows = PAGE.partition("### Answers of the local platform")[2]
    told = {int(number) for cell in re.findall(r"^\| ([\d, ]+) \|", rows, re.MULTILINE) for number in cell.split(",")}
    assert answered <= told
    assert len(answered) > 10


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise ValueError(f'{path} is no folder')", "… is no folder"),
        ("class Torn(Exception): ...\nraise Torn('it was torn here')", "it was torn here"),
        ("LOGGER.warning('%s was not taken in: %s', a, b)", "… was not taken in: …"),
        ("LOGGER.warning('%s', f'the drive {a} is gone')", "the drive … is gone"),
        ("print('it cannot be written', file=sys.stderr)", "it cannot be written"),
        ("def f():\n    why = 'no space is left'\n    raise OSError(1, why)", "no space is left"),
        ("def f(a):\n    raise OSError('is it mounted?' if a else 'check the address')", "check the address"),
        ("TEXT = 'the drive is gone'\nraise OSError(TEXT)", "the drive is gone"),
        ("def why() -> str:\n    return 'the drive is gone'\nraise OSError(why())", "the drive is gone"),
        ("def fail(text):\n    raise OSError(text)\nfail('the drive is gone')", "the drive is gone"),
        ("class A:\n    def _fail(self, *, text):\n        LOGGER.info(text)\nself._fail(text='a b c')", "a b c"),
        ("def f():\n    for each in ('one two three', 'a b c'):\n        raise OSError(each)", "a b c"),
        ("Finding('code', 'trouble', 'the drive is gone', 'Mount it here.')", "the drive is gone"),
    ],
)
def test_a_message_is_found_where_it_is_written(source: str, found: str) -> None:
    assert found in Inventory({"uploader/one.py": source}).messages()


@pytest.mark.parametrize(
    "source",
    [
        "LOGGER.debug('it is of no interest')",
        "raise IndexError('there is no page')",
        "class _Inner(Exception): ...\nraise _Inner('it is caught here')",
        "raise ValueError(f'{a}: {b}')",
        "print('it is said to stdout')",
        "Finding('code', 'trouble', detail, 'Mount it where it was.')",
    ],
)
def test_what_nobody_meets_is_none(source: str) -> None:
    assert Inventory({"uploader/one.py": source}).messages() == {}


def test_a_line_that_names_a_command_is_one() -> None:
    source = "def f():\n    yield f'once it is mended, `{command}` goes on'"
    assert list(Inventory({"uploader/commands/one.py": source}).messages()) == [f"once it is mended, `{HOLE}` goes on"]
