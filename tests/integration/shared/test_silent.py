"""A training of which nothing is heard: whether its machine still trains is not known, and nobody says more."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.journals import dead_pid
from support.postgres_server import change
from support.recordings import Recordings, recordings

import uploader
from journal.clock import to_text, to_the_second, utc_now
from journal.collecting.collecting import Collecting
from journal.mirror.mirroring import Mirroring
from journal.mirror.restoring import restore
from journal.mirror.stores import FolderStore
from journal.opening import open_shared
from journal.outbox.targets import route
from journal.packs import archive, contents
from journal.sessions.liveness import HEARTBEAT_TIMEOUT
from journal.sessions.origin import UNPACKED
from journal.sessions.over import SILENT_FOR_GOOD
from uploader.__main__ import main
from uploader.reports.conditions import parse_condition
from uploader.reports.reaching import Best, judge
from uploader.viewing.journal_source import JournalSource

MINUTE = timedelta(minutes=1)


def collected(node: Recordings, url: str, silence: timedelta) -> None:
    """Record an epoch of a training, and collect it that long ago; nobody collects any more."""
    training = node.begin()
    training.started(epochs=2)
    training.epoch(0)
    with open_shared(url) as shared:
        Collecting(node.journal, shared).step()
    unheard(url, silence)


def unheard(url: str, silence: timedelta) -> None:
    """Have nothing been heard of any training for so long."""
    heard = to_text(utc_now() - silence)
    change(url, "UPDATE sessions SET heartbeat_at = %s, started_at = %s, pid = %s", (heard, heard, dead_pid()))
    change(url, "UPDATE events SET created_at = %s", (heard,))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments])
    assert result.exit_code == 0, result.output
    return result.output


def states(url: str) -> set[str]:
    """Return the state of the one run, as everybody tells it."""
    with open_shared(url) as shared:
        [seen], _ = shared.overview()
    one = uploader.open(url).run()
    with closing(JournalSource(one.journal)) as source:
        [line] = source.runs().runs
    return {seen.state, one.status().state, one.times().state, one.progress().run.state, line.state}


def test_nobody_calls_it_running_or_interrupted(node: Recordings, url: str) -> None:
    collected(node, url, HEARTBEAT_TIMEOUT + MINUTE)
    assert states(url) == {"silent"}
    [told] = json.loads(run("status", url, "--json", "--state", "silent"))["runs"]
    since = to_the_second(told["last_sign_at"])
    assert (told["state"], told["standing"], told["end_unknown"]) == ("silent", "running", False)
    assert f"silent since {since}, 1 epoch" in run("status", url, "--run", "train")
    assert "silent" in run("status", url)
    assert "and silent since" in run("show", "train", "--journal", url)
    assert 'state="silent"} 1' in run("status", "--prometheus", url)
    assert uploader.open(url).run().times().ended_at is None
    assert uploader.open(url).run().console_after(0) == ([], True)  # which `logs --follow` waits for


@pytest.mark.parametrize("condition", ["delivered", "loss<=0.1"])
def test_it_is_waited_for(node: Recordings, url: str, condition: str) -> None:
    """All that came in may have arrived, and more may come."""
    collected(node, url, HEARTBEAT_TIMEOUT + MINUTE)
    wanted = parse_condition(condition)
    found = judge(
        wanted, uploader.open(url).run().progress(), Best(1.0, "epoch 1", 1, names=frozenset({"loss"})), "retry"
    )
    assert (found.verdict, found.stage) == ("waiting", "silent")
    assert found.why.startswith("it is silent since 2")


def test_after_a_day_it_was_interrupted_which_a_drain_notes(node: Recordings, url: str) -> None:
    collected(node, url, SILENT_FOR_GOOD + MINUTE)
    assert states(url) == {"interrupted"}
    with open_shared(url) as shared:
        assert shared.note_interrupted() == 1
    assert states(url) == {"interrupted"}


@pytest.mark.parametrize("is_from_pack", [False, True])
def test_it_is_not_pruned_for_a_day(node: Recordings, url: str, *, is_from_pack: bool) -> None:
    collected(node, url, SILENT_FOR_GOOD - MINUTE)
    if is_from_pack:
        change(url, "DELETE FROM collected", ())
        change(url, "UPDATE facts SET value = %s WHERE name = 'place'", (UNPACKED,))
    with open_shared(url) as shared:
        with shared.begin() as connection:
            run_id = connection.exec_driver_sql("SELECT id FROM runs").scalar_one()
            route(connection, run_id, "ultralytics", "https://platform.example")
        change(url, "UPDATE targets SET dropped_at = %s", (to_text(utc_now()),))
        assert shared.prunable(utc_now(), given_up=True) == []
        assert shared.prune(utc_now(), given_up=True).runs == 0
        unheard(url, SILENT_FOR_GOOD + MINUTE)
        assert shared.prunable(utc_now(), given_up=True) != []
        assert shared.prune(utc_now(), given_up=True).runs == 1


def test_what_its_node_knows_of_its_end_counts_at_once(node: Recordings, url: str) -> None:
    collected(node, url, HEARTBEAT_TIMEOUT + MINUTE)
    with node.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE sessions SET pid = ?", (dead_pid(),))
    node.journal.note_interrupted()
    with open_shared(url) as shared:
        Collecting(node.journal, shared).step()
    unheard(url, HEARTBEAT_TIMEOUT + MINUTE)
    assert states(url) == {"interrupted"}


def test_a_pack_that_came_in_hides_no_dead_training(node: Recordings, url: str, tmp_path: Path) -> None:
    """Of a run in a pack silence tells nothing; of one that a collector brings it does, as before."""
    collected(node, url, SILENT_FOR_GOOD + MINUTE)
    with recordings(tmp_path / "other") as other, open_shared(url) as shared, ExitStack() as stack:
        other.begin().started()
        archive.write(contents.collect(stack, other.journal), tmp_path / "one.pack", None, lambda _: None)
        with archive.open_pack(tmp_path / "one.pack") as pack:
            archive.take_in(shared, pack)
        unheard(url, SILENT_FOR_GOOD + MINUTE)
        assert [run.state for run in shared.report()] == ["interrupted", "silent"]
        assert shared.note_interrupted() == 1


def test_one_that_was_restored_was_interrupted(node: Recordings, tmp_path: Path) -> None:
    """Nothing more of it comes in by itself: whoever restores a journal has lost its machine."""
    store = FolderStore(tmp_path / "mirror")
    training = node.begin()
    training.started()
    Mirroring(node.journal, store).step()
    with recordings(tmp_path / "new") as restored:
        restore(restored.journal, store)
        with restored.journal.begin() as connection:
            heard = to_text(utc_now() - HEARTBEAT_TIMEOUT - MINUTE)
            connection.exec_driver_sql("UPDATE sessions SET heartbeat_at = ?", (heard,))
        assert [run.state for run in restored.journal.report()] == ["interrupted"]
