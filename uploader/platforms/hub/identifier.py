"""How a person may name a HUB model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import parse_qs

from uploader.addresses import base_url, shown
from uploader.errors import SettingsError


@dataclass(frozen=True)
class Identifier:
    """A model of HUB, or the file that a new one begins with.

    Attributes:
        model_id: HUB's id, None for a file.
        filename: The `.pt` or `.yaml` file, None for a model of HUB.
        api_key: The key in the URL, if any. It is used for loading only, and not kept.
    """

    model_id: str | None = None
    filename: str | None = None
    api_key: str | None = field(default=None, repr=False)


def parse_identifier(text: str, hub_web: str) -> Identifier:
    """Parse `{hub_web}/models/ID[?api_key=KEY]`, or the name of a `.pt` or `.yaml` file.

    Args:
        text: What the person gave.
        hub_web: What the URLs of HUB's models begin with.

    Raises:
        SettingsError: It is neither.
    """
    prefix = f"{hub_web}/models/"
    page, _, query = text.partition("?")
    if (url := _in_one_form(page)).startswith(prefix):
        if model_id := PurePosixPath(url.removeprefix(prefix)).name:
            return Identifier(model_id=model_id, api_key=parse_qs(query.partition("#")[0]).get("api_key", [None])[0])
    elif text.endswith((".pt", ".yaml")):
        return Identifier(filename=text)
    raise SettingsError(f"'{shown(page)}' is no HUB model: it must be like {prefix}MODEL_ID, or end in .pt or .yaml")


def _in_one_form(text: str) -> str:
    """Return a URL in the form of those in settings, and anything else as it is."""
    try:
        return base_url(text.partition("#")[0])
    except SettingsError:
        return text
