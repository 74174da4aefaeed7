"""Which client speaks to which platform."""

from __future__ import annotations

from uploader.errors import CredentialsRefused, UploaderError
from uploader.platforms.base import Platform
from uploader.platforms.http import Transport
from uploader.platforms.ultralytics import UltralyticsPlatform
from uploader.settings import Settings


def connect(platform: str, base_url: str, settings: Settings, *, connections: int) -> Platform:
    """Return a client; nothing is sent yet.

    Args:
        platform: Name of the platform's API, as the journal holds it.
        base_url: Where it is.
        settings: Holds the key and the certificates to trust.
        connections: How many are kept open.

    Raises:
        CredentialsRefused: There is no key.
        UploaderError: No client speaks that API.
    """
    if platform != UltralyticsPlatform.name:
        raise UploaderError(f"this version cannot deliver to a platform of the kind '{platform}'")
    if not settings.api_key:
        raise CredentialsRefused(f"there is no API key: set ULTRALYTICS_API_KEY, or api_key in {settings.key_file}")
    transport = Transport(connections=connections, ca_bundle=settings.ca_bundle)
    return UltralyticsPlatform(base_url, settings.api_key, transport)
