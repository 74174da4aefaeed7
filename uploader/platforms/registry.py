"""Which client speaks to which platform."""

from __future__ import annotations

from collections.abc import Callable

from uploader.errors import CredentialsRefused, UploaderError
from uploader.platforms.base import Platform
from uploader.platforms.http import ANSWER_SECONDS, Transport
from uploader.platforms.hub import HubPlatform
from uploader.platforms.ultralytics import UltralyticsPlatform
from uploader.settings import Settings


def connect(
    platform: str, base_url: str, settings: Settings, *, connections: int, answer_seconds: float = ANSWER_SECONDS
) -> Platform:
    """Return a client; nothing is sent yet.

    Args:
        platform: Name of the platform's API, as the journal holds it.
        base_url: Where it is.
        settings: Holds the keys and the certificates to trust.
        connections: How many are kept open.
        answer_seconds: Longest silence before an answer is given up on.

    Raises:
        CredentialsRefused: There is no key.
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
        CredentialsRefused: There is no key.
    """
    key = _required(settings.hub_key, "HUB_API_KEY, ULTRALYTICS_API_KEY", settings)
    return HubPlatform(base_url, key, transport, place="colab" if settings.is_colab else "local")


def _connect_ultralytics(base_url: str, settings: Settings, transport: Transport) -> UltralyticsPlatform:
    return UltralyticsPlatform(base_url, _required(settings.api_key, "ULTRALYTICS_API_KEY", settings), transport)


def _required(key: str | None, variables: str, settings: Settings) -> str:
    if not key:
        raise CredentialsRefused(f"there is no API key: set {variables}, or api_key in {settings.key_file}")
    return key


_CLIENTS: dict[str, Callable[[str, Settings, Transport], Platform]] = {
    UltralyticsPlatform.name: _connect_ultralytics,
    HubPlatform.name: connect_hub,
}
