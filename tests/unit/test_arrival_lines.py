"""What a person is told of each delivery that has arrived."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from journal.records import Claim, Lane, Run
from uploader.commands.arrival_lines import ArrivalLines
from uploader.delivery.progress import Silent

RUN = Run("uuid", "demo", "train", "/runs/train", "2026-11-27T06:00:00.000Z")


def claim(kind: str, body: Any, lane: Lane = "message") -> Claim:
    text = body if isinstance(body, str) else json.dumps(body)
    return Claim(1, "chunk", RUN, 1, {}, kind, lane, text, None, 1, 1, 1, 1, role="best")


def printed(tell: Callable[[ArrivalLines], None]) -> list[str]:
    """Return the lines that are printed, without their times."""
    lines: list[str] = []
    tell(ArrivalLines(lines.append, Silent()))
    return [line.partition("  ")[2] for line in lines]


@pytest.mark.parametrize(
    ("kind", "body", "line"),
    [
        ("epoch_end", {"epoch": 2, "metrics": {}}, "demo/train: epoch 3 arrived"),
        ("epoch_end", {"epoch": 2, "metrics": {"metrics/mAP": 1, "val/l": 1}}, "demo/train: epoch 3 arrived"),
        ("epoch_end", {"epoch": 3, "metrics": {"metrics/mAP": 1}}, "demo/train: epoch 4 arrived"),
        ("metrics", {"metrics": {"9": "{}", "10": "{}"}}, "demo/train: 2 epochs up to epoch 11 arrived"),
        ("checkpoint", {"filename": "best.pt", "size": 6_200_000}, "demo/train: best.pt (6 MB) arrived"),
        ("checkpoint", {}, "demo/train: best arrived"),
        ("training_started", {}, "demo/train: its start arrived"),
        ("training_complete", {}, "demo/train: its end arrived"),
        ("training_failed", {}, "demo/train: its failure arrived"),
        ("epoch_end", "[1]", "demo/train: epoch_end arrived"),
        ("epoch_end", "no JSON", "demo/train: epoch_end arrived"),
    ],
)
def test_a_line_for_each_epoch_upload_and_milestone(kind: str, body: Any, line: str) -> None:
    assert printed(lambda lines: lines.arrived(claim(kind, body))) == [line]


VALIDATED = {"epoch": 2, "metrics": {"metrics/mAP": 1, "val/l": 1}}
LIKE_ONE = {"epoch": 3, "metrics": {"metrics/mAP": 1}}


@pytest.mark.parametrize(
    ("before", "epoch", "line"),
    [
        (VALIDATED, LIKE_ONE, "demo/train: epoch 4 (an evaluation) arrived"),
        (VALIDATED, {**LIKE_ONE, "evaluation": False}, "demo/train: epoch 4 arrived"),
        (LIKE_ONE, LIKE_ONE, "demo/train: epoch 4 arrived"),  # as each epoch of a loop without losses of a validation
        (LIKE_ONE, {**LIKE_ONE, "evaluation": True}, "demo/train: epoch 4 (an evaluation) arrived"),
    ],
)
def test_an_evaluation_is_told_where_it_is_known(before: Any, epoch: Any, line: str) -> None:
    def tell(lines: ArrivalLines) -> None:
        lines.arrived(claim("epoch_end", before))
        lines.arrived(claim("epoch_end", epoch))

    assert printed(tell)[1] == line


@pytest.mark.parametrize("kind", ["console_output", "system_metrics", "training_progress"])
def test_no_line_for_what_is_too_frequent(kind: str) -> None:
    assert printed(lambda lines: lines.arrived(claim(kind, {"content": "text"}))) == []


def test_a_line_for_whatever_is_refused() -> None:
    assert printed(lambda lines: lines.refused(claim("epoch_end", {"epoch": 2, "metrics": {}}), "too long")) == [
        "demo/train: epoch 3 was refused: too long"
    ]
    assert printed(lambda lines: lines.refused(claim("console_output", {}), "no")) == [
        "demo/train: console_output was refused: no"
    ]
