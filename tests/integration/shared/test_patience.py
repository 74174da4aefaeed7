"""`wait` and `logs --follow` on a shared journal whose server is away for a while: they go on when it is back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.journals import bench, later
from support.shared_twin import shared_twin

import uploader
from journal.clock import to_text
from journal.errors import JournalAway
from journal.opening import open_shared
from journal.shared_addresses import as_path
from uploader.commands import logs, status, wait
from uploader.commands.patience import Patience
from uploader.commands.status_watch import patiently
from uploader.delivery import journal_changes
from uploader.reports.conditions import parse_condition


class Waits:
    """What happens, one thing at each pause between two looks."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = iter(steps)

    def wait(self, seconds: float) -> None:
        del seconds
        next(self._steps)()


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a journal with a run that is trained, and waits."""
    monkeypatch.setattr(journal_changes, "SHARED_SECONDS", 0.0)
    with bench(tmp_path / "journal") as at:
        at.event("console_output", {"chunkId": 1, "content": "one", "lineCount": 1, "progress": {}}, "1")
        yield shared_twin(at.journal.path)


def _allow(url: str, allowed: bool) -> Callable[[], object]:
    """Return what has the server let nobody in, or everybody again."""
    import psycopg  # not at once: where it is not installed, the fixture skips the test

    name = re.search(r"/(journal_\d+)", url)
    assert name is not None

    def change() -> None:
        with psycopg.connect(url.replace(name[1], "postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name[1]} ALLOW_CONNECTIONS {allowed}")  # type: ignore[arg-type]

    return change


def _write(url: str, statement: str) -> Callable[[], object]:
    def write() -> None:
        with open_shared(url) as opened, opened.begin() as connection:
            connection.exec_driver_sql(statement)

    return write


def test_wait_goes_on_when_the_server_is_back(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    epoch = (
        "INSERT INTO events (run_id, session_id, kind, key, payload, created_at, seq) SELECT run_id, id, 'epoch_end',"
        f" '0', '{{\"epoch\": 0, \"metrics\": {{\"loss\": 0.5}}}}', '{to_text(later(0))}', 100 FROM sessions"
    )
    waits: Any = Waits(_allow(url, False), lambda: None, _allow(url, True), _write(url, epoch), lambda: None)
    found = wait._wait(uploader.open(url).run(), parse_condition("loss<=0.5"), 10_000.0, waits)
    assert found.verdict == "reached"
    told = capsys.readouterr().err
    assert told.count("; waiting for it") == told.count("The journal can be used again.") == 1


def test_logs_go_on_when_the_server_is_back(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    end = f"UPDATE sessions SET ended_at = '{to_text(later(0))}', outcome = 'exited'"
    waits: Any = Waits(_allow(url, False), _allow(url, True), _write(url, end), lambda: None)
    logs._follow(uploader.open(url).run(), 0, waits)
    assert capsys.readouterr().out == "one\n"


def test_one_that_was_never_there_is_not_waited_for() -> None:
    patience = Patience("wait")
    with pytest.raises(JournalAway), patience.looking():
        raise JournalAway("away")
    with patience.looking():
        pass
    with patience.looking():
        raise JournalAway("away")


def test_status_goes_on_when_the_server_is_back(url: str) -> None:
    away, back, end = _allow(url, False), _allow(url, True), _write(url, "UPDATE runs SET name = 'renamed'")
    look = patiently(lambda: status._drawn([as_path(url)], status.Wanted(), all_runs=True)[0])
    before = look()
    away()
    told = look()
    assert [told[:-1], look()] == [before, told]  # once
    assert told[-1].plain.endswith("; waiting for it")
    back()
    end()
    assert any("renamed" in one.plain for one in look())
