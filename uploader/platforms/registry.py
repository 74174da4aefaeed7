"""Which client speaks to which platform."""

from __future__ import annotations

import logging
from collections.abc import Callable

from uploader.addresses import is_readable_on_the_way, shown
from uploader.errors import UploaderError
from uploader.keys import key_for
from uploader.platforms.base import Platform
from uploader.platforms.http.transport import ANSWER_SECONDS, Transport
from uploader.platforms.hub.client import HubPlatform
from uploader.platforms.ultralytics.client import UltralyticsPlatform
from uploader.settings import Settings

_LOG = logging.getLogger("uploader")


def connect(
    platform: str, base_url: str, settings: Settings, *, connections: int, answer_seconds: float = ANSWER_SECONDS
) -> Platform:
    """Return a client; nothing is sent yet.

    Args:
        platform: Name of the platform's API, as the journal holds it.
        base_url: Where it is.
        settings: Holds the keys and the certificates to trust.
        connections: How many are kept open.
        answer_seconds: Longest wait for an answer, and for each further 64 KiB of it, before it is given up on.

    Raises:
        NoKey: There is no key for this address.
        UploaderError: No client speaks that API.
    """
    make = _CLIENTS.get(platform)
    if make is None:
        raise UploaderError(f"this version cannot deliver to a platform of the kind '{platform}'")
    transport = Transport(connections=connections, ca_bundle=settings.ca_bundle, answer_seconds=answer_seconds)
    return make(base_url, settings, transport)


def connect_hub(base_url: str, settings: Settings, transport: Transport) -> HubPlatform:
    """Return a client of HUB; nothing is sent yet.

    Args:
        base_url: Where its API is.
        settings: Holds the key.
        transport: The connections.

    Raises:
        NoKey: There is no key for this address.
    """
    key = _key(HubPlatform.name, base_url, settings)
    return HubPlatform(base_url, key, transport, place="colab" if settings.is_colab else "local")


def _connect_ultralytics(base_url: str, settings: Settings, transport: Transport) -> UltralyticsPlatform:
    return UltralyticsPlatform(base_url, _key(UltralyticsPlatform.name, base_url, settings), transport)


def _key(platform: str, base_url: str, settings: Settings) -> str:
    key = key_for(settings, platform, base_url)
    if is_readable_on_the_way(base_url):
        _LOG.warning("%s has no TLS: others on the network can read the key; use https where you can", shown(base_url))
    return key


_CLIENTS: dict[str, Callable[[str, Settings, Transport], Platform]] = {
    UltralyticsPlatform.name: _connect_ultralytics,
    HubPlatform.name: connect_hub,
}
