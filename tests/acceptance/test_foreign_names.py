"""Other projects have the import names `journal` and `uploader`, too: what is said once one of them is installed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

import journal

ROOT = Path(__file__).parents[2]
USE = "import uploader; uploader.load_hub_model"
BY_PATH = "from uploader.callbacks.attach import attach"
OWN_LOOP = "from uploader.recorder import Recorder"
OPTIONS = "from uploader.sink import JournalOptions"
THEIRS = '__version__ = "0.4.0"\n'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder that this project is installed in."""
    folder = tmp_path / "site"
    for name in ("journal", "uploader"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    record(folder, "offline-uploader", "0.1.0", [path for path in folder.rglob("*") if path.is_file()])
    return folder


def record(site: Path, name: str, version: str, files: list[Path]) -> None:
    """Write the metadata of a distribution as pip does."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    digests = {path: urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=") for path in files}
    lines = [f"{path.relative_to(site)},sha256={digest.decode()}," for path, digest in digests.items()]
    (folder / "RECORD").write_text("\n".join(lines))


def install_over(site: Path, project: str, *files: str, text: str | None = THEIRS) -> None:
    """Install another project as pip does: its files in the place of ours; with no text, ours came after it."""
    for file in files:
        if text is not None:
            (site / file).write_text(text)
    record(site, project, "0.4.0", [site / file for file in files])


def run(site: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "UPLOADER_JOURNAL": str(site.parent / "journal")}
    command = [sys.executable, *arguments]
    where = cwd or site.parent / "elsewhere"
    where.mkdir(exist_ok=True)
    return subprocess.run(command, env=environment, cwd=where, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "code"),
    [("journal", USE), ("journal", BY_PATH), ("journal", OWN_LOOP), ("journal", OPTIONS), ("uploader", BY_PATH)],
)
def test_the_first_import_says_whose_files_took_the_place_of_ours(site: Path, name: str, code: str) -> None:
    install_over(site, f"{name}-of-others", f"{name}/__init__.py")
    said = run(site, "-c", code).stderr
    assert f"the module `{name}` is not that of offline-uploader" in said
    assert f"{name}-of-others 0.4.0" in said
    assert f"pip uninstall {name}-of-others" in said


@pytest.mark.parametrize("command", ["doctor", "status"])
@pytest.mark.parametrize("name", ["journal", "uploader"])
def test_a_command_says_it_without_a_traceback(site: Path, name: str, command: str) -> None:
    install_over(site, f"{name}-of-others", f"{name}/__init__.py")
    done = run(site, "-m", "uploader", command)
    assert done.returncode == 1
    assert f"{name}-of-others 0.4.0" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("code", [USE, BY_PATH])
def test_a_file_of_the_persons_own_that_hides_ours_is_named(site: Path, tmp_path: Path, code: str) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "journal.py").write_text("entries = []\n")
    said = run(site, "-c", code, cwd=scripts).stderr
    assert f"Python found {scripts / 'journal.py'}. Rename that file" in said


def findings(site: Path) -> tuple[int, dict[str, dict[str, str]]]:
    journal.open(site.parent / "journal").close()
    done = run(site, "-m", "uploader", "doctor", "--json")
    found = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
    return done.returncode, {code: finding for code, finding in found.items() if code.startswith("names-")}


def test_doctor_finds_nothing_where_nobody_else_has_our_names(site: Path) -> None:
    install_over(site, "journalist", "journalist.py")
    assert findings(site) == (0, {})


def test_doctor_names_single_files_that_are_not_ours_any_more(site: Path) -> None:
    text = (site / "uploader" / "recording/console_ids.py").read_text() + "# theirs\n"
    install_over(site, "others", "uploader/recording/console_ids.py", text=text)
    code, found = findings(site)
    assert code == 1
    assert str(site / "uploader" / "recording/console_ids.py") in found["names-overwritten"]["detail"]
    assert "pip uninstall others" in found["names-overwritten"]["next_step"]


def test_doctor_warns_where_uninstalling_another_project_would_remove_ours(site: Path) -> None:
    install_over(site, "others", "journal/__init__.py", text=None)
    code, found = findings(site)
    assert code == 0
    assert "others 0.4.0 lists files as its own" in found["names-shared"]["detail"]
