"""`uploader.status()` and `uploader.drain()`: what the commands of these names do, for a program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.recordings import KEY, Recordings, recordings
from support.scripted_server import scripted_server

import uploader
from journal.errors import NoJournal, UnknownRow
from journal.writing.fallback import FallbackFile
from uploader.__main__ import main
from uploader.delivery.drain_lock import drain_lock
from uploader.errors import DrainLocked, NoKey, SettingsError


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        yield opened


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ULTRALYTICS_PLATFORM_URL", "ULTRALYTICS_API_KEY", "ULTRALYTICS_HUB_API", "HUB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "journal"))
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "config"))


def of_command(*arguments: str) -> Any:
    return json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)


def test_status_is_what_the_command_prints(journals: Recordings) -> None:
    journals.whole("one")
    journals.begin("two").epoch(3)
    with scripted_server() as server:
        journals.drain(server.url, runs=("one",))
    found = uploader.status()
    assert json.loads(json.dumps(asdict(found))) == of_command("status")
    assert [(run.name, run.state, run.standing) for run in found.runs] == [
        ("one", "finished", "delivered"),
        ("two", "running", "running"),
    ]
    assert uploader.open().run("one").status().targets == found.runs[0].targets


def test_status_of_a_setting_that_cannot_be_read_is_status_all_the_same(
    journals: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPLOADER_MAX_SIZE", "much")
    assert uploader.status(journals.journal.path).max_bytes is None


def test_drain_delivers_and_says_what_it_did(journals: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    journals.whole("one")
    journals.whole("two")
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    with scripted_server() as server:
        monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", server.url)
        first = uploader.drain(runs="one")
        rest = uploader.drain(journals.journal.path)
        assert of_command("drain")["exit_code"] == rest.exit_code == first.exit_code == 0
    assert [one.delivered for each in (first, rest) for one in each.destinations] == [9, 9]
    assert {run.standing for run in uploader.status().runs} == {"delivered"}


def test_drain_sends_the_key_where_it_was_named(journals: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    journals.whole()
    with pytest.raises(NoKey):
        uploader.drain()
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    with scripted_server() as server:
        assert uploader.drain(to=server.url).exit_code == 0


def test_drain_refuses_what_the_command_refuses(journals: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    journals.whole()
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    with pytest.raises(SettingsError, match="must look like https"):
        uploader.drain(to="nowhere")
    with drain_lock(journals.journal.path), pytest.raises(DrainLocked):
        uploader.drain(to="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"max_time": -1}, "max_time is -1; give a number of seconds from 0 to 1,000,000,000"),
        ({"max_time": math.nan}, "max_time is nan"),
        ({"max_time": math.inf}, "max_time is inf"),
        ({"parallel": 0}, "parallel is 0; give a number from 1 to 256"),
        ({"platform": "none"}, "platform is 'none'; give one of ultralytics, hub"),
    ],
)
@pytest.mark.usefixtures("journals")
def test_drain_refuses_numbers_that_mean_nothing(given: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        uploader.drain(**given)


@pytest.mark.parametrize("name", ["none", "one"], ids=["no run", "two runs"])
def test_a_name_that_fits_no_one_run_is_the_journals_error_everywhere(journals: Recordings, name: str) -> None:
    journals.whole("one")
    journals.whole("one")
    for call in (uploader.drain, uploader.verify):
        with pytest.raises(UnknownRow, match=rf"'{name}' fits (no run|2 runs)"):
            call(runs=[name])
    with pytest.raises(UnknownRow, match=rf"'{name}' fits (no run|2 runs)"):
        uploader.open().run(name)


def test_where_there_is_no_journal_none_is_made_but_for_what_waits_for_it(
    journals: Recordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    for call in (uploader.status, uploader.drain):
        with pytest.raises(NoJournal, match=r"name the folder that holds `journal\.db`"):
            call(other)
    assert not other.exists()
    beside = FallbackFile([tmp_path / "fallback"], other, journals.begin().run)
    beside.append("training_started", {"epochs": 1, "environment": {}}, "1")
    beside.close()
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    with scripted_server() as server:
        monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", server.url)
        assert sum(one.delivered for one in uploader.drain(other).destinations) >= 1
