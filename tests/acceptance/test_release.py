"""`scripts/release`: what it builds can be installed and run, and what must not go out is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from releases.build import Archives, build, export
from releases.content import faults

ROOT = Path(__file__).parents[2]
VERSION = "0.1.0"

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a release is built from a git checkout")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Archives:
    return build(source, tmp_path_factory.mktemp("built"), reuse=True)


def release(checkout: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout / "scripts")}
    command = [sys.executable, "-m", "releases", "--reuse", "--no-quickstart", *options]
    return subprocess.run(command, env=environment, cwd=checkout.parent, capture_output=True, text=True, check=False)


def rewritten(wheel: Path, folder: Path, *, without: str = "", more: str = "") -> Path:
    """Return a copy of a wheel that lacks some files, or has one more."""
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(folder / wheel.name, "w") as new:
        for name in old.namelist():
            if not (without and without in name):
                new.writestr(name, old.read(name))
        if more:
            new.writestr(more, "")
    return folder / wheel.name


def test_a_release_is_built_installed_and_run_and_kept_where_it_is_told(tmp_path: Path) -> None:
    done = release(ROOT, "--dirty", "--out", str(tmp_path / "dist"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was published." in done.stdout
    kept = {path.name for path in (tmp_path / "dist").iterdir()}
    assert kept == {f"offline_uploader-{VERSION}.tar.gz", f"offline_uploader-{VERSION}-py3-none-any.whl"}


def test_what_is_in_no_commit_is_not_released(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", "--no-local", "--depth", "1", str(ROOT), str(checkout)], check=True)
    (checkout / "uploader" / "scratch.py").touch()
    shutil.copytree(ROOT / "scripts" / "releases", checkout / "scripts" / "releases", dirs_exist_ok=True)
    done = release(checkout)
    assert done.returncode == 1
    assert "Commit them first" in done.stderr


def test_the_archives_are_as_they_should_be(built: Archives, source: Path) -> None:
    assert list(faults(built, source, VERSION)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"without": "journal/py.typed"}, "the wheel lacks journal/py.typed"),
        ({"without": ".sql"}, "the wheel lacks journal/"),
        ({"without": ".css"}, "the wheel lacks uploader/"),
        ({"more": "tests/conftest.py"}, "the wheel has tests/conftest.py, which belongs to neither package"),
        ({"more": "uploader/scratch.py"}, "the wheel has uploader/scratch.py, which belongs to neither package"),
        ({"without": "dist-info/licenses"}, "the wheel has no licence"),
        ({"without": "dist-info/METADATA"}, "is not of version 0.1.0"),
    ],
)
def test_a_wheel_that_lacks_something_or_has_more_is_refused(
    built: Archives, source: Path, tmp_path: Path, change: dict[str, str], fault: str
) -> None:
    wheel = rewritten(built.wheel, tmp_path, **change)
    assert any(fault in each for each in faults(Archives(built.sdist, wheel), source, VERSION))


def test_a_changelog_of_another_version_is_refused(built: Archives, source: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(source, tmp_path / "source"))
    (other / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.01\n")
    assert list(faults(built, other, VERSION)) == [
        "the changelog's newest heading is '0.1.01', but the version is 0.1.0"
    ]
