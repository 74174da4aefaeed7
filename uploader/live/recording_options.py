"""Checks what a person chose for recording, by arguments or in the environment, before the training begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from journal.errors import JournalError
from journal.locations import (
    chosen_mirror,
    default_max_size,
    expanded,
    hand_down,
    named_journal,
    node_journal,
    recording_folder,
)
from journal.quantities import parse_size
from journal.shared_addresses import EXAMPLE, shared_url, without_password
from journal.storage.database import Durability
from uploader.addresses import base_url as checked_url
from uploader.errors import SettingsError
from uploader.platforms.registry import DEFAULT, NAMES, spec_of
from uploader.recording.journal_options import JournalOptions
from uploader.settings import Route, Settings

_SLASHES = 3
"""Of a URL with a path."""


class UnknownDurability(SettingsError, ValueError):
    """The durability is unknown; also a `ValueError`, as which it was raised first."""


def check_texts(**arguments: object) -> None:
    """Check arguments that are text or None, by their names.

    Raises:
        SettingsError: One is something else.
    """
    for name, value in arguments.items():
        if not (value is None or isinstance(value, str)):
            raise SettingsError(f"{name} must be text; not {_shown(value)}")


def choose_options(
    journal: str | Path | None,
    durability: Durability,
    routes: tuple[Route, ...],
    max_size: int | str | None,
    mirror: str | Path | None = None,
    *,
    drain: bool = False,
) -> JournalOptions:
    """Return the options of a journal; see `uploader.attach`.

    Raises:
        SettingsError: The durability is unknown, the journal is not a folder, or the size or the mirror cannot be used.
    """
    if durability not in get_args(Durability):
        names = ", ".join(get_args(Durability))
        raise UnknownDurability(f"durability must be one of {names}; not {durability!r}")
    if not isinstance(drain, bool):
        raise SettingsError(f"drain must be True or False, or None for UPLOADER_DRAIN; not {_shown(drain)}")
    # Resolved now, because the working folder may have changed when it is used.
    chosen = named_journal() if journal is None else journal
    try:
        into = _shared(chosen)
        named = str(node_journal(into)) if into else None if chosen is None else _folder(chosen)
        return JournalOptions(
            journal=named,
            durability=durability,
            routes=routes,
            max_size=_max_size(max_size),
            mirror=_mirror(mirror, named),
            drain=drain and into is None,  # whoever drains the shared journal delivers
            into=into,
        )
    except JournalError as error:
        raise SettingsError(str(error)) from error


def choose_routes(
    settings: Settings, platform: str | Sequence[str] | None, base_url: str | None, *, implied: str | None = None
) -> tuple[Route, ...]:
    """Return where the runs go: to what was named here, else to what the environment names.

    A platform that is named while the environment has no address for it has "": the first drain that knows one decides.

    Args:
        settings: Say what the environment names.
        platform: What was named.
        base_url: Where the one platform is, if that was said.
        implied: Name of a platform that another argument implies.

    Raises:
        SettingsError: A platform is unknown, or a URL cannot be used.
    """
    names = _names(platform)
    if implied and implied not in names:
        names.append(implied)
    if not base_url:
        return _addressed(settings, names) or settings.chosen_routes
    if len(names) > 1:
        raise SettingsError("a base URL is that of one platform; for several, set their URLs in the environment")
    name = names[0] if names else DEFAULT.name
    _addressed(settings, [name])
    try:
        return ((name, checked_url(base_url)),)
    except SettingsError as error:
        raise SettingsError(f"base_url: {error}") from error


def _addressed(settings: Settings, names: Sequence[str]) -> tuple[Route, ...]:
    """Return where platforms are; one that is unknown is told now, not when the run is delivered."""
    for name in names:
        spec_of(name)
    chosen = dict(settings.chosen_routes)
    return tuple((name, chosen.get(name, "")) for name in names)


def _names(platform: object) -> list[str]:
    names = [platform] if isinstance(platform, str) else [] if platform is None else platform
    if not (isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)):
        raise SettingsError(f"platform must be one of {', '.join(NAMES)}, or a list of them; not {_shown(platform)}")
    return list(names)


def _shared(journal: object) -> str | None:
    """Return the URL of a shared journal without its password, None for a folder.

    A password is left to what runs below this process, by the environment: options are shown on command lines.
    """
    url = shared_url(journal) if isinstance(journal, (str, os.PathLike)) else None
    if url is None:
        return None
    shown = without_password(url)
    if not shown.partition("?")[0].rpartition("/")[2] or shown.count("/") < _SLASHES:
        raise SettingsError(f"journal: {shown} names no database; a shared journal is named as {EXAMPLE}")
    if shown != url:
        hand_down(url)
    return shown


def _folder(journal: object) -> str:
    """Return a journal's folder, which need not exist, and may not even be creatable.

    A path that exists and is not a folder is a mistake of whoever named it. Everything else may be a problem of the
    machine, which must not keep a training from starting, and may be solved by then.
    """
    if not isinstance(journal, (str, os.PathLike)):
        raise SettingsError(f"journal must be the path of a folder; not {_shown(journal)}")
    folder = expanded(journal).absolute()
    if os.path.exists(folder) and not os.path.isdir(folder):  # noqa: PTH110, PTH112 - these never raise
        raise SettingsError(f"journal must be a folder, which is created if it does not exist; {folder} is a file")
    return str(folder)


def _mirror(chosen: object, journal: str | None) -> str | None:
    """Return a mirror's address, if there is to be one.

    Raises:
        SettingsError: It cannot be a mirror's.
    """
    named = "UPLOADER_MIRROR" if chosen is None else "mirror"
    if chosen is None and (chosen := chosen_mirror()) is None:
        return None
    if not isinstance(chosen, (str, os.PathLike)) or not str(chosen).strip():
        raise SettingsError(f"{named} must be a folder or an address such as s3://bucket/folder; not {_shown(chosen)}")
    from journal.mirror.mirror_addresses import checked_mirror, require_outside

    try:
        address = checked_mirror(os.fspath(chosen))
        require_outside(address, recording_folder(journal))
        return address
    except ValueError as error:
        raise SettingsError(f"{named}: {error}") from error


def _shown(value: object) -> str:
    """Return a description of a value that does not show text, which may be a key."""
    kind = type(value).__name__
    return f"{value!r} ({kind})" if isinstance(value, (int, float)) else f"a {kind}"


def _max_size(chosen: int | str | None) -> int:
    """Return a size in bytes.

    Raises:
        SettingsError: The value is not a size, or not a positive one.
    """
    try:
        size = default_max_size() if chosen is None else parse_size(chosen) if isinstance(chosen, str) else chosen
    except JournalError as error:
        raise SettingsError(str(error)) from error
    except ValueError as error:
        raise SettingsError(f"max_size: {error}") from error
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        raise SettingsError(f"max_size: {size!r} is not a size; write a whole number of bytes, or text such as '20GB'")
    return size
