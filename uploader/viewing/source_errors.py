"""What a dashboard is told where a journal cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from journal.errors import JournalError, UnknownRow
from uploader.dashboard.run_source import SourceUnavailable, UnknownRun

_Asked = ParamSpec("_Asked")
_Told = TypeVar("_Told")


class JournalUnreadable(SourceUnavailable, JournalError):
    """The journal's own message, for a dashboard, and for a command that reads the source itself."""


def in_the_source_s_terms(method: Callable[_Asked, _Told]) -> Callable[_Asked, _Told]:
    """Make a method of a source raise what `RunSource` says, in the journal's words."""

    @wraps(method)
    def telling(*asked: _Asked.args, **named: _Asked.kwargs) -> _Told:
        try:
            return method(*asked, **named)
        except UnknownRow as error:
            raise UnknownRun(str(error)) from error
        except JournalError as error:
            raise error if isinstance(error, JournalUnreadable) else JournalUnreadable(str(error)) from error

    return telling
