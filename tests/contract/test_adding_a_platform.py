"""docs/adding-a-platform.md works: its toy, built from its text, passes the contract suite and is delivered to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import pytest
from packaging.version import Version
from support.recordings import Recordings
from support.scripted_server import Reply, Request, scripted_server

import journal

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-platform.md").read_text("utf-8")
COPIED = ("journal", "uploader", "tests/contract", "tests/support")
BLOCK = re.compile(r"^`([\w/.]+)`:\n\n```(python|diff)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CONTENT = b"weights" * 1000


def changed(text: str, diff: str) -> str:
    """Return a text in which added lines follow the line before them, or take the place of the removed one."""
    before, removes = "", False
    for added, lines in groupby(diff.splitlines(keepends=True), key=lambda line: line.startswith("+")):
        *_, last = together = list(lines)
        if added:
            block = "".join(line[1:] for line in together)
            assert text.count(before) == 1, f"{before!r} is not there once"
            text = text.replace(before, block if removes else before + block)
        removes, before = last.startswith("-"), last[1:]
    return text


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a copy of the project with the toy in it."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for path, kind, text in BLOCK.findall(PAGE):
        file = folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text if kind == "python" else changed(file.read_text("utf-8"), text), "utf-8")
    return folder


def run(copy: Path, *arguments: str, **environ: str) -> str:
    """Run Python in the copy, which must succeed; return what it printed."""
    env = {**os.environ, "PYTHONPATH": str(copy), "HOME": str(copy), **environ}
    done = subprocess.run([sys.executable, *arguments], cwd=copy, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_toy_passes_the_contract_suite(copy: Path) -> None:
    suite = ["tests/contract/test_every_client.py", "-k", "toy", "-p", "no:cacheprovider"]
    passed = re.search(r"(\d+) passed", run(copy, "-m", "pytest", "-q", *suite))
    assert passed is not None
    assert int(passed[1]) > 100


def test_the_toys_code_passes_the_linter(copy: Path) -> None:
    files = [path for path, _, _ in BLOCK.findall(PAGE) if path.endswith(".py")]
    run(copy, "-m", "ruff", "check", "--no-cache", *files)
    run(copy, "-m", "ruff", "format", "--check", "--no-cache", *files)


@pytest.mark.skipif(Version(version("rich")) < Version("14.2"), reason="import-linter draws with rich 14.2 or newer")
def test_the_walls_stand_with_the_toy(copy: Path) -> None:
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    run(copy, "-c", code)


def test_a_journal_is_delivered_to_the_toy(copy: Path, tmp_path: Path) -> None:
    """By the command line, with nothing but the variables that the spec names."""

    def answers(request: Request) -> Reply:
        return Reply(body={"run": "r-1"} if request.path == "/runs" else {"stored": True})

    with journal.open(tmp_path / "journal") as opened:
        Recordings(opened, opened.writer()).whole(content=CONTENT)
    with scripted_server(answers) as server:
        run(copy, "-m", "uploader", "drain", "--journal", str(opened.path), TOY_URL=server.url, TOY_KEY="toy_key")
        requests = server.requests
    assert {request.headers["x-toy-pass"] for request in requests} == {"toy_key"}
    first, *between, last = requests
    assert first.path == "/runs"
    assert {request.json()["data"]["epoch"] for request in between if request.path.endswith("/events")} == {0, 1, 2}
    assert [request.body for request in between if "/files/" in request.path] == [CONTENT]
    assert (last.path, last.json()["event"]) == ("/runs/r-1/events", "training_complete")


def test_what_was_delivered_to_the_toy_is_read_back(copy: Path, tmp_path: Path) -> None:
    there: dict[str, object] = {"run": "r-1", "complete": True}
    epochs = {str(number): {"loss": 1 / (number + 1)} for number in range(3)}

    def answers(request: Request) -> Reply:
        if request.method == "GET":
            return Reply(body={**there, "epochs": epochs})
        return Reply(body={"run": "r-1"} if request.path == "/runs" else {"stored": True})

    with journal.open(tmp_path / "journal") as opened:
        Recordings(opened, opened.writer()).whole(content=CONTENT)
    place = ("--journal", str(opened.path))
    with scripted_server(answers) as server:
        run(copy, "-m", "uploader", "drain", *place, TOY_URL=server.url, TOY_KEY="toy_key")
        said = run(copy, "-m", "uploader", "verify", *place, TOY_URL=server.url, TOY_KEY="toy_key")
    assert "proven: registration, 3 epochs, completion" in said
    assert "cannot be read back here: checkpoint: it gives no files back" in said


def test_the_toys_secrets_are_taken_out_of_what_is_recorded(copy: Path) -> None:
    told = "TOY_KEY=abc123 X-Toy-Pass: abc123"
    code = f"from uploader.redacting import Redactor; print(Redactor().text({told!r}))"
    assert run(copy, "-c", code) == "TOY_KEY=*** X-Toy-Pass: ***\n"
