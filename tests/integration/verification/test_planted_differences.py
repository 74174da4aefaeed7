"""Each difference that is planted behind a platform's back is found, and put right without doubling anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from soaks import planted
from soaks.public_shapes import public_platform
from support.recordings import Recordings
from support.verified import said, trained, verified

from uploader.server.running import RunningServer
from uploader.verification.runs import send_again
from uploader.verification.verifying import Verified

ON_BOTH_ENGINES = True
UNDISTURBED = ("left alone", "left alone too")


@pytest.fixture(params=["the local platform", "the SDK's shapes"])
def url(request: pytest.FixtureRequest, server: RunningServer) -> Iterator[str]:
    if request.param == "the local platform":
        yield server.url
    else:
        pytest.importorskip("ultralytics_platform", reason="the SDK needs Python 3.11")
        with public_platform(server.url) as public:
            yield public.url


def by_name(found: list[Verified]) -> dict[str, Verified]:
    return {one.target.run.name: one for one in found}


def counted(server: RunningServer) -> list[int]:
    """Return how many rows the platform has of each kind of which a second one would be one too many."""
    with closing(sqlite3.connect(server.data / "platform.db")) as store:
        tables = ("models", "epochs", "checkpoints")
        return [store.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]


@pytest.mark.once_on_postgres
def test_each_difference_is_found_and_put_right(journals: Recordings, server: RunningServer, url: str) -> None:
    names = [*planted.PLANTS, *UNDISTURBED]
    for name in names:
        size = 500_000 if name in planted.DEEP else 5_000  # a large one is sent in chunks
        trained(journals, name, epochs=2, size=size)
    assert journals.drain(url).exit_code == 0
    clean = by_name(verified(journals, url, deep=True))
    assert {name: said(one) for name, one in clean.items() if said(one)} == {}
    assert all(one.is_right for one in clean.values())
    before = counted(server)

    for seed, name in enumerate(planted.PLANTS):
        assert planted.plant(server.data, str(clean[name].target.ids["modelId"]), name, seed), name
    found = by_name(verified(journals, url, deep=True))
    assert {name for name, one in found.items() if not one.is_right} == {*planted.PLANTS}
    assert all(one.is_right for one in verified(journals, url, *planted.DEEP))  # by its size
    shallow = ("the checkpoint's file is lost", "the checkpoint is another, shorter file")
    assert not any(one.is_right for one in verified(journals, url, *shallow))  # without --deep

    for one in found.values():
        send_again(journals.journal, one)
    assert journals.drain(url).exit_code == 0
    again = by_name(verified(journals, url, deep=True))
    assert {name for name, one in again.items() if said(one)} == planted.FOREIGN
    assert {word for name in planted.FOREIGN for _, word, _ in said(again[name])} == {"different"}
    models, epochs, checkpoints = counted(server)
    assert (models, epochs - 1) == (before[0], before[1])
    # replaced weights stay beside those that replace them
    assert checkpoints == before[2] + 1


def test_times_are_compared_where_the_platform_keeps_what_it_is_told(
    journals: Recordings, server: RunningServer, url: str
) -> None:
    """The public platform has the times of the requests; that is no reason to call a run unproven."""
    trained(journals, epochs=2)
    assert journals.drain(url).exit_code == 0
    with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
        store.execute(
            "UPDATE models SET started_at = '2026-01-02T03:04:05.000Z', completed_at = '2091-01-01T00:00:00Z'"
        )
        store.execute("UPDATE epochs SET timestamp = '2091-01-01T00:00:00.000Z' WHERE epoch = 1")
    [found] = verified(journals, url)
    if url != server.url:
        assert said(found) == []
        return
    different = [(item, word, why.partition(" UTC there, and 20")[0]) for item, word, why in said(found)]
    assert sorted(different) == [
        ("completion", "different", "it ended at 2091-01-01 00:00:00"),
        ("epoch 2", "different", "it ended at 2091-01-01 00:00:00"),
        ("registration", "different", "it began at 2026-01-02 03:04:05"),
    ]
    assert send_again(journals.journal, found) == 3
    assert journals.drain(url).exit_code == 0
    assert said(verified(journals, url)[0]) == []


@pytest.mark.once_on_postgres
@pytest.mark.parametrize("is_cancelled", [False, True])
@pytest.mark.parametrize("names_sessions", [False, True])
def test_a_changed_registration_is_put_right_in_its_model(
    journals: Recordings, server: RunningServer, names_sessions: bool, is_cancelled: bool
) -> None:
    """Trainings of other loops name no sessions; and a cancelled model takes no further ones."""
    if names_sessions:
        trained(journals)
    else:
        journals.whole()
    assert journals.drain(server.url).exit_code == 0
    with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
        store.execute("UPDATE models SET epochs = 99, train_args = NULL")
        if is_cancelled:
            store.execute("UPDATE models SET status = 'cancelled'")
    [found] = verified(journals, server.url)
    assert "registration" in [item for item, *_ in said(found)]
    send_again(journals.journal, found)
    assert journals.drain(server.url).exit_code == 0
    [mended] = verified(journals, server.url)
    assert [item for item, *_ in said(mended)] == (["completion"] if is_cancelled else [])
    assert counted(server)[0] == 1


def test_a_platform_that_was_restored_from_an_older_backup_gets_what_it_lacks(
    journals: Recordings, server: RunningServer
) -> None:
    """It does not know the run of the model that the upload names, and refuses it as if the model were gone."""
    trained(journals)
    assert journals.drain(server.url).exit_code == 0
    with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
        store.execute("UPDATE models SET environment = NULL")
    send_again(journals.journal, verified(journals, server.url)[0])
    assert journals.drain(server.url).exit_code == 0
    with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
        store.execute("DELETE FROM checkpoints")
        assert store.execute("DELETE FROM runs WHERE id > (SELECT min(id) FROM runs)").rowcount == 1
    for exit_code in (4, 0):
        send_again(journals.journal, verified(journals, server.url)[0])
        assert journals.drain(server.url).exit_code == exit_code
    assert said(verified(journals, server.url)[0]) == []
    assert counted(server)[0] == 1
