"""Which key is sent where: to the address that it was set for, and to no other. Pure.

A journal names addresses, too, but it may come from elsewhere, or have been changed. So no key is sent to an address
merely because a journal names it.

| key | goes to |
|---|---|
| a platform's own, of its variable or the file that it is saved in | the address in its variable, else its public one |
| where it has none, that of the platform in `fallback_key_of` | the same, but see below |
| either | what `drain --to` names, while that drain lasts |

Another platform's key is sent to a public address only if that platform's own address is its public one: the public
HUB, which accepts keys of Ultralytics Platform, never receives the key of a private server.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from uploader.addresses import base_url, is_same_place, shown
from uploader.errors import KeyNotForHere, NoAddress, NoKey, SettingsError
from uploader.platforms.registry import DEFAULT, spec_of
from uploader.platforms.spec import PlatformSpec
from uploader.settings import Route, Settings


def key_for(settings: Settings, platform: str, url: str) -> str:
    """Return the key to send to a platform.

    Args:
        settings: Holds the keys, and the addresses that a person named.
        platform: Name of its API.
        url: Its base URL, as the journal holds it; "" if it is unknown.

    Raises:
        SettingsError: The platform is unknown.
        NoAddress: It is "".
        KeyNotForHere: Nobody named this address, so no key is meant for it.
        NoKey: It was named, but there is no key.
    """
    spec = spec_of(platform)
    if not url:
        raise NoAddress(_address_wanted(settings.journal, spec))
    if not any(is_same_place(url, named) for named in _addresses(settings, platform)):
        raise KeyNotForHere(_cure(settings.journal, spec, url))
    key = settings.account(platform).key or _fallback_key(settings, spec, url)
    if not key:
        raise NoKey(f"there is no API key for {shown(url)}: set {spec.key_variable}{_or_saved(settings, spec)}")
    return key


def named_too(settings: Settings, platform: str, url: str) -> Settings:
    """Return settings with one more address, which a person named by `--to`.

    Args:
        settings: Without it.
        platform: Name of its API.
        url: What the person gave.

    Raises:
        SettingsError: It is no base URL.
    """
    try:
        return replace(settings, named=(*settings.named, (platform, base_url(url))))
    except SettingsError as error:
        raise SettingsError(f"--to: {error}") from error


def address_options(platform: str, url: str) -> str:
    """Return the arguments that name a platform after `--to`."""
    return shown(url) if platform == DEFAULT.name else f"{shown(url)} --platform {platform}"


def no_key_at_all(settings: Settings) -> str:
    """Return the message for runs without a destination when neither a key nor an address is set."""
    login = f", or {DEFAULT.login}" if DEFAULT.login else ""
    return (
        f"there is no API key: set {DEFAULT.key_variable}{login}; "
        f"{DEFAULT.url_variable} names a platform other than {DEFAULT.default_url}{_key_file_fault(settings, DEFAULT)}"
    )


def missing_key(settings: Settings, chosen: Sequence[Route] = ()) -> NoKey | None:
    """Return why nothing of a run that is recorded now could be sent everywhere; None if a key is there for all.

    Args:
        settings: Hold the keys, and say where such a run would go.
        chosen: Where it goes, if that is chosen; a platform without an address is where the settings say.
    """
    routes = chosen or settings.default_routes or settings.named
    for platform, url in routes:
        try:
            key_for(settings, platform, url or settings.address_of(platform) or "")
        except NoKey as error:
            return error
    return None if routes else NoKey(no_key_at_all(settings))


def _or_saved(settings: Settings, spec: PlatformSpec) -> str:
    """Return, as the end of a message, the file that may hold a key, and what is wrong with it."""
    holder = spec_of(spec.fallback_key_of) if spec.fallback_key_of else spec
    account = settings.account(holder.name)
    saved = f", or api_key in {account.saved.file}" if account.saved and not account.key else ""
    return f"{saved}{_key_file_fault(settings, holder)}"


def _key_file_fault(settings: Settings, spec: PlatformSpec) -> str:
    saved = settings.account(spec.name).saved
    return f"; {saved.file}: {saved.fault}" if saved and saved.fault else ""


def _addresses(settings: Settings, platform: str) -> Iterator[str]:
    """Yield the addresses to which a platform's key may be sent."""
    yield settings.url_of(platform)
    yield from (url for name, url in settings.named if name == platform)


def _fallback_key(settings: Settings, spec: PlatformSpec, url: str) -> str | None:
    """Return the other platform's key, except a private server's for a public address."""
    if spec.fallback_key_of is None:
        return None
    is_own = not is_same_place(settings.url_of(spec.fallback_key_of), spec_of(spec.fallback_key_of).default_url)
    return None if is_own and is_same_place(url, spec.default_url) else settings.account(spec.fallback_key_of).key


def _cure(journal: Path | None, spec: PlatformSpec, url: str) -> str:
    place = _options(journal, address_options(spec.name, url))
    return (
        f"set {spec.url_variable}={shown(url)} and its key ({spec.key_variable}), or send yours there "
        f"by `python -m uploader drain --to {place}`; if it was mistyped, `python -m uploader route --from {place} "
        "--to URL` sends to the right one what was to go there; if it is gone for good, `python -m uploader drop --to "
        f"{place}`"
    )


def _address_wanted(journal: Path | None, spec: PlatformSpec) -> str:
    public = f"; the key alone stands for {spec.default_url}" if spec.is_default else ""
    return (
        f"set {spec.url_variable} and its key ({spec.key_variable}){public}; or name the address by "
        f"`python -m uploader drain --to {_options(journal, address_options(spec.name, 'URL'))}`; if nothing is to go "
        f"there after all, `python -m uploader drop --to {_options(journal, spec.name)}`"
    )


def _options(journal: Path | None, place: str) -> str:
    return f"{place} --journal {shlex.quote(str(journal.absolute()))}" if journal else place
