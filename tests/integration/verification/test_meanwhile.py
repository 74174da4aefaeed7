"""Verifying a run while something else works on it: a training, a drain, a person who asks twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from soaks import planted
from support.journals import IN_A_FILE, change, rows
from support.recordings import KEY, Recordings
from support.settings import settings
from support.verified import said, trained, verified

from journal.writing.fallback import FallbackFile
from uploader.connecting import connect
from uploader.platforms.base import RunIdentity
from uploader.platforms.reading_back import Shown
from uploader.server.running import RunningServer
from uploader.verification.runs import chosen_targets, send_again
from uploader.verification.verifying import Verifier

ON_BOTH_ENGINES = True


class Interrupted:
    """A client that lets something happen just before or after it reads the platform."""

    def __init__(self, client, before: Callable[[], object], after: Callable[[], object]) -> None:
        self._client, self._before, self._after = client, before, after

    def read_back(self, identity: RunIdentity) -> Shown:
        self._before()
        shown = self._client.read_back(identity)
        self._after()
        return shown


def nothing() -> None:
    pass


def verified_while(at: Recordings, url: str, *, before=nothing, after=nothing) -> list[tuple[str, str, str]]:
    [target] = chosen_targets(at.journal, (), None)
    with closing(connect("ultralytics", url, settings(KEY, url), connections=1)) as client:
        interrupted = Interrupted(client, before, after)
        return said(Verifier(at.journal, interrupted, "offline-runs").verify(target))


def test_what_is_delivered_before_the_platform_is_read_is_not_strange(
    journals: Recordings, server: RunningServer
) -> None:
    training = trained(journals)
    journals.drain(server.url)

    def goes_on() -> None:
        training.epoch(4)
        training.console(99)
        journals.drain(server.url)

    assert verified_while(journals, server.url, before=goes_on) == []


def test_what_is_delivered_after_the_platform_was_read_is_not_lost(journals: Recordings, server: RunningServer) -> None:
    training = trained(journals)
    journals.drain(server.url)
    training.event("epoch_end", {"epoch": 1, "metrics": {"loss": 7.0}}, "1")
    waits = ("epoch 2", "missing", "it was not sent yet, and an earlier one is there")
    assert verified_while(journals, server.url) == [waits]
    assert verified_while(journals, server.url, after=lambda: journals.drain(server.url)) == [waits]
    assert verified_while(journals, server.url) == []


def test_what_waits_to_be_sent_again_is_queued_once(journals: Recordings, server: RunningServer) -> None:
    trained(journals)
    journals.drain(server.url)
    [one] = verified(journals, server.url)
    for name in ("an epoch is lost", "a plot is changed", "an argument is changed"):
        assert planted.plant(server.data, str(one.target.ids["modelId"]), name, 1)
    [first] = verified(journals, server.url)
    for _ in range(2):
        send_again(journals.journal, first)
    [again] = verified(journals, server.url)
    assert send_again(journals.journal, again) == 0
    pending = "SELECT kind, count(*) FROM deliveries WHERE state = 'pending' GROUP BY 1 ORDER BY 1"
    assert rows(journals.journal.path, pending) == [("epoch_end", 1), ("training_complete", 1), ("training_started", 1)]
    assert journals.drain(server.url).exit_code == 0
    [clean] = verified(journals, server.url, deep=True)
    assert said(clean) == []


def test_a_dead_letter_is_sent_again_and_what_was_dropped_is_not(journals: Recordings, server: RunningServer) -> None:
    trained(journals)
    journals.drain(server.url)
    [one] = verified(journals, server.url)
    for epoch, state in ((1, "dead"), (2, "dropped")):
        assert planted.plant(server.data, str(one.target.ids["modelId"]), f"epoch {epoch} is lost", 1)
        refused = "UPDATE deliveries SET state = ?, last_error = '422: no' WHERE kind = 'epoch_end'"
        change(journals.journal.path, f"{refused} AND CAST(json_extract(body, '$.epoch') AS BIGINT) = ?", state, epoch)
    [found] = verified(journals, server.url)
    assert [(item, word) for item, word, _ in said(found)] == [("epoch 2", "missing"), ("epoch 3", "missing")]
    assert ["422: no" in why for _, _, why in said(found)] == [True, True]
    assert send_again(journals.journal, found) == 1
    assert [item.place for item in found.again.left] == [("epoch", "2")]
    assert journals.drain(server.url).exit_code == 0
    [again] = verified(journals, server.url)
    assert [item for item, _, _ in said(again)] == ["epoch 3"]


@IN_A_FILE
def test_what_the_journal_has_not_taken_in_is_missing(
    journals: Recordings, server: RunningServer, tmp_path: Path
) -> None:
    training = trained(journals)
    journals.drain(server.url)
    file = FallbackFile([tmp_path / "fallback"], journals.journal.path, training.run)
    file.append("epoch_end", {"epoch": 4, "metrics": {"loss": 0.1}}, "4")
    file.close()
    [found] = verified(journals, server.url)
    [(item, word, why)] = said(found)
    assert (item, word, "the next drain takes it in" in why) == ("event in 1 file", "missing", True)
    assert not found.is_right
    assert send_again(journals.journal, found) == 0
    journals.drain(server.url)
    [clean] = verified(journals, server.url)
    assert [item for item, _, _ in said(clean)] in ([], ["event in 1 file"])  # the file goes once its process is gone
    assert clean.counts["proven"] == found.counts["proven"] + 1


def test_a_run_that_waits_for_its_registration_is_left_to_the_drain(
    journals: Recordings, server: RunningServer
) -> None:
    trained(journals)
    with closing(journals.journal.outbox()) as outbox:
        outbox.routes.add(outbox.routes.runs()[0].id, outbox.routes.add_destination("ultralytics", server.url).id)
    [unplanned] = verified(journals, server.url)
    assert {why for _, _, why in said(unplanned)} == {"it was not sent yet"}
    assert send_again(journals.journal, unplanned) == 0
    with journals.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE targets SET state = 'blocked', reason = 'no more room'")
    [blocked] = verified(journals, server.url)
    assert {why for _, _, why in said(blocked)} == {
        "it waits, as the platform refused the run as a whole: no more room"
    }
    with journals.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE targets SET state = 'new', reason = NULL")
    assert journals.drain(server.url).exit_code == 0
    [arrived] = verified(journals, server.url)
    assert planted.plant(server.data, str(arrived.target.ids["modelId"]), "the model is lost", 1)
    with journals.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'pending' WHERE kind = 'training_started'")
    [waiting] = verified(journals, server.url)
    assert ("registration", "missing", "it waits to be sent") in said(waiting)
    assert send_again(journals.journal, waiting) == 0
    assert rows(journals.journal.path, "SELECT state FROM deliveries WHERE kind = 'training_started'") == [("pending",)]
