"""The model of a registered run, where the platform's API for reading and changing models has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from uploader.errors import Forbidden, Refused
from uploader.platforms.base import RunIdentity
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.ultralytics.reconcile import MODELS, places

LONGEST = 64 * 1024 * 1024
"""Bytes of a model at most; it comes with all its epochs and console text."""


@dataclass(frozen=True)
class OwnModel:
    """A run's model.

    Attributes:
        path: Where it is read and changed.
        content: What the platform shows of it.
    """

    path: str
    content: Mapping[str, Any]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What clients have put there under names of their own."""
        metadata = self.content.get("metadata")
        return metadata if isinstance(metadata, dict) else {}


def own_model(api: JsonApi, identity: RunIdentity) -> OwnModel | None:
    """Return a run's model; None if it is not there, or the platform names its models otherwise.

    Args:
        api: The platform's endpoints.
        identity: The run, which is registered.

    Raises:
        DeliveryError: The platform could not be read now.
    """
    slug = identity.ids.get("modelSlug")
    for owner, project in places(api, identity.project) if slug else ():
        path = "/".join([MODELS, *(quote(part, safe="") for part in (owner, project, str(slug)))])
        try:
            model = api.get(path, longest=LONGEST).get("model")
        except Forbidden:
            raise
        except Refused:  # it is not there
            continue
        if isinstance(model, dict) and model.get("id") == identity.ids.get("modelId"):
            return OwnModel(path, model)
    return None
