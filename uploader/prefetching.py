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
_CACHES = frozenset({".cache", ".npy"})
"""What a training leaves in a dataset's folder."""
_EDITABLE = frozenset({".txt", ".yaml"})
"""Of labels and settings only their presence counts: a person may mend one."""


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
        ConnectionError: The platform cannot be reached, and it was never fetched before, or is damaged since.
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
        kept = place.noted()
        if kept is None:
            raise
        if fault := place.fault(kept):
            raise ConnectionError(f"{error}; and what was fetched before is not whole any more: {fault}") from None
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
        what = {"files": _files(_folder_of(path))} if self.is_dataset else _facts(path)
        draft = self._record.with_suffix(".draft")
        draft.write_text(json.dumps({"uri": uri, "path": str(path), **what}), "utf-8")
        draft.replace(self._record)

    def noted(self) -> Path | None:
        """Return where what was fetched before was put; None if nothing was."""
        try:
            return Path(self._note()["path"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def fault(self, path: Path) -> str | None:
        """Return in words what is not there as it was fetched; None if all is."""
        note = self._note()
        if not self.is_dataset:
            is_whole = path.is_file() and _facts(path).items() <= note.items()
            return None if is_whole else f"{path} is {'not the file that was fetched' if path.is_file() else 'gone'}"
        lost = self.lost(path)
        if not lost and _marker(path).is_file():
            return None
        return f"{len(lost)} of {len(note.get('files', ()))} files of {path} are gone or cut short, such as " + (
            lost[0] if lost else _marker(path).name
        )

    def lost(self, path: Path) -> list[str]:
        """Return which files of a dataset are gone, or cut short, since they were noted.

        One may have grown: Ultralytics saves a damaged JPEG anew, in its best quality.
        """
        note, folder = self._note(), _folder_of(path)
        noted = note.get("files", {}) if note.get("path") == str(path) else {}
        there = _files(folder)
        return [name for name, size in noted.items() if there.get(name, -1) < size]

    def _note(self) -> dict[str, Any]:
        note: dict[str, Any] = json.loads(self._record.read_text("utf-8"))
        return note


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

    def convert() -> Path:
        return Path(asyncio.run(convert_ndjson_to_yolo(listed, place.root)))

    try:
        _fetch(url, listed)
        path = convert()
        if _drop_damaged(place, path, listed):
            path = convert()
        _require_whole(path, listed)
    finally:
        listed.unlink(missing_ok=True)  # it has a signed URL for each image
    return path


def _drop_damaged(place: _Place, path: Path, listed: Path) -> bool:
    """Have Ultralytics look for each image again if some are lost, as it does not once all of them were there."""
    lost = place.lost(path) if place.noted() else []
    there, wanted = _images(path, listed)
    if not lost and there >= wanted:
        return False
    folder = _folder_of(path)
    for each in (*(folder / name for name in lost), *_empty(folder), _marker(path)):
        each.unlink(missing_ok=True)
    return True


def _require_whole(path: Path, listed: Path) -> None:
    """Check that all images are there, which not all versions of Ultralytics do.

    Raises:
        RuntimeError: Some are missing.
    """
    there, wanted = _images(path, listed)
    if there < wanted:
        _marker(path).unlink(missing_ok=True)
        raise RuntimeError(f"{there} of {wanted} images of {listed.stem} were fetched; try again")


def _images(path: Path, listed: Path) -> tuple[int, int]:
    """Return how many images of a dataset are there, and how many its list names."""
    wanted = 0
    with listed.open(encoding="utf-8") as lines:
        for record in (json.loads(line) for line in lines if line.strip()):
            is_left_out = path.is_dir() and not record.get("annotations", {}).get("classification")
            wanted += "url" in record and "file" in record and not is_left_out
    images = _files(path if path.is_dir() else path.parent / "images")
    return sum(size > 0 for name, size in images.items() if not name.startswith(".")), wanted


def _empty(folder: Path) -> Iterator[Path]:
    """Yield the images of no bytes."""
    return (each for each in folder.rglob("*") if each.suffix not in _EDITABLE and _is_empty(each))


def _is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


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


def _folder_of(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _files(folder: Path) -> dict[str, int]:
    """Return the files of a dataset by their names in its folder, each with the size that it has to have."""
    found = (each for each in folder.rglob("*") if each.suffix not in _CACHES and each.is_file())
    return {
        str(each.relative_to(folder)): 0 if each.suffix in _EDITABLE else each.stat().st_size for each in sorted(found)
    }


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
