"""Fetching datasets and models of the platform before the network is gone, to where Ultralytics keeps its own.

Ultralytics asks the platform each time it is given a `ul://` address, also for what it has on the disk. So without a
network a training takes the path that is returned here, which is the same whether there is a network or not.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uploader.by_address import fetch, located, parts_of
from uploader.errors import DeliveryError
from uploader.platforms.base import Located

_LOG = logging.getLogger("uploader")
_DATASETS = "datasets"
_BLOCK = 1 << 20
_COMPLETE = "complete: true"
"""What Ultralytics writes into a dataset's YAML, since it looks whether all images are there."""


@dataclass(frozen=True)
class Prefetched:
    """What is on this machine of a dataset or a model.

    Attributes:
        path: What a training takes: the dataset's `data.yaml` (its folder for a classification), or the weights.
        is_current: Whether the platform was asked just now; else this is what was fetched before.
    """

    path: Path
    is_current: bool


def prefetch(uri: str) -> Path:
    """Return where a dataset or a model of the platform is on this machine, fetched if the platform can be reached.

    Args:
        uri: `ul://user/datasets/name` for a dataset, `ul://user/project/model` for a model's weights.

    Returns:
        What a training takes: `YOLO(path)` of a model, `data=path` of a dataset.

    Raises:
        ValueError: The URI is malformed, or the key is missing or not accepted.
        PermissionError: The platform does not let this key have it.
        FileNotFoundError: There is no such dataset or model, or the model has no weights yet.
        RuntimeError: It is still processing, or what was fetched is not whole.
        ConnectionError: The platform cannot be reached, and it was never fetched before.
    """
    return prefetched(uri).path


def prefetched(uri: str) -> Prefetched:
    """Do as `prefetch` does, and tell whether the platform was asked."""
    owner, middle, name = parts_of(uri)
    place = _Place(owner, middle, name)
    try:
        found = located(uri)
        with place.locked():
            path = _dataset(place, found.url) if place.is_dataset else _weights(place, found)
            place.remember(uri, path)
    except ConnectionError as error:
        kept = place.kept()
        if kept is None:
            raise
        _LOG.warning("%s; what was fetched before is used: %s", error, kept)
        return Prefetched(kept, is_current=False)
    return Prefetched(path, is_current=True)


class _Place:
    """Where one URI's files are."""

    def __init__(self, owner: str, middle: str, name: str) -> None:
        from ultralytics.utils import SETTINGS

        self.is_dataset = middle == _DATASETS
        self.root = Path(SETTINGS["datasets_dir" if self.is_dataset else "weights_dir"])
        self.folder = self.root / (".prefetched" if self.is_dataset else owner) / (owner if self.is_dataset else middle)
        self.folder = self.folder / name
        self.name = name
        self._record = self.folder / ".prefetched.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time fetch into the folder; who was killed in it leaves the lock to the next."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".prefetched.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self.folder.glob("*.part"):
                left.unlink(missing_ok=True)
            yield

    def remember(self, uri: str, path: Path) -> None:
        """Note what is whole, by a file that is whole itself."""
        facts = {"uri": uri, "path": str(path), **({} if self.is_dataset else _facts(path))}
        draft = self._record.with_suffix(".draft")
        draft.write_text(json.dumps(facts), "utf-8")
        draft.replace(self._record)

    def kept(self) -> Path | None:
        """Return what was fetched before, if it is there as it was."""
        try:
            facts: dict[str, Any] = json.loads(self._record.read_text("utf-8"))
            path = Path(facts["path"])
            is_whole = _marker(path).is_file() if self.is_dataset else _facts(path).items() <= facts.items()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return path if is_whole else None


def _weights(place: _Place, found: Located) -> Path:
    """Fetch a model's weights, unless the same are there, to where Ultralytics looks for them."""
    from ultralytics.utils import url2file

    target = place.folder / (url2file(found.url) or f"{place.name}.pt")
    if found.sha256 and target.is_file() and _is(target, found):  # another one may have the same size
        return target
    draft = place.folder / f".{target.name}.prefetched"
    try:
        _fetch(found.url, draft)
        if not _is(draft, found):
            raise RuntimeError(
                f"what was fetched for {target.name} is not what the platform says that it has; try again"
            )
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _dataset(place: _Place, url: str) -> Path:
    """Fetch a dataset's list and, as Ultralytics does, the images that are not there yet."""
    from ultralytics.data.converter import convert_ndjson_to_yolo

    _require_no_loop()
    listed = place.folder / f"{place.name}.ndjson"
    try:
        _fetch(url, listed)
        path = Path(asyncio.run(convert_ndjson_to_yolo(listed, place.root)))
        _require_whole(path, listed)
    finally:
        listed.unlink(missing_ok=True)  # it has a signed URL for each image
    return path


def _require_whole(path: Path, listed: Path) -> None:
    """Check that all images are there, which versions of Ultralytics that do not say so do not check.

    Raises:
        RuntimeError: Some are missing.
    """
    if _COMPLETE in _marker(path).read_text("utf-8"):
        return
    records = [json.loads(line) for line in listed.read_text("utf-8").splitlines() if line.strip()]
    wanted = sum("url" in record and "file" in record for record in records)
    images = path if path.is_dir() else path.parent / "images"
    there = sum(each.is_file() and each.stat().st_size > 0 for each in images.rglob("*"))
    if there < wanted:
        raise RuntimeError(f"{there} of {wanted} images of {listed.stem} were fetched; try again")


def _fetch(url: str, target: Path) -> None:
    try:
        fetch(url, target)
    except DeliveryError as error:
        raise ConnectionError(f"{target.name} cannot be fetched now: {error}") from None


def _require_no_loop() -> None:
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        raise ValueError("this process runs an event loop already, as notebooks do: run `uploader prefetch` beside it")


def _marker(path: Path) -> Path:
    """Return the file that Ultralytics writes once all images of a dataset are there."""
    return path / ".ndjson.yaml" if path.is_dir() else path


def _is(file: Path, found: Located) -> bool:
    """Return whether a file is what the platform says that it has, as far as it says so."""
    if found.size is not None and file.stat().st_size != found.size:
        return False
    return found.sha256 is None or _facts(file)["sha256"] == found.sha256


def _facts(file: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
        return {"size": os.fstat(opened.fileno()).st_size, "sha256": digest.hexdigest()}
