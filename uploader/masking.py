"""Taking the keys that are in use out of text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "***"

_TELLING, _TELLING_MIXED = 16, 8
# What says that a key comes next, and the few signs between the two. In JSON keys are in quotes, and figures are not.
_NAMED = (
    r"(?i)(?P<kept>(?:key|token|secret|password|passwd|passphrase|authorization|bearer|basic)"
    r"(?:[^\w\n]{1,8}|[^\w\n]{1,3}is[^\w\n]{1,3}))(?<![\"']:)(?<![\"']: )"
)


def tells_itself(key: str) -> bool:
    """Return whether a text that holds these characters can hold them only because of the key.

    A real key has 40. `a`, `test` or `training` are a word of any text, or a part of one: who tries a server out has
    such keys, and would see `***` all over a console, and the ids in a platform's answers torn.
    """
    is_mixed = not (key.isalpha() or key.isdecimal())
    return len(key) >= (_TELLING_MIXED if is_mixed else _TELLING)


class Keys:
    """Keys that are in use, and what of a text is one of them."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Take notice of them; empty ones are none."""
        # The longest first: one key may be a part of another.
        known = sorted({key for key in keys if key}, key=len, reverse=True)
        self._raw = [key.encode() for key in known]
        self._telling = [key for key in known if tells_itself(key)]
        words = "|".join(re.escape(key) for key in known if not tells_itself(key))
        self._named = re.compile(rf"{_NAMED}(?-i:{words})(?![\w-])") if words else None
        self._words = re.compile(rf"(?P<kept>)(?<![\w-])(?:{words})(?![\w-])") if words else None

    def may_be_in(self, body: bytes) -> bool:
        """Return whether there is anything to be taken out of a body."""
        return any(key in body for key in self._raw)

    def out_of(self, text: str) -> str:
        """Return a text without keys: without short ones where something names them, as `key` or `Bearer` does."""
        return _without(self._named, self._without_telling(text))

    def out_of_failure(self, text: str) -> str:
        """Return what a server says of a failure: without short keys wherever one stands by itself, too."""
        return _without(self._words, self.out_of(text))

    def _without_telling(self, text: str) -> str:
        for key in self._telling:
            text = text.replace(key, REDACTED)
        return text


def _without(pattern: re.Pattern[str] | None, text: str) -> str:
    return pattern.sub(rf"\g<kept>{REDACTED}", text) if pattern else text
