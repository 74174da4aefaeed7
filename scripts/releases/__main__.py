"""Build the wheel and the source distribution, check their content, and test the wheel as a new user would use it.

The wheel is installed into a new environment with the pinned versions of constraints.txt, and the README's quickstart
is run outside of the checkout: a real training that is killed, resumed and delivered to a local platform. pip needs
the network for this. Nothing is published.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from releases.build import ROOT, Archives, build, export, git, install, is_changed, make_environment
from releases.content import faults, is_unreleased

_LOOK = "import uploader, journal; print(uploader.__version__, uploader.__file__, journal.__file__, sep='\\n')"


def main() -> None:
    """Run the steps; the first that fails ends the program with the reason."""
    options = _parser().parse_args()
    if is_changed() and not options.dirty:
        sys.exit("The checkout has uncommitted changes. Commit them first, or use --dirty to include them.")
    with tempfile.TemporaryDirectory(prefix="uploader-release-") as temporary:
        _release(Path(temporary).resolve(), options)


def _release(work: Path, options: argparse.Namespace) -> None:
    source = export(work / "source")
    version = _version(source)
    _step(f"Build {version} from {git('describe', '--always', '--dirty').strip()}")
    archives = build(source, work, reuse=options.reuse)

    _step("Check what is in the archives")
    if found := list(faults(archives, source, version)):
        sys.exit("\n".join(f"  wrong: {fault}" for fault in found))
    if is_unreleased((source / "CHANGELOG.md").read_text("utf-8")):
        print(f"  to do: the changelog still calls {version} unreleased")

    _step("Install the wheel into a new environment")
    python = _install(archives.wheel, work, reuse=options.reuse)
    _look(python, work, version)

    if not options.no_quickstart:
        _step("Run the quickstart from there")
        shutil.copytree(source / "scripts" / "training", work / "training")
        print(_run([str(python), str(work / "training" / "quickstart.py")], work))
    _keep(archives, options.out)


def _version(source: Path) -> str:
    found = re.search(r'^version = "(.+)"', (source / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    return found.group(1) if found else sys.exit("pyproject.toml has no version")


def _install(wheel: Path, work: Path, *, reuse: bool) -> Path:
    python = make_environment(work / "fresh", reuse=reuse)
    if reuse:
        install(python, "--no-deps", "--no-index", str(wheel))
    else:
        install(python, "--constraint", str(ROOT / "constraints.txt"), f"{wheel}[train,serve]")
    return python


def _look(python: Path, work: Path, version: str) -> None:
    """Check the version that is imported, and where it is imported from."""
    found, *places = _run([str(python), "-c", _LOOK], work).split()
    if found != version:
        sys.exit(f"uploader.__version__ is {found}, but the version is {version}")
    if strays := [place for place in places if not Path(place).is_relative_to(python.parents[1])]:
        sys.exit(f"these modules are imported instead of the installed ones: {', '.join(strays)}")
    _run([str(python.parent / "uploader"), "--help"], work)


def _run(command: list[str], work: Path) -> str:
    """Run a command outside of the checkout, without the checkout on the path; return its output."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(command, cwd=work, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(command)} ended with {done.returncode}")
    return done.stdout


def _keep(archives: Archives, out: Path | None) -> None:
    _step("Everything works")
    for archive in (archives.sdist, archives.wheel):
        print(f"  {hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}")
    if out is None:
        print("  Nothing was kept. --out dist keeps the two archives; publishing them is a separate step.")
        return
    out.mkdir(parents=True, exist_ok=True)
    for archive in (archives.sdist, archives.wheel):
        shutil.copy2(archive, out)
    print(f"  They are in {out}. Nothing was published.")


def _step(title: str) -> None:
    print(f"=== {title}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/release", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="keep the archives in this folder; by default they are deleted")
    parser.add_argument("--dirty", action="store_true", help="include uncommitted changes")
    parser.add_argument(
        "--reuse", action="store_true", help="download nothing: build and run with the packages that are installed here"
    )
    parser.add_argument("--no-quickstart", action="store_true", help="skip the training")
    return parser


if __name__ == "__main__":
    main()
