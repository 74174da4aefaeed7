"""Removes secrets from text before it is written to the journal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from uploader.masking import REDACTED, Keys
from uploader.platforms.registry import secret_names

_OF_PLATFORMS = "".join(rf"|{re.escape(name)}" for name in secret_names())
_NAME = (
    r"(?:api(?:[_-]|\\u005f|%5f)?key|access[_-]?key(?:[_-]?id)?|account[_-]?key|private[_-]?key|token|secret|password|passwd|passphrase"
    rf"|authorization{_OF_PLATFORMS})"
)
_SECRET_NAME = re.compile(rf"(?i).*{_NAME}")

# What is between a name and its secret if a tool has coloured the text, or put JSON into JSON.
_COLOUR = r"(?:\x1b|\\x1b|\\u001b|\\033)\[[\d;:]{0,20}m"
_GAP = rf"(?:{_COLOUR}|\s){{0,6}}"
_IS = rf"(?:{_COLOUR}|\\{{0,7}}[\"']|\s){{0,6}}[=:]{_GAP}"
# A quoted secret ends with the same quote, else with the line; quotes that are escaped more often are part of it.
_QUOTED = r"(?P<prefix>[bru]{0,2})(?P<quote>\\{0,7}[\"'])(?:(?!(?P=quote))(?:\\+[\"']?|[^\\\n]))+(?P=quote)?"
_BARE = r"[^\s\"'\\&,;)\]}\x1b]+"
_REST = r"(?![\"'\\])[^\n\"'\x1b]+(?:(?<==)\"[^\"\n]*\"[^\n\"'\x1b]*)*"

# Each rule keeps what precedes the secret, so that a reader still sees what was there.
_RULES = (
    # headers whose value is more than one word: a scheme and the secret, or parts of it
    re.compile(
        rf"(?i)(?P<kept>(?:authorization|\bcookie)(?:{_IS}|[\"'],\s{{0,3}}))(?:{_QUOTED}|{_REST})",
    ),
    # key=value and key: value, as in arguments, environment dumps, JSON and Python literals
    re.compile(rf"(?i)(?P<kept>{_NAME}{_IS}(?:(?:bearer|basic)\s+)?)(?:{_QUOTED}|{_BARE})"),
    # --api-key value, also as Python shows a list of arguments
    re.compile(
        rf"(?i)(?P<kept>--[\w-]{{0,40}}{_NAME}(?:\\{{0,7}}[\"'],)?(?:{_COLOUR}|\s){{1,6}})(?:{_QUOTED}|(?!-){_BARE})"
    ),
    # Authorization headers without their name
    re.compile(rf"(?i)(?P<kept>\bbearer\s+)(?=\S{{8}}){_BARE}"),
    # tokens that tell themselves by their form: GitHub, Hugging Face, GitLab, AWS, Google, Slack, npm, OpenAI
    re.compile(
        r"(?P<kept>\b)(?:gh[pousr]_\w{30,}|github_pat_\w{30,}|hf_[A-Za-z0-9]{30,}|glpat-[\w-]{20,}"
        r"|(?:AKIA|ASIA)[A-Z0-9]{16}\b|AIza[\w-]{35}|xox[a-z]-\d[\w-]{8,}|npm_[A-Za-z0-9]{36}|wandb_v\d_\w{30,}"
        r"|sk-[A-Za-z0-9]{32,}|sk-(?:ant|or|proj|svcacct)-[\w-]{20,})"
    ),
    # JSON Web Tokens. Looked for only where a run of such characters begins: a search at each `eyJ` in it would take
    # quadratic time.
    re.compile(
        r"(?<![\w-])(?=[\w-]+\.eyJ[\w-]{8,}\.[\w-]{8})(?P<kept>(?:[\w-]*?-)?)eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"
    ),
    # user:password@ and token@ in URLs; also a password with `/` or a quote, which is told from a port and from a path
    re.compile(
        r"(?P<kept>\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://)(?:[^\s/\"']+(?=@)"
        r"|(?!\[)[^\s/@:\"']+:(?!\d{1,5}(?![^\s/?#\"']))(?:(?!://)(?:[^\s\"']|[\"'](?![\s,;:)\]}]))){1,256}(?=@))"
    ),
    # -u user:password, as curl takes it, and not the numbers of a user and a group, as docker does; mysql -ppassword
    re.compile(rf"(?P<kept>(?<!\S)(?:-[uU]|--(?:proxy-)?user)(?:\s+|=)[\"']?(?!\d+:\d+\b)[^\s:\"']{{1,256}}:){_BARE}"),
    re.compile(rf"(?P<kept>\b(?:mysql|mariadb)\w{{0,10}}\s(?:[^\s|;&]+\s){{0,9}}?-p){_BARE}"),
    # the parts of a signed URL that give access: AWS, Google, Azure, CloudFront, resumable uploads
    re.compile(
        r"(?i)(?P<kept>[?&](?:x-amz-[\w-]+|x-goog-[\w-]+|signature|sig|policy|key-pair-id|awsaccesskeyid|googleaccessid"
        rf"|upload_id|key)=){_BARE}"
    ),
)


def _hide(match: re.Match[str]) -> str:
    """Return what stands before a secret, and its quotes if it has some."""
    parts = match.groupdict()
    quote = parts.get("quote") or ""
    return f"{parts['kept']}{parts.get('prefix') or ''}{quote}{REDACTED}{quote}"


class Redactor:
    """Replaces secrets with `***`: the given ones wherever they tell themselves, and whatever looks like one.

    Args:
        secrets: Known values, e.g. the API key of the platform; see `uploader.masking`. Empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = Keys(secrets)

    def text(self, text: str) -> str:
        """Return `text` without its secrets."""
        text = self._known.out_of(text)
        for rule in _RULES:
            text = rule.sub(_hide, text)
        return text

    def results(self, value: Any) -> Any:
        """Return a JSON-like value without the given secrets; what else is in it was named by a data set.

        A class called `disc, token=abc` is no secret, and its name has to stay the platform's.
        """
        return _changed(value, self._known.out_of, lambda _: False)

    def value(self, value: Any) -> Any:
        """Return a JSON-like value with each text in it redacted, and all texts under a secret's name."""
        return _changed(value, self.text, lambda name: _SECRET_NAME.fullmatch(name) is not None)


def _changed(
    value: Any, change: Callable[[str], str], is_secret: Callable[[str], bool], is_hidden: bool = False
) -> Any:
    """Return a JSON-like value with each text in it changed, and each name.

    Args:
        value: The value; tuples and sets become lists.
        change: Changes a text.
        is_secret: Whether texts under such a name are hidden instead.
        is_hidden: Whether this one is.
    """
    if isinstance(value, str):
        return REDACTED if is_hidden and value not in {"", "None"} else change(value)
    if isinstance(value, bytes):
        return _changed(value.decode("utf-8", "surrogateescape"), change, is_secret, is_hidden).encode(
            "utf-8", "surrogateescape"
        )
    if isinstance(value, Mapping):
        return {
            change(name) if isinstance(name, str) else name: _changed(
                item, change, is_secret, is_hidden or is_secret(str(name))
            )
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_changed(item, change, is_secret, is_hidden) for item in value]
    return value
