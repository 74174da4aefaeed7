"""A session that is over when it is written: it has the times that it is told, and comes once."""

from __future__ import annotations

from contextlib import closing

from support.journals import Bench, rows, writer_of

from journal.kinds import COMPLETE, EPOCH, REGISTRATION
from journal.sessions.identity import Entry, Session, derived
from journal.writing.payloads import drafts

ON_BOTH_ENGINES = True
BEGAN, ENDED = "2024-05-01T10:00:00.000000Z", "2024-05-01T10:01:00.000000Z"


def past(run_id: str, epochs: int) -> tuple[Session, list[Entry]]:
    session = Session(run_id, derived("import", run_id))
    events = [*drafts(REGISTRATION, {}, "1", BEGAN)]
    for epoch in range(epochs):
        events += drafts(EPOCH, {"epoch": epoch, "metrics": {}}, str(epoch), ENDED)
    return session, session.entries(events)


def test_a_past_session_has_its_own_times_and_is_written_once(at: Bench) -> None:
    with closing(writer_of(at.journal)) as writer:
        run = writer.start_run(project=None, name="old", save_dir="old", at=BEGAN)
        copy = writer.run_copy()

        def write(epochs: int) -> int:
            return copy.add_past(*past(run.id, epochs), started_at=BEGAN, ended_at=ENDED, outcome="imported")

        assert [write(1), write(1), write(3)] == [2, 0, 2]
    folder = at.journal.path
    assert rows(folder, "SELECT created_at FROM runs WHERE id = ?", run.id) == [(BEGAN,)]
    sessions = "SELECT started_at, ended_at, outcome FROM sessions WHERE run_id = ?"
    assert rows(folder, sessions, run.id) == [(BEGAN, ENDED, "imported")]
    events = "SELECT kind, key, created_at FROM events WHERE run_id = ? ORDER BY seq"
    assert rows(folder, events, run.id) == [
        (REGISTRATION, "1", BEGAN),
        *((EPOCH, str(epoch), ENDED) for epoch in range(3)),
    ]


def test_nothing_of_a_past_session_is_taken_for_a_run_that_goes_on(at: Bench) -> None:
    with closing(writer_of(at.journal)) as writer:
        run = writer.start_run(project=None, name="old", save_dir="old", at=BEGAN)
        session, entries = past(run.id, 1)
        entries += session.entries(drafts(COMPLETE, {"results": {}}, "", ENDED))
        writer.run_copy().add_past(session, entries, started_at=BEGAN, ended_at=ENDED, outcome="imported")
    [told] = [each for each in at.journal.report() if each.id == run.id]
    assert told.state == "finished"
