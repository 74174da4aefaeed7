"""Removes the keys that are in use from text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "***"

_TELLING, _TELLING_MIXED = 16, 8
# Words that announce a key, and the few characters between. In JSON, keys are quoted and numbers are not. A word that
# only ends like one (`hockey`), a part of a path or of a compound (`runs/key/test`, `key-ring`) announces none.
_WORD_START = r"(?:(?<![^\W\d_])|(?-i:(?<=[a-z])(?=[A-Z])))"
_WORD = r"(?:(?:api)?key|token|secret|password|passwd|passphrase|bearer|authorization(?:[^\w\n]{1,8}[a-z]{3,9})?)"
_GAP = r"(?:[^\w\n/]{1,8}|[^\w\n]{1,3}is[^\w\n]{1,3})(?<![\"']:)(?<![\"']: )(?<!\w-)"
_NAMED = rf"(?i)(?P<kept>{_WORD_START}{_WORD}{_GAP})"


def tells_itself(key: str) -> bool:
    """Return whether these characters in a text can only be the key.

    A real key has 40 characters. `a`, `test` or `training` occur in any text: somebody who tries out a server has such
    a key, and would see `***` all over the console and in the ids of a platform's answers.
    """
    is_mixed = not (key.isalpha() or key.isdecimal())
    return len(key) >= (_TELLING_MIXED if is_mixed else _TELLING)


class Keys:
    """The keys that are in use, to be removed from texts."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Prepare for these keys; empty ones are ignored."""
        # The longest first, because a key may be part of another.
        known = sorted({key for key in keys if key}, key=len, reverse=True)
        self._raw = [key.encode() for key in known]
        self._telling = [key for key in known if tells_itself(key)]
        keys_pattern = "|".join(re.escape(key) for key in known if not tells_itself(key))
        self._named = re.compile(rf"{_NAMED}(?-i:{keys_pattern})(?![\w-])") if keys_pattern else None
        self._pattern = re.compile(rf"(?P<kept>)(?<![\w-])(?:{keys_pattern})(?![\w-])") if keys_pattern else None

    def may_be_in(self, body: bytes) -> bool:
        """Return whether a body may hold one of the keys."""
        return any(key in body for key in self._raw)

    def out_of(self, text: str) -> str:
        """Return a text without keys; short ones are removed only after a word such as `key` or `Bearer`."""
        return _without(self._named, self._without_telling(text))

    def out_of_failure(self, text: str) -> str:
        """Return a server's description of a failure, also without short keys wherever one is a word of its own."""
        return _without(self._pattern, self.out_of(text))

    def _without_telling(self, text: str) -> str:
        for key in self._telling:
            text = text.replace(key, REDACTED)
        return text


def _without(pattern: re.Pattern[str] | None, text: str) -> str:
    return pattern.sub(rf"\g<kept>{REDACTED}", text) if pattern else text
