"""The passwords of URLs on a command line and in its environment, taken out of all that the command prints.

Whoever writes a message cannot know which of its words came from a URL: click repeats what was typed, pathlib leaves
one slash of two, and a library quotes the piece that it takes for a host. So they are taken out where all passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, unquote

from uploader.masking import REDACTED, tells_itself

# Up to the last `@`: a password that was not escaped may hold one, or a slash or a question mark.
_IN_A_WORD = re.compile(r"(?i)([a-z][a-z0-9+.-]*:/+[^/:@\s]*:).+(?=@)", re.DOTALL)
_IN_A_TEXT = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,20}:/+[^/:@\s]*:)\S+(?=@)")
_IN_A_QUERY = re.compile(r"(?i)([?&](?:ssl)?password=)[^&\s\"']+")
_BETWEEN = re.compile(r"[@/?#:&=]")


class HiddenSecrets:
    """Takes the passwords of some URLs out of texts."""

    def __init__(self, words: Iterable[str]) -> None:
        """Find the passwords.

        Args:
            words: What may be, or hold, a URL: arguments, and values of variables.
        """
        found = {secret for word in words for secret in _passwords(word)}
        written = sorted({form for one in found for form in _forms(one)}, key=len, reverse=True)
        single = [one for one in found if "://" not in one]  # between two URLs are words that are no secret
        pieces = sorted({piece for one in single for piece in (one, *_BETWEEN.split(one)) if tells_itself(piece)})
        self._patterns = [
            *(re.compile(rf"(:){_slashes(one)}(?=@)") for one in written),
            *(re.compile(rf"(password=){re.escape(one)}") for one in written),
            *(re.compile(f"(){re.escape(form)}") for one in pieces for form in sorted(_forms(one))),
        ]

    def out_of(self, text: str) -> str:
        """Return a text without these passwords; a short one is known by what surrounds it."""
        for pattern in self._patterns:
            text = pattern.sub(_hide, text)
        return text

    def out_of_message(self, text: str) -> str:
        """Return a text for people, also without what looks like the password of any other URL."""
        return _IN_A_QUERY.sub(_hide, _IN_A_TEXT.sub(_hide, self.out_of(text)))


Hide = Callable[[str], str]


def _passwords(word: str) -> Iterator[str]:
    for pattern in (_IN_A_WORD, _IN_A_QUERY):
        for match in pattern.finditer(word):
            yield match[0][len(match[1]) :]


def _forms(secret: str) -> set[str]:
    """Return how a secret may be written: as it was given, decoded or encoded for a URL, and in quotes."""
    plain = {secret, unquote(secret), quote(secret), quote(secret, safe="")}
    return {form for one in plain for form in (one, json.dumps(one)[1:-1], repr(one)[1:-1])}


def _slashes(secret: str) -> str:
    """Return a pattern of a secret, of whose slashes pathlib may have left one of several."""
    return re.sub(r"/+(?:\\\./+)*", "/+(?:\\\\./+)*", re.escape(secret))


def _hide(match: re.Match[str]) -> str:
    return f"{match[1]}{REDACTED}"
