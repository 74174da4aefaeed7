"""`uploader view`: who may look, at what, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from support.journals import ROOT, url_of
from support.recordings import recordings

from uploader.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("view") / "journal"
    with recordings(place) as journals:
        journals.whole("t1")
    return place


@contextmanager
def viewing(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; yield it with the address that it prints."""
    command = [sys.executable, "-m", "uploader", "view", *map(str, arguments), "--no-open"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = (line.strip() for line in process.stdout)
            yield process, next(line.partition("browser: ")[2] for line in lines if "browser: " in line)
        finally:
            process.kill()


def test_it_shows_the_journal_to_who_has_the_address_and_ends_well(folder: Path) -> None:
    with viewing(folder) as (process, address):
        place = address.partition("/?")[0]
        assert requests.get(f"{place}/data/runs", timeout=60).status_code == 403
        assert requests.get(f"{place}/?token=guessed", timeout=60).status_code == 403
        assert requests.get(address, headers={"Host": "elsewhere.example"}, timeout=60).status_code == 400
        with requests.Session() as browser:
            assert browser.get(address, timeout=60).url == f"{place}/"  # the token is in no address that is kept
            linked = f"{place}/compare?run=a%2Fb&run=%26c&{address.partition('?')[2]}"
            assert requests.get(linked, timeout=60).url == f"{place}/compare?run=a%2Fb&run=%26c"
            for path in ("//elsewhere.example/", "/\\elsewhere.example/", "/%5Celsewhere.example/"):
                strange = f"{place}{path}?{address.partition('?')[2]}"
                led = requests.get(strange, timeout=60, allow_redirects=False).headers["location"]
                assert led == "/elsewhere.example/"  # of this server
            told = browser.get(f"{place}/data/runs", timeout=60).json()
            assert told["fields"]["name"] == ["t1"]
            key = told["fields"]["key"][0]
            wanted = {"key": key, "action": "delete"}
            refused = browser.post(f"{place}/data/act", json=wanted, timeout=60)
            assert (refused.status_code, "only looked at" in refused.text) == (409, True)
            with browser.get(f"{place}/data/events", params={"runs": told["cursor"]}, stream=True, timeout=60):
                process.send_signal(signal.SIGINT)  # also while a page is open
                assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.postgres
def test_it_shows_a_shared_journal_by_its_address_and_ends_well(tmp_path: Path) -> None:
    with recordings(tmp_path / "shared", "postgres") as journals:
        journals.whole("t1")
        with viewing(url_of(journals.journal)) as (process, address), requests.Session() as browser:
            place = browser.get(address, timeout=60).url.rstrip("/")
            told = browser.get(f"{place}/data/runs", timeout=60).json()
            assert told["fields"]["name"] == ["t1"]
            shown = browser.get(f"{place}/data/run", params={"key": told["fields"]["key"][0]}, timeout=60).json()
            assert (shown["line"]["epochs_done"], shown["facts"]["results"]) == (3, {"bestEpoch": 0})
            with browser.get(f"{place}/data/events", params={"runs": told["cursor"]}, stream=True, timeout=60):
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("none", 1, "none; name its folder, as in view FOLDER, or by UPLOADER_JOURNAL"),
        ("damaged", 1, "doctor --repair"),
        ("file", 2, "is a file, and no pack; name a pack, or the folder of a journal or a mirror"),
    ],
)
def test_what_cannot_be_looked_at_is_named(tmp_path: Path, name: str, code: int, said: str) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "journal.db").write_text("garbage " * 100)
    (tmp_path / "file").write_text("no pack")
    done = CliRunner().invoke(main, ["view", str(tmp_path / name), "--no-open"])
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
