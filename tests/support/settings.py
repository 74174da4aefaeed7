"""Settings as an environment would give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uploader.platforms.spec import SavedKey
from uploader.settings import Account, Settings


def settings(
    key: str | None = None, url: str | None = None, *, hub_key: str | None = None, hub: str | None = None, **others: Any
) -> Settings:
    """Return settings that hold the keys and addresses of Ultralytics Platform and of HUB, as far as they are given."""
    saved = SavedKey(Path("settings.json"))
    accounts = {"ultralytics": Account(url or None, key, saved), "hub": Account(hub, hub_key)}
    return Settings(accounts=accounts, **others)
