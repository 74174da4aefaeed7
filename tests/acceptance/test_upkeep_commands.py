"""`retry`, `drop` and `prune`, on a journal with a dead letter, through the command line."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from support.journals import rows

import journal
from journal.clock import utc_now
from journal.outbox.claims import Wanted
from journal.records import Outcome, PlannedDelivery

GONE = ("--to", "http://127.0.0.1:9")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal with one run: a start that arrived, and an epoch that the platform refused."""
    with journal.open(tmp_path / "kept") as opened:
        writer, outbox = opened.writer(), opened.outbox()
        run = writer.start_run(project="demo", name="t1", save_dir=str(tmp_path))
        session = writer.start_session(run.id)
        for kind in ("training_started", "epoch_end"):
            writer.append(run.id, session, kind, {"epoch": 0, "metrics": {}})
        weights = tmp_path / "best.pt"
        weights.write_bytes(b"weights")
        writer.add_checkpoint(run.id, session, opened.blobs.snapshot(weights), "final", {"filename": "best.pt"})
        writer.end_session(session, "complete")
        destination = outbox.routes.add_destination("ultralytics", "http://127.0.0.1:9")
        outbox.routes.add(run.id, destination.id)
        planned = [
            PlannedDelivery("training_started", "message", 1, 1, 1, "{}"),
            PlannedDelivery("epoch_end", "message", 2, 2, 2, "{}"),
        ]
        outbox.plans.write(outbox.routes.targets()[0], planned, through=3, stage=2)
        for outcome in ({"result": "delivered", "ids": {"modelId": "m"}}, {"result": "dead", "error": "refused"}):
            claimed = outbox.claims.take(
                destination.id, Wanted("message", 1), owner="me", lease_seconds=60, now=utc_now() + timedelta(1)
            )
            outbox.settlement.record([Outcome(claimed[0], **outcome)], now=utc_now())
        writer.close()
        outbox.close()
    return tmp_path / "kept"


def test_retry_sends_a_dead_letter_out_again(folder: Path) -> None:
    assert _json(folder, "retry", "2") == {"retried": 1, "replaced": 0, "unblocked": 0, "retaken": 0}
    assert _states(folder) == ["delivered", "pending"]


def test_retry_all(folder: Path) -> None:
    assert _json(folder, "retry", "--all")["retried"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry",),
        ("retry", "2", "--all"),
        ("retry", "1"),
        ("retry", "2", "99"),
        ("prune", "--older-than", "99999999d"),
        ("prune", "--older-than", "99999999999d"),
        ("drop", "1", "--yes"),
        ("drop", "--yes"),
        ("drop", "2", "--to", "http://127.0.0.1:9", "--yes"),
        ("drop", "2", "--run", "x", "--yes"),
        ("drop", "--to", "http://elsewhere", "--yes"),
        ("drop", "--to", "http://127.0.0.1:9", "--platform", "hub", "--yes"),
        ("drop", "--to", "ultralytics", "--platform", "hub", "--yes"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_and_changes_nothing(folder: Path, arguments: tuple[str, ...]) -> None:
    assert _run(folder, *arguments).returncode == 2
    assert _states(folder) == ["delivered", "dead"]


def test_a_usage_error_found_in_the_journal_is_json_where_json_was_asked_for(folder: Path) -> None:
    answer = _run(folder, "retry", "99", "--json")
    assert answer.returncode == json.loads(answer.stdout)["exit_code"] == 2
    assert "no dead letter has the id 99" in json.loads(answer.stdout)["error"]


@pytest.mark.parametrize("chosen", [("2",), GONE])
def test_drop_asks_first_and_scripts_for_a_yes(folder: Path, chosen: tuple[str, ...]) -> None:
    asked = _run(folder, "drop", *chosen)
    assert (asked.returncode, asked.stdout, "Drop 1 " in asked.stderr or "Drop everything" in asked.stderr) == (
        1,
        "",
        True,
    )
    script = _run(folder, "drop", *chosen, "--json")
    assert (script.returncode, json.loads(script.stdout)["exit_code"], script.stderr) == (2, 2, "")
    assert "--yes" in json.loads(script.stdout)["error"]
    assert _states(folder) == ["delivered", "dead"]


@pytest.mark.parametrize("chosen", [("1",), ("2", "99"), ("--to", "http://elsewhere"), (*GONE, "--run", "nothing")])
def test_drop_asks_about_nothing_that_is_not_there(folder: Path, chosen: tuple[str, ...]) -> None:
    told = _run(folder, "drop", *chosen)
    assert (told.returncode, "Drop " in told.stdout + told.stderr) == (2, False)


def test_drop_gives_a_dead_letter_up_and_keeps_its_row(folder: Path) -> None:
    assert _json(folder, "drop", "2", "--yes") == {"dropped": 1}
    assert _states(folder) == ["delivered", "dropped"]


def test_a_destination_that_is_gone_is_given_up(folder: Path) -> None:
    assert _json(folder, "drop", "--to", "HTTP://127.0.0.1:9/", "--yes") == {"runs": 1, "deliveries": 1}
    assert _states(folder) == ["delivered", "dropped"]
    shown = _run(folder, "status").stdout
    assert "http://127.0.0.1:9: 1 delivered, 1 dropped" in shown
    assert "dropped on 20" in shown
    assert _json(folder, "drain")["exit_code"] == 0


def test_of_a_destination_one_run_is_given_up(folder: Path) -> None:
    assert _run(folder, "drop", "--to", "http://127.0.0.1:9", "--run", "nothing", "--yes").returncode == 2
    assert _json(folder, "drop", "--to", "http://127.0.0.1:9", "--run", _run_id(folder)[:8], "--yes")["runs"] == 1
    again = _run(folder, "drop", "--to", "http://127.0.0.1:9", "--yes")
    assert (again.returncode, "none of these runs goes there" in again.stderr) == (2, True)


def test_a_run_that_was_given_up_everywhere_is_pruned_only_when_that_is_asked_for(folder: Path) -> None:
    _run(folder, "drop", "--to", "http://127.0.0.1:9", "--yes")
    assert _json(folder, "prune")["runs"] == 0
    assert _run(folder, "prune", "--given-up").returncode == 1  # it asks first
    assert json.loads(_run(folder, "prune", "--given-up", "--json").stdout)["exit_code"] == 2
    assert _json(folder, "prune", "--dry-run") == {"dry_run": True, "runs": []}
    [listed] = _json(folder, "prune", "--given-up", "--dry-run")["runs"]
    assert f"{listed['name']} ({listed['id'][:8]})" in _run(folder, "prune", "--given-up", "--dry-run").stdout
    assert _states(folder) == ["delivered", "dropped"]
    assert _json(folder, "prune", "--given-up", "--yes") == {"runs": 1, "events": 3, "blobs": 1, "bytes": 7}


def test_what_was_given_up_at_one_place_does_not_keep_a_run_from_being_pruned(folder: Path) -> None:
    with journal.open(folder) as opened, closing(opened.outbox()) as outbox:
        outbox.routes.add(_run_id(folder), outbox.routes.add_destination("hub", "http://127.0.0.1:8").id)
    _run(folder, "drop", "2", "--yes")
    assert _json(folder, "prune")["runs"] == 0
    _run(folder, "drop", "--to", "http://127.0.0.1:8", "--platform", "hub", "--yes")
    assert _json(folder, "prune")["runs"] == 1


def test_prune_leaves_a_run_with_a_dead_letter_alone(folder: Path) -> None:
    assert _json(folder, "prune")["runs"] == 0
    assert len(_states(folder)) == 2


def test_prune_takes_out_what_has_arrived_and_keeps_what_the_platform_called_it(folder: Path) -> None:
    _run(folder, "drop", "2", "--yes")
    assert _json(folder, "prune", "--older-than", "1h")["runs"] == 0
    assert _json(folder, "prune") == {"runs": 1, "events": 3, "blobs": 1, "bytes": len(b"weights")}
    assert list((folder / "blobs").iterdir()) == []
    with sqlite3.connect(folder / "journal.db") as database:
        assert database.execute("SELECT ids FROM targets").fetchall() == [('{"modelId":"m"}',)]
    database.close()


def test_status_tells_a_pruned_run_from_one_that_was_lost(folder: Path) -> None:
    _run(folder, "drop", "2", "--yes")
    assert ", pruned" not in _run(folder, "status").stdout
    _run(folder, "prune")
    assert json.loads(_run(folder, "status", "--json").stdout)["runs"][0]["pruned"] is True
    assert "finished, pruned; since then 0 epochs, 0 events" in _run(folder, "status").stdout


def test_what_was_given_up_and_deleted_is_not_said_to_be_resumable(folder: Path) -> None:
    with journal.open(folder) as opened, closing(opened.writer()) as writer:
        writer.start_session(writer.start_run(project=None, name="t2", save_dir="", run_id="never").id)
        writer.append("never", 2, "epoch_end", {})
        writer.end_session(2, "complete")
        writer.route("never", "hub", "http://127.0.0.1:8")
    _run(folder, "drop", "--to", "http://127.0.0.1:8", "--platform", "hub", "--yes")
    assert "resumes it" in _run(folder, "status").stdout
    _run(folder, "prune", "--given-up", "--yes")
    shown = _run(folder, "status").stdout
    assert ("dropped on" in shown, "resumes it" in shown) == (True, False)


def test_event_ids_are_not_used_again_after_a_prune(folder: Path) -> None:
    """Else the next event would lie below `planned_through`, and would never be delivered."""
    _run(folder, "drop", "2", "--yes")
    _run(folder, "prune")
    with journal.open(folder) as opened:
        writer = opened.writer()
        run = writer.find_run(save_dir=str(folder.parent))
        assert run is not None
        assert writer.append(run.id, writer.start_session(run.id), "epoch_end", {}) == 4
        writer.close()


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uploader", *arguments, "--journal", str(folder)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def _json(folder: Path, *arguments: str) -> dict[str, int]:
    done = _run(folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, int] = json.loads(done.stdout)
    return answer


def _run_id(folder: Path) -> str:
    return str(rows(folder, "SELECT id FROM runs")[0][0])


def _states(folder: Path, kind: str = "%") -> list[str]:
    return [state for (state,) in rows(folder, "SELECT state FROM deliveries WHERE kind LIKE ? ORDER BY id", kind)]


# --- ids and names


def test_the_ids_that_retry_and_drop_want_are_shown(folder: Path) -> None:
    with journal.open(folder) as opened, closing(opened.outbox()) as outbox:
        outbox.routes.add(_run_id(folder), outbox.routes.add_destination("ultralytics", "http://127.0.0.1:9").id)
    assert "dead: 2 (epoch_end): refused" in _run(folder, "status").stdout
    assert "dead letter: 2 (epoch_end): refused" in _run(folder, "drain", "--to", "http://127.0.0.1:9").stdout
    (target,) = json.loads(_run(folder, "status", "--json").stdout)["runs"][0]["targets"]
    assert target["dead_letters"] == [{"id": 2, "kind": "epoch_end", "reason": "refused"}]
    examined = _run(folder, "doctor")
    assert examined.returncode == 1
    assert "2 (epoch_end of t1): refused" in examined.stdout


def test_a_run_that_was_refused_as_a_whole_is_trouble(folder: Path) -> None:
    _run(folder, "drop", "2", "--yes")
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute("UPDATE targets SET state = 'blocked', reason = 'no access'")
    examined = _run(folder, "doctor")
    assert examined.returncode == 1
    assert f"t1 ({_run_id(folder)}) by http://127.0.0.1:9: no access" in examined.stdout
    assert _json(folder, "retry", "t1")["unblocked"] == 1
    assert _run(folder, "doctor").returncode == 0


@pytest.mark.parametrize("name", ["t1", "demo/t1"])
def test_a_run_stands_for_all_of_its_dead_letters(folder: Path, name: str) -> None:
    beginning = _run(folder, "drop", name[:-1], "--yes")
    assert (beginning.returncode, "did you mean demo/t1?" in beginning.stderr) == (2, True)
    assert _json(folder, "retry", name)["retried"] == 1
    assert _run(folder, "drop", name, "--yes").returncode == 2  # it has none any more


def test_a_run_may_have_a_number_for_a_name(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute("UPDATE runs SET name = '17'")
    assert _json(folder, "retry", "17")["retried"] == 1


def test_a_number_is_not_the_beginning_of_a_run(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute("UPDATE runs SET id = '1' || substr(id, 2)")
        for table in ("sessions", "events", "targets", "deliveries"):
            connection.execute(f"UPDATE {table} SET run_id = '1' || substr(run_id, 2)")
    assert _run(folder, "drop", "1", "--yes").returncode == 2
    assert _states(folder) == ["delivered", "dead"]


def test_a_number_that_no_row_can_have_names_nothing(folder: Path) -> None:
    answer = _run(folder, "retry", "9" * 30)
    assert (answer.returncode, "no dead letter has the id" in answer.stderr) == (2, True)


def test_a_runs_dead_letters_are_dropped_by_its_id(folder: Path) -> None:
    assert _json(folder, "drop", _run_id(folder)[:8], "--yes") == {"dropped": 1}


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry", "nothing"),
        ("resend",),
        ("resend", "nothing"),
        ("resend", "t1", "--all"),
        ("resend", "t1", "--to", "http://elsewhere"),
        ("route", "t1"),
        ("route", "nothing", "--name", "x"),
        ("route", "t1", "--name", "x"),
        ("route", "t1", "--project", "!!"),
    ],
)
def test_what_names_nothing_changes_nothing(folder: Path, arguments: tuple[str, ...]) -> None:
    assert _run(folder, *arguments).returncode == 2
    assert _states(folder) == ["delivered", "dead"]


def test_resend_queues_a_run_again(folder: Path) -> None:
    told = _json(folder, "resend", "t1")
    assert told == {"resent": [{"run": _run_id(folder), "to": "http://127.0.0.1:9", "events": 3}]}
    assert _states(folder) == ["superseded", "superseded"]
    _run(folder, "drop", "--to", "http://127.0.0.1:9", "--yes")
    assert "t1 to http://127.0.0.1:9" in _run(folder, "resend", "--all").stdout  # taken up again with it


def test_a_pruned_run_is_not_sent_again_in_part(folder: Path) -> None:
    _run(folder, "drop", "2", "--yes")
    assert _json(folder, "prune")["runs"] == 1
    refused = _run(folder, "resend", "t1")
    assert (refused.returncode, "were pruned after" in refused.stderr) == (2, True)


def test_route_names_another_project(folder: Path) -> None:
    with journal.open(folder) as opened, closing(opened.writer()) as writer:
        writer.start_run(project="other/secret", name="night", save_dir="/night")
    told = _json(folder, "route", "night", "--project", "Team/My Shop", "--name", "Night Shift")
    assert (told["run"]["project"], told["run"]["name"]) == ("Team/my-shop", "night-shift")
    assert "announces the run as shop/night-shift" in _run(folder, "route", "night-shift", "--project", "shop").stdout


def test_route_does_not_promise_what_was_given_up(folder: Path) -> None:
    assert _run(folder, "drop", *GONE, "--yes").returncode == 0
    told = _run(folder, "route", "t1", "--name", "t2").stdout
    assert "no drain announces it until" in told
    assert "drain --to http://127.0.0.1:9" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ("drop", "--yes", "--to", "https://me:s3cret@host"),
        ("drop", "--yes", "--json", "--to", "https://me:s3cret@host"),
        ("drop", "--yes", "https://me:s3cret@host"),
        ("resend", "--all", "--to", "https://me:s3cret@host?key=s3cret"),
        ("retry", "https://me:s3cret@host"),
        ("route", "https://me:s3cret@host", "--project", "p"),
        ("drain", "--to", "https://me:s3cret@host"),
        ("drain", "--run", "https://me:s3cret@host"),
    ],
)
def test_no_command_repeats_a_password(folder: Path, arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "uploader", *arguments, "--journal", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "host" in done.stdout + done.stderr
    assert "s3cret" not in done.stdout + done.stderr
