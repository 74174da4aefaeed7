"""The commands that look at a journal, and act on it, on one that is shared: they take its URL where a folder goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine
from support.journals import bench
from support.shared_twin import shared_twin

from journal.kinds import CONSOLE, EPOCH
from journal.opening import open_shared
from journal.records import Outcome
from journal.shared_addresses import without_password
from uploader.__main__ import main


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a journal with a run that has a dead letter, and something that waits."""
    with bench(tmp_path_factory.mktemp("home") / "journal") as at:
        at.register()
        at.event(EPOCH, {"epoch": 0, "metrics": {"loss": 0.5}}, "0")
        at.event(CONSOLE, {"chunkId": 1, "content": "one\ntwo", "lineCount": 2, "progress": {}}, "1")
        at.plan(at.message(stage=2), at.message(stage=2))
        (refused,) = at.claim(limit=1)
        at.record(Outcome(refused, "dead", error="no"))
        at.writer.end_session(at.session_id, "exited")
        return shared_twin(at.journal.path)


@pytest.fixture
def reader(shared: str) -> Iterator[str]:
    """The URL for a user who may only read."""
    with open_shared(shared) as opened, opened.begin() as connection:
        for one in (
            "CREATE ROLE looker LOGIN",
            "GRANT USAGE ON SCHEMA uploader TO looker",
            "GRANT SELECT ON ALL TABLES IN SCHEMA uploader TO looker",
        ):
            connection.exec_driver_sql(one)
    yield without_password(shared.replace("//postgres", "//looker", 1))
    with open_shared(shared) as opened, opened.begin() as connection:
        connection.exec_driver_sql("DROP OWNED BY looker")
        connection.exec_driver_sql("DROP ROLE looker")


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, [*arguments])
    assert result.exit_code == code, result.output
    return result.output


def as_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_what_looks_needs_no_right_to_write(reader: str) -> None:
    told = as_json("status", reader)
    assert (told["journal"], told["max_bytes"], told["fallbacks"]) == (reader, None, 0)
    assert [(one["pending"], one["dead"]) for one in told["backlog"]] == [(1, 1)]
    assert f"journal {reader}: 1 run" in run("status", reader)
    assert "1 dead letter" in run("status", reader, "--run", "run")
    assert 'uploader_dead_letters{journal="' in run("status", "--prometheus", reader)
    shown = as_json("show", "latest", "--journal", reader)
    assert (shown["name"], shown["metrics"]["loss"], shown["journal"]) == ("run", [0.5], reader)
    assert "one\ntwo\n" in run("logs", "run", "--journal", reader)
    assert "one\ntwo\n" in run("logs", "run", "--follow", "--journal", reader)
    assert "0.5" in run("export", "run", "--journal", reader)
    assert "loss is 0.5" in run("wait", "run", "--until", "loss<=0.5", "--journal", reader)
    assert "refused 1 delivery: no" in run("wait", "run", "--until", "delivered", "--journal", reader, code=4)


def test_what_acts_says_that_the_right_is_missing(reader: str) -> None:
    for command in (("retry", "--all"), ("drop", "run", "--yes"), ("resend", "--all")):
        assert "docs/scale-out.md names the rights that are needed" in run(*command, "--journal", reader, code=1)


def test_what_acts_does_as_in_a_folder(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as at:
        at.register()
        at.plan(at.message(stage=2), at.message(stage=2))
        for refused in at.claim():
            at.record(Outcome(refused, "dead", error="no"))
        with at.journal.begin() as connection:
            connection.exec_driver_sql("INSERT INTO runs VALUES ('1-2', NULL, 'new', '/x', '2026')")
            connection.exec_driver_sql(
                "INSERT INTO targets SELECT '1-2', id, 'new', NULL, '{}', 0, 0, '', NULL FROM destinations"
            )
        url = shared_twin(at.journal.path)
    named = ("--journal", url)
    dead = [letter["id"] for letter in _letters(url)]
    assert as_json("retry", str(dead[0]), *named) == {"retried": 1, "replaced": 0, "unblocked": 0, "retaken": 0}
    assert as_json("drop", "run", "--yes", *named) == {"dropped": 1}
    assert "could not be read back" in run("verify", "run", *named, code=5)  # there is no key for it
    told = run("route", "new", "--project", "other", *named)
    assert "announces the run as other/new" in told
    assert "drain --journal 'postgresql://postgres@/" in told
    assert as_json("route", "new", "--to", "http://127.0.0.1:9", *named)["runs"]
    assert [one["run"] for one in as_json("resend", "run", *named)["resent"]]
    assert as_json("drop", "--to", "https://platform.example", "--yes", *named)["runs"] == 1
    assert as_json("prune", "--given-up", "--yes", *named)["runs"] == 0  # it is trained


def _letters(url: str) -> list[dict[str, Any]]:
    return [
        letter
        for one in as_json("status", url)["runs"]
        for target in one["targets"]
        for letter in target["dead_letters"]
    ]


def test_what_is_for_a_folder_says_so(shared: str) -> None:
    for command in (("mirror", "/elsewhere"), ("pack", "x.pack"), ("describe", "run", "--tag", "a")):
        told = run(*command, "--journal", shared, code=2)
        assert "with which this command does not work" in told


def test_where_there_is_no_journal_none_is_made_by_looking(shared: str) -> None:
    empty = shared.split("?", maxsplit=1)[0].rpartition("/")[0] + "/postgres?" + shared.split("?")[1]
    assert "there is no journal in" in run("status", empty, code=1)
    engine = create_engine(empty.replace("postgresql:", "postgresql+psycopg:", 1))
    with closing(engine.raw_connection()) as connection:
        found = connection.cursor().execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'uploader'")
        assert found.fetchone() == (0,)  # type: ignore[union-attr]
    engine.dispose()


def test_each_drain_at_work_is_told(shared: str) -> None:
    with open_shared(shared) as opened, closing(opened.outbox()) as outbox:
        for host in ("one", "two"):
            told = json.dumps({"pid": 7, "host": host, "warnings": ["no key"], "started_at": "2026"})
            outbox.drains.beat(host, host=host, pid=7, version="", told=told, now=outbox.now())
        assert [one["host"] for one in as_json("status", shared)["drains"]] == ["one", "two"]
        assert "a drain is at work: process 7 on two, since 2026\n  no key" in run("status", shared)
        assert run("status", "--prometheus", shared).count('uploader_drains{journal="') == 1
        for host in ("one", "two"):
            outbox.drains.end(host)
