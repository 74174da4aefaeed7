"""Choosing where a training goes: HUB, both platforms, by name, by a model's URL or by the environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import uploader
from uploader.errors import SettingsError

HUB_URL, PLATFORM_URL = "http://hub.example", "http://platform.example"
MODEL = "https://hub.ultralytics.com/models/m-9"

Trainers = Callable[..., Any]


def routes(journal: Any) -> list[tuple[Any, ...]]:
    query = "SELECT platform, base_url FROM targets JOIN destinations ON destinations.id = destination_id ORDER BY 1"
    return journal.rows(query)


def record(build_trainer: Trainers, journal: Any, **options: Any) -> None:
    uploader.detach(uploader.attach(build_trainer(), journal=journal.folder, **options))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (({"platform": "hub"}, {}), [("hub", "")]),
        (({"platform": "hub"}, {"ULTRALYTICS_HUB_API": HUB_URL}), [("hub", HUB_URL)]),
        (({"platform": "hub", "base_url": HUB_URL}, {"ULTRALYTICS_PLATFORM_URL": PLATFORM_URL}), [("hub", HUB_URL)]),
        (({}, {"ULTRALYTICS_HUB_API": HUB_URL}), [("hub", HUB_URL)]),
        (
            ({}, {"ULTRALYTICS_HUB_API": HUB_URL, "ULTRALYTICS_PLATFORM_URL": PLATFORM_URL}),
            [("hub", HUB_URL), ("ultralytics", PLATFORM_URL)],
        ),
        (
            ({"platform": ["ultralytics", "hub"]}, {"ULTRALYTICS_HUB_API": HUB_URL}),
            [("hub", HUB_URL), ("ultralytics", "")],
        ),
        (({"hub_model": MODEL}, {"ULTRALYTICS_HUB_API": HUB_URL}), [("hub", HUB_URL)]),
        (({"hub_model": "yolo11n.pt"}, {}), [("hub", "")]),
        (({}, {}), []),
    ],
)
def test_where_a_run_goes(
    build_trainer: Trainers,
    journal: Any,
    monkeypatch: pytest.MonkeyPatch,
    given: tuple[dict[str, Any], dict[str, str]],
    expected: list[tuple[str, str]],
) -> None:
    options, environment = given
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    record(build_trainer, journal, **options)
    assert routes(journal) == expected


def test_the_model_that_is_trained_is_recorded(build_trainer: Trainers, journal: Any) -> None:
    record(build_trainer, journal, hub_model=f"{MODEL}?api_key=s3cret")
    [started] = journal.events("training_started")
    assert started["environment"]["hubModel"] == "m-9"
    assert "s3cret" not in json.dumps(started)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"platform": "other"}, "no platform that this version knows"),
        ({"platform": "other", "base_url": HUB_URL}, "no platform that this version knows"),
        ({"platform": ["hub", "ultralytics"], "base_url": HUB_URL}, "that of one platform"),
        ({"hub_model": "m-9"}, "is no HUB model"),
    ],
)
def test_a_choice_that_cannot_be_is_a_clear_error(
    build_trainer: Trainers, journal: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        uploader.attach(build_trainer(), journal=journal.folder, **options)
