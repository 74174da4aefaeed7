"""What a script gets from a platform by an address, with the settings of the environment."""

from __future__ import annotations

import logging
from pathlib import Path

from journal.locations import default_journal, expanded
from uploader.connecting import access
from uploader.platforms.base import Located
from uploader.platforms.hub import HUB, pages_of
from uploader.platforms.hub.identifier import parse_identifier
from uploader.platforms.hub.loading import HubModel, load
from uploader.platforms.ultralytics import ULTRALYTICS
from uploader.platforms.ultralytics.resolve import endpoints, locate
from uploader.settings import Settings

_LOG = logging.getLogger("uploader")


def load_hub_model(identifier: str | Path, *, journal: str | Path | None = None) -> HubModel:
    """Load a model of HUB by its URL, or take a file's name as it is.

    Args:
        identifier: `https://hub.ultralytics.com/models/ID`, with `?api_key=KEY` or without; or a `.pt` or `.yaml` name.
        journal: Folder of the journal that keeps what is loaded; None for the usual one.

    Raises:
        SettingsError: The identifier is none of these.
        ModelUnavailable: There is no such model, its dataset is not ready, the key is missing or refused, or there is
            no network, or no address of a HUB, and the model was never loaded before.
    """
    settings = Settings.load()
    account = settings.account(HUB.name)
    pages = pages_of(account.options)
    what = parse_identifier(str(identifier), pages)
    if what.api_key:
        settings = settings.with_key(HUB.name, what.api_key)
    root = expanded(journal) if journal is not None else default_journal()
    return load(what, access(HUB.name, settings) if account.url else None, pages, root)


def resolve_platform_uri(uri: str, hard: bool = True) -> str | None:
    """Ask the platform for the signed URL of a dataset or a model.

    The platform is the one of `ULTRALYTICS_PLATFORM_URL`, the key that of `ULTRALYTICS_API_KEY` or the settings file.

    Args:
        uri: `ul://user/datasets/slug` for a dataset, `ul://user/project/model` for a model's weights.
        hard: Whether what is not found, or a platform that cannot be reached, is an error.

    Returns:
        The signed URL; None when there is none and `hard` is False.

    Raises:
        ValueError: The URI is malformed, or the key is missing or not accepted.
        PermissionError: The platform does not let this key have it.
        FileNotFoundError: There is no such dataset or model, or the model has no weights yet.
        RuntimeError: It is still processing, or the platform answered in a way it should not.
        ConnectionError: The platform cannot be reached, or cannot answer now.
        SettingsError: `ULTRALYTICS_PLATFORM_URL` is no URL.
    """
    try:
        return located(uri).url
    except (FileNotFoundError, ConnectionError) as error:
        if hard:
            raise
        _LOG.warning("%s", error)
        return None


def located(uri: str) -> Located:
    """Ask the platform where a dataset or a model's weights can be fetched; errors are those of the above."""
    settings = Settings.load()
    account = settings.account(ULTRALYTICS.name)
    if not account.key:
        saved = f" or api_key in {account.saved.file}" if account.saved else ""
        raise ValueError(f"an API key is needed for {uri}: set {ULTRALYTICS.key_variable}{saved}")
    return locate(uri, access(ULTRALYTICS.name, settings))


def parts_of(uri: str) -> tuple[str, str, str]:
    """Return user, `datasets` or the project, and name of a URI.

    Raises:
        ValueError: It is malformed.
    """
    return endpoints(uri).parts


def fetch(url: str, target: Path) -> None:
    """Fetch a file that the platform has signed for anybody; it appears under its name when it is whole.

    Raises:
        DeliveryError: It is not to be had now.
    """
    from uploader.platforms.http.transport import Transport

    transport = Transport(connections=1, ca_bundle=Settings.load().ca_bundle)
    try:
        transport.download(url, target)
    finally:
        transport.close()
