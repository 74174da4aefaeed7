"""Which key goes where: to the address that it was given for, and to no other. Pure.

A journal names addresses too, and it may come from elsewhere, or have been changed. That alone sends no key there.

| key | goes to |
|---|---|
| `ULTRALYTICS_API_KEY`, else the one in the settings file | `ULTRALYTICS_PLATFORM_URL`, else the public platform |
| `HUB_API_KEY` | `ULTRALYTICS_HUB_API`, else the public HUB |
| the first one, without a `HUB_API_KEY` | `ULTRALYTICS_HUB_API`, or the public HUB if it is the public platform's |
| either | what `drain --to` names, while that drain lasts |
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from uploader.addresses import base_url, is_same_place, shown
from uploader.errors import KeyNotForHere, NoAddress, NoKey, SettingsError
from uploader.settings import DEFAULT_HUB_API, DEFAULT_PLATFORM_URL, HUB, ULTRALYTICS, Settings

ADDRESS_VARIABLES = {ULTRALYTICS: "ULTRALYTICS_PLATFORM_URL", HUB: "ULTRALYTICS_HUB_API"}
"""What names a platform's address in the environment."""
_KEY_VARIABLES = {ULTRALYTICS: "ULTRALYTICS_API_KEY", HUB: "HUB_API_KEY"}


def key_for(settings: Settings, platform: str, url: str) -> str:
    """Return the key to send to a platform.

    Args:
        settings: Holds the keys, and the addresses that a person named.
        platform: `ultralytics` or `hub`.
        url: Its base URL, as the journal holds it; "" where nobody knows it.

    Raises:
        SettingsError: The platform is unknown.
        NoAddress: It is "".
        KeyNotForHere: Nobody named this address, so no key is for it.
        NoKey: It was named, and there is no key.
    """
    settings.url_of(platform)
    if not url:
        raise NoAddress(_address_wanted(settings.journal, platform))
    if not any(is_same_place(url, named) for named in _addresses(settings, platform)):
        raise KeyNotForHere(_cure(settings.journal, platform, url))
    key = settings.api_key if platform == ULTRALYTICS else _hub_key(settings, url)
    if not key:
        saved = "" if settings.api_key else f", or api_key in {settings.key_file}"
        raise NoKey(
            f"there is no API key for {shown(url)}: set {_KEY_VARIABLES[platform]}{saved}{key_file_fault(settings)}"
        )
    return key


def named_too(settings: Settings, platform: str, url: str) -> Settings:
    """Return settings in which a person has named one more address, by `--to`.

    Args:
        settings: The others.
        platform: `ultralytics` or `hub`.
        url: What the person gave.

    Raises:
        SettingsError: It is no base URL.
    """
    try:
        return replace(settings, named=(*settings.named, (platform, base_url(url))))
    except SettingsError as error:
        raise SettingsError(f"--to: {error}") from error


def address_options(platform: str, url: str) -> str:
    """Return what names a platform behind `--to` on the command line."""
    return shown(url) if platform == ULTRALYTICS else f"{shown(url)} --platform {platform}"


def no_key_at_all(settings: Settings) -> str:
    """Return what to say where runs go nowhere yet, and neither a key nor an address says where they are to go."""
    return (
        "there is no API key: set ULTRALYTICS_API_KEY, or run `yolo login`; "
        f"ULTRALYTICS_PLATFORM_URL names a platform other than {DEFAULT_PLATFORM_URL}{key_file_fault(settings)}"
    )


def key_file_fault(settings: Settings) -> str:
    """Return what is wrong with the settings file that a key may be in, as the end of a message; "" when nothing is."""
    return f"; {settings.key_file}: {settings.key_file_fault}" if settings.key_file_fault else ""


def _addresses(settings: Settings, platform: str) -> Iterator[str]:
    """Yield where a platform's key goes."""
    yield settings.url_of(platform)
    yield from (url for name, url in settings.named if name == platform)


def _hub_key(settings: Settings, url: str) -> str | None:
    """Return HUB's own key, else the platform's; but the public HUB is not shown that of a platform of one's own."""
    is_ours = not is_same_place(settings.platform_url, DEFAULT_PLATFORM_URL)
    if settings.hub_key or (is_ours and is_same_place(url, DEFAULT_HUB_API)):
        return settings.hub_key
    return settings.api_key


def _cure(journal: Path | None, platform: str, url: str) -> str:
    place = _options(journal, address_options(platform, url))
    return (
        f"set {ADDRESS_VARIABLES[platform]}={shown(url)} and its key ({_KEY_VARIABLES[platform]}), or send yours there "
        f"by `python -m uploader drain --to {place}`; if it was mistyped, `python -m uploader route --from {place} "
        "--to URL` sends to the right one what was to go there; if it is gone for good, `python -m uploader drop --to "
        f"{place}`"
    )


def _address_wanted(journal: Path | None, platform: str) -> str:
    public = f"; the key alone stands for {DEFAULT_PLATFORM_URL}" if platform == ULTRALYTICS else ""
    return (
        f"set {ADDRESS_VARIABLES[platform]} and its key ({_KEY_VARIABLES[platform]}){public}; or name the address by "
        f"`python -m uploader drain --to {_options(journal, address_options(platform, 'URL'))}`; if nothing is to go "
        f"there after all, `python -m uploader drop --to {_options(journal, platform)}`"
    )


def _options(journal: Path | None, place: str) -> str:
    return f"{place} --journal {shlex.quote(str(journal.absolute()))}" if journal else place
