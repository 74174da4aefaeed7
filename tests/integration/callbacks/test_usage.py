"""What a usage event says, and how many of them a journal takes."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any

import pytest

from uploader.callbacks import usage
from uploader.callbacks.usage import MOST, SECONDS, UsageLog, usage_payload
from uploader.sink import JournalOptions

PAYLOAD = {"name": "predict", "params": {"task": "detect"}}


@pytest.fixture
def options(journal: Any) -> JournalOptions:
    return JournalOptions(journal=str(journal.folder), durability="process")


def args(**changes: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"mode": "val", "task": "detect", "model": "runs/secret/best.pt", **changes})


def test_as_many_are_taken_as_upstream_would_send(options: JournalOptions, journal: Any) -> None:
    now = 100.0
    log = UsageLog(options, clock=lambda: now)
    for _ in range(3 * MOST):
        log.add(PAYLOAD)
    assert journal.events("usage") == [PAYLOAD] * MOST
    now += SECONDS
    log.add(PAYLOAD)
    log.close()
    assert len(journal.events("usage")) == MOST + 1
    assert journal.outcomes() == ["complete"]
    assert journal.runs() == [(None, "usage")]


def test_a_process_has_one_run_for_them_and_a_forked_child_another(options: JournalOptions, journal: Any) -> None:
    usage.journal_usage(options, PAYLOAD)
    usage.journal_usage(options, PAYLOAD)
    if (child := os.fork()) == 0:
        try:
            usage.journal_usage(options, PAYLOAD)
            usage._log_of(options, os.getppid()).close()  # what the child has inherited
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(journal.events("usage")) == 3
    assert len(journal.runs()) == 2
    assert journal.outcomes() == [None, None]
    usage._log_of(options, os.getpid()).close()
    assert journal.outcomes() == ["complete", None]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("runs/secret/best.pt", "best.pt"),
        ("https://hub.ultralytics.com/models/m-9?api_key=s3cret", "m-9"),
        (None, None),
    ],
)
def test_a_model_is_told_by_its_name_without_path_and_key(
    ultralytics: Any, model: str | None, told: str | None
) -> None:
    payload = usage_payload(args(model=model), "cpu")
    assert (payload["name"], payload["params"]["model"]) == ("val", told)
    assert "secret" not in json.dumps(payload)


def test_an_export_tells_its_format(ultralytics: Any) -> None:
    assert usage_payload(args(mode="export", format="onnx"), "cpu")["params"]["format"] == "onnx"
    assert "format" not in usage_payload(args(), "cpu")["params"]
