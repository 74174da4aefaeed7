"""Creates clients of platforms with the keys and certificates from the settings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from uploader.addresses import is_readable_on_the_way, shown
from uploader.errors import UploaderError
from uploader.keys import key_for
from uploader.platforms.base import Access, Platform
from uploader.platforms.registry import NAMES, imported, spec_of
from uploader.settings import Settings

if TYPE_CHECKING:
    from uploader.platforms.http.transport import Transport

    Connect = Callable[[str, str, Transport, Mapping[str, str]], Platform]

_LOG = logging.getLogger("uploader")


def connect(
    platform: str, base_url: str, settings: Settings, *, connections: int, answer_seconds: float | None = None
) -> Platform:
    """Return a client; nothing is sent yet.

    Args:
        platform: Name of the platform's API, as the journal holds it.
        base_url: Where it is.
        settings: Holds the keys and the certificates to trust.
        connections: How many are kept open.
        answer_seconds: Longest wait for an answer, and for each further 64 KiB of it, before it is given up on;
            None for the usual one.

    Raises:
        NoKey: There is no key for this address.
        UploaderError: No client speaks that API.
    """
    if platform not in NAMES:
        raise UploaderError(f"this version cannot deliver to a platform of the kind '{platform}'")
    from uploader.platforms.http.transport import ANSWER_SECONDS, Transport

    make: Connect = imported(spec_of(platform).client)
    key = _key(settings, platform, base_url)
    seconds = ANSWER_SECONDS if answer_seconds is None else answer_seconds
    transport = Transport(connections=connections, ca_bundle=settings.ca_bundle, answer_seconds=seconds)
    return make(base_url, key, transport, settings.account(platform).options)


def access(platform: str, settings: Settings) -> Access:
    """Return how to reach a platform at the address in the settings, else at its public one.

    Args:
        platform: Name of its API.
        settings: Holds the keys and the certificates to trust.
    """
    url = settings.url_of(platform)
    return Access(url, partial(_key, settings, platform, url), settings.ca_bundle)


def _key(settings: Settings, platform: str, url: str) -> str:
    key = key_for(settings, platform, url)
    if is_readable_on_the_way(url):
        _LOG.warning("%s has no TLS: others on the network can read the key; use https where you can", shown(url))
    return key
