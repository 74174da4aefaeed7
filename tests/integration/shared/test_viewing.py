"""A shared journal as the source of a dashboard: seldom and briefly read, by a user who may only look."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.clocks import Clock
from support.postgres_server import change
from support.recordings import Recordings

from journal.collecting.collecting import Collecting
from journal.errors import JournalError
from journal.opening import open_shared
from journal.shared_addresses import as_path, without_password
from uploader.dashboard.run_source import UnknownRun
from uploader.viewing.journal_runs import JournalRuns
from uploader.viewing.journal_source import JournalSource
from uploader.viewing.viewed_journal import REST_SECONDS, ViewedJournal, viewed_journal

EPOCH = """
    INSERT INTO events (run_id, session_id, kind, key, payload, created_at, seq)
    SELECT run_id, id, 'epoch_end', '0', '{"epoch": 0, "metrics": {"loss": 1}}', started_at, 9
    FROM sessions WHERE run_id = %s
"""
END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


@pytest.fixture
def looker(url: str) -> Iterator[Path]:
    """What stands for the URL for a user who may only read."""
    change(url, "CREATE ROLE looker LOGIN", ())
    change(url, "GRANT USAGE ON SCHEMA uploader TO looker", ())
    change(url, "GRANT SELECT ON ALL TABLES IN SCHEMA uploader TO looker", ())
    yield as_path(without_password(url).replace("//postgres", "//looker", 1))
    change(url, "DROP OWNED BY looker", ())
    change(url, "DROP ROLE looker", ())


@pytest.fixture
def journal(url: str) -> Iterator[ViewedJournal]:
    with closing(viewed_journal(as_path(url))) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    found = Clock()
    found.now = time.time()
    return found


def collect(node: Recordings, url: str) -> None:
    with open_shared(url) as shared:
        Collecting(node.journal, shared).step()


def test_who_may_only_look_sees_a_run_and_has_its_checkpoint(
    node: Recordings, url: str, looker: Path, tmp_path: Path
) -> None:
    training = node.whole("train-1", content=b"the weights")
    with open_shared(url) as shared, closing(JournalSource(looker)) as source:
        assert shared.shared_blobs is not None
        shared.shared_blobs.decide(str(tmp_path / "blobs"))
        collect(node, url)
        [line] = source.runs().runs
        facts = source.news(training.run.id).facts
        assert facts is not None
        [checkpoint] = facts.checkpoints
        sha256 = str(checkpoint.sha256)
        assert (line.name, line.state) == ("train-1", "completed")
        assert source.title.startswith("postgresql://looker@/")
        file, parts = source.checkpoint(training.run.id, sha256)
        assert (file.size, b"".join(parts)) == (11, b"the weights")
        shared.shared_blobs.remove(sha256)
        with pytest.raises(UnknownRun, match="does not have the bytes"):
            source.checkpoint(training.run.id, sha256)


def test_what_is_committed_later_with_a_lower_number_is_told(
    node: Recordings, url: str, journal: ViewedJournal, clock: Clock
) -> None:
    import psycopg

    late, early = node.begin("late"), node.begin("early")
    for one in (late, early):
        one.started()
    collect(node, url)
    runs = JournalRuns(journal, clock)

    def done() -> dict[str, int]:
        clock.now += REST_SECONDS
        return {line.name: line.epochs_done for line in runs.changes(None).runs}

    assert done() == {"late": 0, "early": 0}
    with psycopg.connect(url, options="-c search_path=uploader") as slow:
        slow.execute(EPOCH, (late.run.id,))
        change(url, EPOCH, (early.run.id,))
        assert done() == {"late": 0, "early": 1}
    assert done() == {"late": 1, "early": 1}


def test_it_is_read_when_something_was_committed_and_asked_once_a_second(
    node: Recordings, url: str, journal: ViewedJournal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.begin("first").started()
    collect(node, url)
    runs = JournalRuns(journal, clock)
    cursor = runs.changes(None).cursor
    with monkeypatch.context() as patch:
        patch.setattr(journal, "reading", pytest.fail)
        clock.now += REST_SECONDS
        assert runs.changes(cursor).cursor == cursor
        change(url, "UPDATE runs SET name = 'renamed'", ())  # which is no event
        patch.setattr(journal, "stamp", pytest.fail)
        clock.now += REST_SECONDS / 2
        assert runs.changes(cursor).runs == []
    clock.now += REST_SECONDS / 2
    assert [line.name for line in runs.changes(cursor).runs] == ["renamed"]


def test_a_server_that_is_away_is_asked_once_a_second_for_all_pages(
    node: Recordings, url: str, journal: ViewedJournal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    node.begin("first").started()
    collect(node, url)
    runs, name = JournalRuns(journal, clock), without_password(url).partition("@/")[2].partition("?")[0]
    cursor = runs.changes(None).cursor
    with psycopg.connect(url.replace(name, "postgres", 1), autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS FALSE".encode())
        server.execute(END_OTHERS, (name,))
        clock.now += REST_SECONDS
        with pytest.raises(JournalError) as first:
            runs.changes(cursor)
        with monkeypatch.context() as patch:
            patch.setattr(journal, "stamp", pytest.fail)
            with pytest.raises(JournalError, match=str(first.value)[:20]):
                runs.changes(cursor)
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS TRUE".encode())
    clock.now += REST_SECONDS
    assert runs.changes(cursor).runs == []
