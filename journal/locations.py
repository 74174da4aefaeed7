"""Defaults for a journal's place and size: the only module of this package that reads the environment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

# Not when it is needed: that may be when no more files can be opened, and so nothing imported.
from platformdirs import user_data_path

from journal.disk import why_no_files
from journal.errors import JournalError
from journal.quantities import parse_size

DEFAULT_MAX_SIZE = 50 * 10**9
"""A few hundred checkpoints of the largest models, so that a limit which nobody chose evicts as little as possible."""


def chosen_journal(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return `UPLOADER_JOURNAL`, absolute: a relative path is of the folder that the process is in when it is asked."""
    chosen = environ.get("UPLOADER_JOURNAL")
    return expanded(chosen) if chosen else None


def default_journal(environ: Mapping[str, str] = os.environ) -> Path:
    """Return `UPLOADER_JOURNAL`, else a folder of this user's application data."""
    return chosen_journal(environ) or _user_data() / "journal"


def default_max_size(environ: Mapping[str, str] = os.environ) -> int:
    """Return the bytes that `UPLOADER_MAX_SIZE` lets a journal have, else `DEFAULT_MAX_SIZE`.

    Raises:
        JournalError: It is not a size.
    """
    chosen = environ.get("UPLOADER_MAX_SIZE", "").strip()
    try:
        return parse_size(chosen) if chosen else DEFAULT_MAX_SIZE
    except ValueError as error:
        raise JournalError(f"UPLOADER_MAX_SIZE: {error}") from error


def fallback_folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the folders for events that no journal could take, in the order in which they are tried.

    `UPLOADER_FALLBACK` replaces the usual ones. If no file can be written to it, it comes last, because it may hold
    files of before. The usual one under the temporary folder is for users whose home is read-only.
    """
    chosen = chosen_fallback(environ)
    if chosen and not why_no_files(chosen):
        return [chosen]
    return [*_usual_fallbacks(), *([chosen] if chosen else [])]


def chosen_fallback(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return `UPLOADER_FALLBACK`, absolute."""
    chosen = environ.get("UPLOADER_FALLBACK")
    return expanded(chosen) if chosen else None


def unfit_fallback(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return in words why `UPLOADER_FALLBACK` cannot be used, and what is used instead; None if it can."""
    chosen = chosen_fallback(environ)
    why = why_no_files(chosen) if chosen else None
    return why and f"UPLOADER_FALLBACK is {chosen}, where no file can be kept ({why}): {_usual_fallbacks()[0]} is used"


def _usual_fallbacks() -> list[Path]:
    return [_user_data() / "fallback", Path(tempfile.gettempdir()) / _own_name() / "fallback"]


def _own_name() -> str:
    """Return a name that no other user has, made from the user id, because a container's user may have no name."""
    return f"offline-uploader-{os.getuid()}"


def _user_data() -> Path:
    """Return the folder of this user's application data, or one in the temporary folder for a user without a home."""
    return _home_data() or Path(tempfile.gettempdir()) / _own_name()


def _home_data() -> Path | None:
    try:
        found = user_data_path("offline-uploader", appauthor=False)
    except RuntimeError:  # nobody knows a home; earlier versions of platformdirs leave a `~` instead
        return None
    return found if found.is_absolute() else None


def is_temporary(folder: Path) -> bool:
    """Return whether a journal is under the temporary folder, which may be cleaned, because the user has no home."""
    return _home_data() is None and folder == _user_data() / "journal"


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return an absolute path with `~` expanded, unless the home is unknown."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        return Path(path).absolute()
