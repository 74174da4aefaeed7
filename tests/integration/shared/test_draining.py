"""Many drains deliver a shared journal: each finds its part, keeps to the others' pauses, and outlives the server."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.event import listen, remove
from support.journals import change, dead_pid, later, until, url_of
from support.machines import machines
from support.recordings import KEY, Recordings
from support.scripted_server import ScriptedServer, hearing
from support.settings import settings

from journal.clock import LONGEST_BACKOFF, to_text, to_the_second
from journal.errors import JournalAway
from journal.reading.drain_at_work import DrainAtWork
from journal.reading.drains_at_work import drains_at_work
from uploader.commands.drain import _as_text
from uploader.delivery import drain, outages
from uploader.delivery.drain import Drain
from uploader.delivery.drain_options import DrainOptions
from uploader.delivery.presence import present
from uploader.delivery.timing import Timing

RUNS, EPOCHS, DRAINS = 8, 6, 4


def at_once(shared: Recordings, url: str, number: int, **options: object) -> list[int]:
    """Run several drains to their ends; return their exit codes."""
    codes: list[int] = []
    with ExitStack() as stack:
        drains = [
            Drain(
                shared.journal,
                stack.enter_context(closing(shared.journal.outbox())),
                settings(KEY, url),
                DrainOptions(**options),  # type: ignore[arg-type]
            )
            for _ in range(number)
        ]
        threads = [threading.Thread(target=lambda one=one: codes.append(one.run().exit_code)) for one in drains]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return codes


def without_weights(shared: Recordings, name: str = "train") -> None:
    """Record a training of which no machine needs a file."""
    training = shared.begin(name)
    training.started()
    training.epoch(0)
    training.complete()
    training.end()


def sent(server: ScriptedServer) -> Counter[str]:
    return Counter(json.dumps(body, sort_keys=True) for body in server.bodies("/metrics"))


def test_drains_share_the_work_and_send_nothing_twice(shared: Recordings, server: ScriptedServer) -> None:
    for number in range(RUNS):
        shared.whole(f"train-{number}", epochs=EPOCHS, content=b"weights %d" % number)

    codes = at_once(shared, server.url, DRAINS, max_time=100.0)

    assert 0 in codes  # the last one's; to the others the deliveries under way are work that remains
    assert {*codes} <= {0, 3}
    twice = {what: times for what, times in sent(server).items() if times > 1}
    assert not twice
    assert not [
        run for run in shared.journal.report() for one in run.targets if one.pending or one.unplanned or one.dead
    ]
    ends = {}
    for body in server.bodies("/metrics"):
        ends[body.get("modelId")] = body["event"]
    assert Counter(ends.values())["training_complete"] == RUNS  # each run's end is its last message


def test_one_that_begins_beside_another_leaves_what_waits(shared: Recordings, server: ScriptedServer) -> None:
    """The only one asks at once, as a person wants who starts it: tests/integration/delivery/test_failures.py."""
    without_weights(shared)
    shared.drain(server.url, max_time=0.0)
    longest = to_text(later(LONGEST_BACKOFF.total_seconds() - 1))
    change(shared.journal.path, "UPDATE deliveries SET attempts = 9, next_attempt_at = ?", longest)
    with closing(shared.journal.outbox()) as outbox, present(outbox, "another", is_background=False, log=None):
        assert shared.drain(server.url).exit_code == 3
    assert server.requests == []


def test_is_named_by_its_url_whose_password_nobody_is_shown(
    shared: Recordings, server: ScriptedServer, tmp_path: Path
) -> None:
    without_weights(shared)
    named = url_of(shared.journal).replace("postgres@", "postgres:hidden%2Fsecret@")

    with machines(tmp_path) as run:
        code, printed, said = run("a", "drain", named, url=server.url)
        assert code == 0, said
        assert "delivered" in printed or "deliveries made" in printed
        again = run("a", "drain", "--journal", named, "--json", url=server.url)
        assert json.loads(again[1])["exit_code"] == 0
        refused = run("a", "pack", str(tmp_path / "a.pack"), "--journal", named, url=server.url)
    assert refused[0] == 2
    assert "is a shared journal, with which this command does not work; these do: `drain`, " in refused[2]
    assert "hidden" not in printed + said + "".join(map(str, (*again, *refused)))


def test_an_environment_may_name_it(
    shared: Recordings, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_weights(shared)
    monkeypatch.setenv("UPLOADER_JOURNAL", url_of(shared.journal))

    with machines(tmp_path) as run:
        assert run("a", "drain", url=server.url)[0] == 0
        code, _, said = run("a", "pack", str(tmp_path / "a.pack"))
    assert (code, "is a shared journal" in said) == (2, True)


def test_tells_of_itself_while_it_works(shared: Recordings, server: ScriptedServer) -> None:
    def drains() -> list[str]:
        with shared.journal.begin(read_only=True) as connection:
            return [one.told.in_words for one in drains_at_work(connection, datetime.now(timezone.utc))]

    with shared.draining(server.url, watch=True), shared.draining(server.url, watch=True):
        until(lambda: len(drains()) == 2)
    assert not drains()


def test_a_run_that_begins_wakes_a_drain_that_waits(
    shared: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "TICK_SECONDS", 3600.0)
    server.script, started = hearing("training_started")
    shared.begin().started()
    with shared.draining(server.url, watch=True):
        assert started.wait(100)
        until(lambda: shared.journal.report()[0].targets[0].pending == 0)
        server.script, heard = hearing("training_started")
        shared.begin("second").started()
        assert heard.wait(100)


class Cutter:
    """Cuts the connections of a shared journal, at a statement or after a commit that the server has made."""

    def __init__(self, shared: Recordings, *, statement: int = 0, commit: int = 0, for_good: bool = False) -> None:
        self._engine = shared.journal._backend.engine
        self._left = {"statement": statement, "commit": commit}
        self._for_good = for_good
        self.has_cut = False

    def __enter__(self) -> Cutter:
        listen(self._engine, "before_cursor_execute", self._before)
        listen(self._engine, "commit", self._commit)
        return self

    def __exit__(self, *_: object) -> None:
        remove(self._engine, "before_cursor_execute", self._before)
        remove(self._engine, "commit", self._commit)

    def _before(self, connection: Connection, *_: object) -> None:
        if self._is_time("statement"):
            self._cut(connection)

    def _commit(self, connection: Connection) -> None:
        if self._is_time("commit"):
            connection.connection.driver_connection.commit()  # type: ignore[union-attr]
            self._cut(connection)

    def _is_time(self, what: str) -> bool:
        self._left[what] -= 1
        return self._left[what] == 0 or (self._for_good and self._left[what] < 0 and self.has_cut)

    def _cut(self, connection: Connection) -> None:
        self.has_cut = True
        connection.connection.driver_connection.close()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "place", [{"statement": number} for number in range(8, 90, 16)] + [{"commit": n} for n in range(2, 26, 4)]
)
def test_a_connection_that_is_cut_anywhere_loses_and_doubles_nothing(
    shared: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, place: dict[str, int]
) -> None:
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.02)
    shared.whole(epochs=2)

    with closing(shared.journal.outbox()) as outbox:
        begun = Drain(shared.journal, outbox, settings(KEY, server.url), DrainOptions())
        with Cutter(shared, **place):
            summary = begun.run()

    assert summary.exit_code == 0, summary
    [run] = shared.journal.report()
    assert (run.targets[0].pending, run.targets[0].unplanned, run.targets[0].dead) == (0, 0, 0)
    bodies = {json.dumps(body, sort_keys=True) for body in server.bodies("/metrics")}
    assert len(bodies) == 7


def test_a_server_that_stays_away_ends_a_drain_that_does_not_watch(
    shared: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "AWAY_SECONDS", 0.0)
    shared.whole(epochs=2)
    with closing(shared.journal.outbox()) as outbox:
        begun = Drain(shared.journal, outbox, settings(KEY, server.url), DrainOptions())
        with Cutter(shared, statement=30, for_good=True), pytest.raises(JournalAway, match="cannot be reached"):
            begun.run()

    assert shared.drain(server.url).exit_code == 0
    assert len({json.dumps(body, sort_keys=True) for body in server.bodies("/metrics")}) == 7


def test_a_machine_whose_clock_is_ahead_plans_for_now(
    shared: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("journal.outbox.planning.now_text", lambda: to_text(later(240)))
    shared.whole()

    assert shared.drain(server.url).exit_code == 0


def test_an_interrupted_training_is_noted_once_by_all_drains_together(shared: Recordings) -> None:
    training = shared.begin()
    training.started()
    training.end("abandoned")

    with ThreadPoolExecutor(DRAINS) as threads:
        noted = list(threads.map(lambda _: shared.journal.note_interrupted(), range(DRAINS)))

    assert sorted(noted) == [0] * (DRAINS - 1) + [1]


def claimed_by_the_dead(shared: Recordings, server: ScriptedServer, seconds: float) -> None:
    """Have an epoch be claimed by a drain that was killed, for so long."""
    training = shared.begin()
    training.started()
    training.epoch(0)
    assert shared.drain(server.url).exit_code == 0
    claim = "UPDATE deliveries SET state = 'claimed', owner = 'process 1 on gone', lease_until = ? WHERE kind = ?"
    change(shared.journal.path, claim, to_text(later(seconds)), "epoch_end")


def test_what_a_killed_drain_has_claimed_is_waited_for_as_a_backoff_is(
    shared: Recordings, server: ScriptedServer
) -> None:
    claimed_by_the_dead(shared, server, 2)
    assert shared.drain(server.url).exit_code == 0
    assert [body["event"] for body in server.bodies()].count("epoch_end") == 2


def test_who_has_claimed_the_rest_is_named_where_that_takes_too_long(
    shared: Recordings, server: ScriptedServer
) -> None:
    claimed_by_the_dead(shared, server, 3000)
    ended = shared.drain(server.url, timing=Timing(lease=3600))
    [one] = ended.destinations
    [held] = one.held
    [run] = shared.journal.report()
    assert (run.targets[0].next_attempt_at or "") > to_text(later(60))
    assert (ended.exit_code, one.pending, held.owner, held.number) == (3, 1, "process 1 on gone", 1)
    assert to_text(later(60)) < held.until
    assert to_text(later(60)) < (one.next_attempt_at or "")
    assert f"1 delivery claimed by process 1 on gone until {to_the_second(held.until)}" in _as_text(
        ended, shared.journal.path
    )


def test_a_server_that_is_away_at_the_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "LONGEST_SECONDS", 0.0)
    tries = iter([JournalAway("away"), JournalAway("away"), "open"])

    def work() -> str:
        if isinstance(found := next(tries), JournalAway):
            raise found
        return str(found)

    assert outages.until_there(work, watch=True, max_time=None, has_stopped=lambda: False) == "open"


@pytest.mark.parametrize("way", [{"watch": True, "max_time": 0.0}, {"watch": False, "max_time": None}])
def test_a_start_gives_up_in_time(monkeypatch: pytest.MonkeyPatch, way: dict[str, Any]) -> None:
    monkeypatch.setattr(outages, "AWAY_SECONDS", 0.0)

    def work() -> None:
        raise JournalAway("away")

    with pytest.raises(JournalAway):
        outages.until_there(work, has_stopped=lambda: False, **way)


def test_a_database_that_stays_away_leaves_work(tmp_path: Path) -> None:
    with machines(tmp_path) as run:
        code, printed, _ = run("a", "drain", "postgresql://lab@127.0.0.1:1/outbox", "--max-time", "0", "--json")
    assert (code, json.loads(printed)["exit_code"]) == (3, 3)


def test_killed_drains_are_not_told_as_at_work_or_since_when_they_are_silent(shared: Recordings) -> None:
    with closing(shared.journal.outbox()) as outbox:
        for name, drain_ in {"here": DrainAtWork(pid=dead_pid()), "there": DrainAtWork(pid=1, host="lost")}.items():
            told = json.dumps(asdict(drain_))
            beat = {"host": drain_.host, "pid": drain_.pid, "version": "", "told": told}
            outbox.drains.beat(name, **beat, now=outbox.now() - timedelta(seconds=60))
        with outbox.begin(read_only=True) as connection:
            [one] = drains_at_work(connection, outbox.now())

    assert one.id == "there"
    assert one.told.warnings[0].startswith(f"last heard of at {to_the_second(one.heartbeat_at)}")
    assert "." not in one.told.in_words
