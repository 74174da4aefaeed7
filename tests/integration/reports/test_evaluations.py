"""The final evaluation is no epoch: the one rule, as everything that counts epochs applies it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.journals import rows
from support.postgres_server import empty_journal
from support.recordings import Recordings, recordings
from support.shared_twin import shared_twin

import uploader
from journal.evaluations import SAID, Told, are_trained
from journal.kinds import EPOCH
from uploader.commands.proof_summary import Summary
from uploader.proof.leaves import Leaf
from uploader.server.rules import training_state
from uploader.server.storage.store_records import Epoch

LOSS, SAME = {"train/loss": 2.0}, {"train/loss": 1.0}
SCORE = {"metrics/acc": 0.5}
CHECKED = {**LOSS, **SCORE, "val/loss": 1.0}

CASES: Mapping[str, tuple[Sequence[tuple[bool | None, Mapping[str, float]]], int]] = {
    "none": ([], 0),
    "the last one has no losses of a validation": ([(None, CHECKED), (None, CHECKED), (None, {**LOSS, **SCORE})], 2),
    "none has, and the last one trained nothing": (
        [(None, LOSS | SCORE), (None, SAME | SCORE), (None, SAME | SCORE)],
        2,
    ),
    "none has, and all were trained": ([(None, LOSS | SCORE), (None, SAME | SCORE)], 2),
    "none has any losses, so nothing tells of an evaluation": ([(None, SCORE)] * 3, 3),
    "one alone": ([(None, SCORE)], 1),
    "no metrics": ([(None, LOSS), (None, LOSS)], 2),
    "it is said, and nothing else would tell": ([(False, SCORE), (False, SCORE), (True, SCORE)], 2),
    "that it is none is said against its losses": ([(False, SAME | SCORE), (False, SAME | SCORE)], 2),
    "it is said against its losses": ([(None, CHECKED), (True, CHECKED)], 1),
    "said of a part, as by a later version": (
        [(None, LOSS | SCORE), (None, SAME | SCORE), (False, SAME | SCORE), (True, SAME | SCORE)],
        3,
    ),
}


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        yield opened


def payload(number: int, said: object, metrics: Mapping[str, float]) -> dict[str, Any]:
    return {"epoch": number, "metrics": dict(metrics), **({} if said is None else {SAID: said})}


@pytest.mark.parametrize("case", CASES)
def test_all_who_count_epochs_agree(journals: Recordings, case: str) -> None:
    epochs, trained = CASES[case]
    training = journals.begin()
    summary = Summary()
    for number, (said, metrics) in enumerate(epochs):
        told = payload(number, said, metrics)
        training.event(EPOCH, told, str(number))
        summary.see(Leaf("s", number, EPOCH, str(number), "", None), json.dumps(told).encode())
    assert sum(are_trained([Told(*one) for one in epochs])) == trained
    assert rows(journals.journal.path, "SELECT epochs FROM run_overview") == [(trained,)]
    [report] = journals.journal.report()
    assert report.epochs == trained
    run = uploader.open(journals.journal.path).run(training.run.id)
    assert run.metrics()["epoch"] == list(range(trained))
    assert len(run.metrics(evaluation=True)["epoch"]) == len(epochs)
    assert summary.epochs_trained == trained
    there = [
        Epoch(number, payload(number, None, metrics), "", is_evaluation=said)
        for number, (said, metrics) in enumerate(epochs)
    ]
    assert len(training_state.trained(there, None)) == trained


@pytest.mark.parametrize("case", CASES)
def test_a_shared_journal_counts_the_same(journals: Recordings, case: str) -> None:
    epochs, trained = CASES[case]
    training = journals.begin()
    for number, (said, metrics) in enumerate(epochs):
        training.event(EPOCH, payload(number, said, metrics), str(number))
    with empty_journal() as url:
        assert uploader.open(shared_twin(journals.journal.path, url)).run().status().epochs == trained


def test_of_an_evaluation_that_was_recorded_twice_a_proof_counts_the_newest_record() -> None:
    summary = Summary()
    for number, metrics in enumerate((LOSS | SCORE, SAME | SCORE, SAME | SCORE, SAME | SCORE)):
        key = str(min(number, 2))
        told = json.dumps(payload(int(key), None, metrics)).encode()
        summary.see(Leaf("s", number, EPOCH, key, "", None), told)
    assert summary.epochs_trained == 2
