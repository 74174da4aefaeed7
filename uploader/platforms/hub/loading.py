"""Loads a model of HUB: over the network once, from then on also without it.

A loaded model is kept in the journal's folder, under `hub/<model id>/`, as a small JSON file and the weights. Signed
URLs are not kept.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from uploader.errors import (
    CredentialsRefused,
    DeliveryError,
    Forbidden,
    ModelUnavailable,
    NoKey,
    Refused,
    SettingsError,
    Unreachable,
)
from uploader.platforms.base import Access
from uploader.platforms.hub import HUB
from uploader.platforms.hub.identifier import Identifier
from uploader.platforms.hub.model_state import Beginning, beginning

if TYPE_CHECKING:
    from uploader.platforms.http.transport import Transport

_LOG = logging.getLogger("uploader")
_FACTS = "model.json"
_LONGEST_NAME = 200  # bytes; file systems take 255
_NO_SERVER = (
    "the public service of Ultralytics HUB has ended: set ULTRALYTICS_HUB_API to the server that has the model, and "
    "ULTRALYTICS_HUB_WEB to what the URLs of its models begin with"
)


@dataclass(frozen=True)
class HubModel:
    """A model to train or to use.

    Attributes:
        model_file: The argument of `YOLO(...)`: a path, or a name that Ultralytics knows.
        train_args: Arguments of `train(...)`; empty for a trained model and for a file.
        url: The model's page, for `attach(..., hub_model=url)`; None for a file, for which HUB creates a model when the
            run is delivered.
        is_trained: Whether its training has finished.
    """

    model_file: str
    train_args: Mapping[str, Any] = field(default_factory=dict)
    url: str | None = None
    is_trained: bool = False


def load(what: Identifier, access: Access | None, pages: str, root: Path) -> HubModel:
    """Load a model by its URL, or return a file's name as it is.

    Args:
        what: The model.
        access: HUB's; None if its address is unknown.
        pages: What the URLs of its models begin with.
        root: Folder of the journal that keeps loaded models.

    Raises:
        SettingsError: The model's id is invalid.
        ModelUnavailable: There is no such model, its dataset is not ready, the key is missing or refused, or there is
            no network, or no address of a HUB, and the model was never loaded before.
    """
    if what.model_id is None:
        return HubModel(str(what.filename))
    folder = root / HUB.journal_folder / _folder_name(what.model_id)
    url = f"{pages}/models/{what.model_id}"
    try:
        found = _fetch(what.model_id, access, folder)
    except (CredentialsRefused, Refused) as error:
        raise ModelUnavailable(f"{url} cannot be loaded: {error}") from None
    except DeliveryError as error:
        found = _remembered(folder, url, error)
    return HubModel(found.source, found.train_args, url, found.is_trained)


def _folder_name(model_id: str) -> str:
    if model_id in {".", ".."} or "/" in model_id:
        raise SettingsError(f"'{model_id}' is no id of a HUB model")
    return model_id


def _fetch(model_id: str, access: Access | None, folder: Path) -> Beginning:
    """Ask HUB, download the weights, and keep both.

    Raises:
        DeliveryError: It cannot be loaded now, or at all, because no address is set.
    """
    if access is None:
        raise Unreachable(_NO_SERVER)
    from uploader.platforms.http.transport import Transport

    transport = Transport(connections=1, ca_bundle=access.ca_bundle)
    try:
        found = beginning(_ask(model_id, access, transport))
        for each in (folder.parents[1], folder.parent, folder):  # `mode` applies to the last folder of a path only
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_url(found.source):
            target = folder / _file_name(found.source)
            transport.download(found.source, target)
            found = replace(found, source=str(target))
    finally:
        transport.close()
    _remember(folder, found)
    return found


def _ask(model_id: str, access: Access, transport: Transport) -> Mapping[str, Any]:
    """Return HUB's facts of a model."""
    from uploader.platforms.hub.client import HubPlatform

    try:
        client = HubPlatform(access.url, access.key(), transport)
        client.authenticate()
        return client.model(model_id)
    except (CredentialsRefused, Forbidden) as error:
        return _ask_without_key(model_id, access, transport, error)


def _ask_without_key(
    model_id: str, access: Access, transport: Transport, refused: CredentialsRefused | Forbidden
) -> Mapping[str, Any]:
    """Return HUB's public facts of a model; if there are none, the key is at fault."""
    from uploader.platforms.hub.client import HubPlatform

    try:
        facts = HubPlatform(access.url, None, transport).model(model_id)
    except (CredentialsRefused, Refused) as error:
        raise CredentialsRefused(f"{refused}; and without a key, {error}") from None
    if not isinstance(refused, NoKey):
        _LOG.warning("%s; everybody may read the model, so it is loaded without a key", refused)
    return facts


def _file_name(url: str) -> str:
    """Return the name for a downloaded file: its own, if that is a valid name of a model's file."""
    name = PurePosixPath(urlsplit(url).path).name
    return name if name.endswith((".pt", ".yaml")) and len(name.encode()) <= _LONGEST_NAME else "weights.pt"


def _remember(folder: Path, found: Beginning) -> None:
    """Keep what can be used without a network; a dataset with a signed URL is not kept."""
    args = {name: value for name, value in found.train_args.items() if not _holds_secret(value)}
    is_kept = Path(found.source).parent == folder
    source = Path(found.source).name if is_kept else found.source
    facts = {**asdict(found), "source": source, "train_args": args, "is_kept": is_kept}
    # A unique name, because another process may load the same model; only this user can read such a file.
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", encoding="utf-8", delete=False) as draft:
        json.dump(facts, draft, indent=1)
    Path(draft.name).replace(folder / _FACTS)


def _remembered(folder: Path, url: str, error: DeliveryError) -> Beginning:
    """Return what was kept of an earlier load."""
    try:
        facts = {**json.loads((folder / _FACTS).read_text("utf-8"))}
        is_kept = facts.pop("is_kept", (folder / facts["source"]).is_file())  # earlier versions did not write it
        known = Beginning(**facts)
    except (OSError, ValueError, TypeError, KeyError):
        raise ModelUnavailable(f"{url} was not loaded before and cannot be now: {error}") from None
    if not known.is_trained and "data" not in known.train_args:
        raise ModelUnavailable(f"the dataset of {url} is to be had over the network only: {error}") from None
    local = folder / known.source
    if is_kept and not local.is_file():
        raise ModelUnavailable(f"the file of {url} is gone from {folder} and cannot be loaded now: {error}") from None
    _LOG.warning("%s; the model is used as it was when it was loaded last", error)
    return replace(known, source=str(local)) if is_kept else known


def _is_url(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def _holds_secret(value: Any) -> bool:
    """Return whether a URL in it may be a credential: it is signed, or has a password."""
    if isinstance(value, (Mapping, list)):
        return any(map(_holds_secret, value.values() if isinstance(value, Mapping) else value))
    return isinstance(value, str) and _is_url(value) and ("?" in value or "@" in value.split("/")[2])
