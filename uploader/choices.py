"""What a person chose for recording, here or in the environment, checked before the training begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from journal.engine import Durability
from journal.errors import JournalError
from journal.locations import default_max_size
from journal.sizes import parse_size
from uploader.addresses import base_url as checked_url
from uploader.errors import SettingsError
from uploader.settings import HUB, ULTRALYTICS, Settings
from uploader.sink import JournalOptions

Route = tuple[str, str]
"""Name of a platform's API, and its base URL."""


def choose_options(
    journal: str | Path | None, durability: Durability, routes: tuple[Route, ...], max_size: int | str | None
) -> JournalOptions:
    """Return the options of a journal; see `uploader.attach`.

    Raises:
        ValueError: The durability is unknown.
        SettingsError: The size cannot be used.
    """
    if durability not in get_args(Durability):
        raise ValueError(f"durability must be one of {get_args(Durability)}, not {durability!r}")
    return JournalOptions(
        journal=None if journal is None else str(Path(journal).expanduser().absolute()),
        durability=durability,
        routes=routes,
        max_size=_max_size(max_size),
    )


def choose_routes(
    settings: Settings, platform: str | Sequence[str] | None, base_url: str | None, *, is_hub: bool
) -> tuple[Route, ...]:
    """Return where the runs go: to what was named here, else to what the environment names.

    Raises:
        SettingsError: A platform is unknown, or a URL cannot be used.
    """
    names = [platform] if isinstance(platform, str) else list(platform or ())
    if is_hub and HUB not in names:
        names.append(HUB)
    if not base_url:
        return tuple((name, settings.url_of(name)) for name in names) or settings.chosen_routes
    if len(names) > 1:
        raise SettingsError("a base URL is that of one platform; for several, set their URLs in the environment")
    name = names[0] if names else ULTRALYTICS
    settings.url_of(name)  # a platform that is unknown is told now, not when the run is delivered
    return ((name, checked_url(base_url)),)


def _max_size(chosen: int | str | None) -> int:
    """Return bytes.

    Raises:
        SettingsError: It is no size, or none that anything fits into.
    """
    try:
        size = default_max_size() if chosen is None else parse_size(chosen) if isinstance(chosen, str) else chosen
    except JournalError as error:
        raise SettingsError(str(error)) from error
    except ValueError as error:
        raise SettingsError(f"max_size: {error}") from error
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        raise SettingsError(f"max_size: {size!r} is no size; write a whole number of bytes, or text such as '20GB'")
    return size
