"""Whose files lie where ours do: other projects of PyPI use the import names `journal` and `uploader`, too.

Standard library only, as it has to work where half of our own modules are somebody else's. Reading what every
distribution has installed takes a while, so this is for `doctor`, and for naming the cause once something is wrong.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution, distributions
from pathlib import Path

DISTRIBUTION = "offline-uploader"
NAMES = ("journal", "uploader")
_LISTED = re.compile(rf"^(?:\.\./)?((?:{'|'.join(NAMES)})(?:/[^,\n]+|\.py))", re.MULTILINE)


@dataclass(frozen=True)
class OtherProject:
    """A distribution that has installed files under our names.

    Attributes:
        project: Its name.
        version: Its version.
        files: The files, wherever it has put them.
    """

    project: str
    version: str
    files: frozenset[Path]

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


def other_projects() -> Iterator[OtherProject]:
    """Yield the distributions, other than ours, that have files under our names."""
    for each in distributions():
        listed = each.read_text("RECORD") or each.read_text("installed-files.txt") or ""
        files = frozenset(Path(str(each.locate_file(name))).resolve() for name in _LISTED.findall(listed))
        if files and not _is_ours(each):
            yield OtherProject(each.metadata["Name"], each.version, files)


def shared(other: OtherProject) -> dict[Path, bool]:
    """Return the files that both another project and our own installation list, and whether each is still ours."""
    try:
        ours = distribution(DISTRIBUTION)
    except PackageNotFoundError:  # run from a checkout
        return {}
    listed = {Path(str(ours.locate_file(each))).resolve(): each for each in ours.files or ()}
    return {path: _is_unchanged(path, listed[path]) for path in sorted(other.files & listed.keys())}


def what_to_do(other: OtherProject) -> str:
    """Return how to get rid of another project's files and have ours back."""
    return (
        f"Run `python -m pip uninstall {other.project}`, then install {DISTRIBUTION} again from where you have it, "
        "with `--force-reinstall --no-deps`; or give each of them a virtual environment of its own."
    )


def _is_ours(found: Distribution) -> bool:
    return re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower() == DISTRIBUTION


def _is_unchanged(path: Path, listed: PackagePath) -> bool:
    if listed.hash is None or not path.is_file():
        return path.is_file()
    digest = urlsafe_b64encode(sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
    return listed.hash.mode != "sha256" or listed.hash.value == digest
