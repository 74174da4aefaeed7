"""Imports a tracker's own library, which reads its files."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from uploader.importing.reader import ReaderMissing


def library_module(name: str, *, package: str, files: str) -> Any:
    """Return a module of a tracker's library.

    Args:
        name: Of the module.
        package: What is installed to have it.
        files: What it reads, for the message.

    Raises:
        ReaderMissing: It is not installed, or cannot be imported.
    """
    try:
        return import_module(name)
    except Exception as error:
        raise ReaderMissing(
            f"{files} are read by {package}, which cannot be imported here ({error}): run `pip install {package}`, "
            "then import again"
        ) from error
