"""What the archives must and must not contain."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from email import message_from_string
from email.message import Message
from pathlib import Path

from releases.build import Archives

PACKAGES = ("journal", "uploader")
OTHERS_OF_SDIST = ("CHANGELOG.md", "LICENSE", "README.md", "constraints.txt", "pyproject.toml")
ENTRY_POINT = "uploader = uploader.__main__:main"


def faults(archives: Archives, source: Path, version: str) -> Iterator[str]:
    """Yield the faults of the archives.

    Args:
        archives: The archives.
        source: The tree that they were built from.
        version: The version in `pyproject.toml`.
    """
    wanted = {path.relative_to(source).as_posix() for name in PACKAGES for path in _files(source / name)}
    yield from _faults_of_wheel(archives.wheel, wanted, version)
    with tarfile.open(archives.sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    yield from _missing("the source distribution", {*wanted, *OTHERS_OF_SDIST}, inside)
    yield from _faults_of_changelog((source / "CHANGELOG.md").read_text("utf-8"), version)


def is_unreleased(changelog: str) -> bool:
    """Tell whether the changelog calls its newest version unreleased."""
    return "unreleased" in _newest(changelog).lower()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _faults_of_wheel(wheel: Path, wanted: set[str], version: str) -> Iterator[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = f"offline_uploader-{version}.dist-info"
        if f"{about}/METADATA" not in names:
            yield f"{wheel.name} is not of version {version}, which pyproject.toml has"
            return
        metadata = message_from_string(archive.read(f"{about}/METADATA").decode())
        entry_points = archive.read(f"{about}/entry_points.txt").decode()
    inside = {name for name in names if not name.startswith(about)}
    yield from _missing("the wheel", wanted, inside)
    yield from (f"the wheel has {name}, which belongs to neither package" for name in sorted(inside - wanted))
    if ENTRY_POINT not in entry_points:
        yield f"the wheel has no entry point `{ENTRY_POINT}`"
    yield from _faults_of_metadata(metadata, names, about)


def _faults_of_metadata(metadata: Message, names: Iterable[str], about: str) -> Iterator[str]:
    for header in ("Requires-Python", "License-Expression", "Summary"):
        if not metadata[header]:
            yield f"the metadata has no {header}"
    if "# offline-uploader" not in str(metadata.get_payload()):
        yield "the metadata's description is not the README"
    if f"{about}/licenses/LICENSE" not in names:
        yield "the wheel has no licence"
    extras = set(metadata.get_all("Provides-Extra", []))
    yield from (f"there is no extra {extra}" for extra in ("train", "serve") if extra not in extras)


def _missing(where: str, wanted: set[str], inside: set[str]) -> Iterator[str]:
    return (f"{where} lacks {name}" for name in sorted(wanted - inside))


def _faults_of_changelog(changelog: str, version: str) -> Iterator[str]:
    newest = _newest(changelog)
    if re.search(rf"(?<![\d.]){re.escape(version)}(?![\d.])", newest) is None:
        yield f"the changelog's newest heading is {newest!r}, but the version is {version}"


def _newest(changelog: str) -> str:
    found = re.search(r"^## +(.*)", changelog, re.MULTILINE)
    return found.group(1) if found else ""
