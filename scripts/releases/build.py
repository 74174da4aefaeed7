"""The two archives: the source distribution is built from the files that git knows, and the wheel from that."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = "setuptools>=77"  # as pyproject.toml says
_BUILD = "import sys, setuptools.build_meta as backend; getattr(backend, sys.argv[1])(sys.argv[2])"


@dataclass(frozen=True)
class Archives:
    """The archives of a release."""

    sdist: Path
    wheel: Path


def git(*arguments: str) -> str:
    """Return the output of a git command in the checkout."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"A release is built from a git checkout, but git says: {done.stderr.strip()}")
    return done.stdout


def is_changed() -> bool:
    """Tell whether the checkout has uncommitted changes."""
    return bool(git("status", "--porcelain").strip())


def export(folder: Path) -> Path:
    """Copy the files that git tracks or would add, and nothing else in the checkout."""
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def make_environment(folder: Path, *, reuse: bool) -> Path:
    """Create a virtual environment; return its interpreter.

    Args:
        folder: Where to create it.
        reuse: Whether packages installed here are visible there, so that none has to be downloaded.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    if reuse:
        (site,) = folder.glob("lib/python3*/site-packages")
        here = [path for path in sys.path if path.endswith("site-packages")]
        (site / "packages_of_here.pth").write_text("\n".join(here) + "\n")
    return folder / "bin" / "python"


def install(python: Path, *arguments: str) -> None:
    """Install into an environment with the pip of the current one."""
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", *quiet, *arguments], check=True)


def build(source: Path, work: Path, *, reuse: bool) -> Archives:
    """Build both archives.

    Args:
        source: The exported checkout.
        work: A folder to work in.
        reuse: As for `make_environment`.
    """
    python = make_environment(work / "builder", reuse=reuse)
    if not reuse:
        install(python, NEEDED)
    sdist = _call(python, "build_sdist", source, work / "dist")
    shutil.unpack_archive(sdist, work / "unpacked")
    (unpacked,) = (work / "unpacked").iterdir()
    return Archives(sdist, _call(python, "build_wheel", unpacked, work / "dist"))


def _call(python: Path, hook: str, source: Path, into: Path) -> Path:
    into.mkdir(exist_ok=True)
    before = set(into.iterdir())
    done = subprocess.run(
        [str(python), "-c", _BUILD, hook, str(into)], cwd=source, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{hook} failed:\n{done.stdout}{done.stderr}")
    (made,) = set(into.iterdir()) - before
    return made
