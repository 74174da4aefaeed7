"""What a person wanted of a model, and a loop's images and plots, are read back, and put right where they differ."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from soaks.public_shapes import public_platform
from support.asking import asked
from support.journals import IN_A_FILE
from support.recordings import Recordings
from support.verified import said, trained, verified

from uploader.intents import convert, describe, upload_dataset
from uploader.platforms.ultralytics.list_reading import NO_MEDIA
from uploader.server.running import RunningServer
from uploader.verification.runs import send_again
from uploader.verification.verifying import Verified

ON_BOTH_ENGINES = True
IMAGE = {"name": "prediction", "step": 1, "form": "image", "mime": "image/png", "data": "aW1hZ2U="}
PLOT = {"name": "recall é", "step": 2, "form": "plot", "x": [0.0, 1.0], "y": {"recall": [0.5, None]}}
LOGGED, DRAWN = "image or plot 'prediction' of step 1", "image or plot 'recall é' of step 2"
Plant = Callable[[Path, sqlite3.Connection], Any]


def _metadata(store: sqlite3.Connection, name: str, value: Any) -> None:
    [(text,)] = store.execute("SELECT metadata FROM models").fetchall()
    store.execute("UPDATE models SET metadata = ?", [json.dumps({**json.loads(text), name: value})])


def _property(store: sqlite3.Connection, name: str, value: str) -> None:
    store.execute("UPDATE models SET properties = json_set(properties, ?, ?)", [f"$.{name}", value])


def _lost_dataset(data: Path, store: sqlite3.Connection) -> None:
    store.execute("DELETE FROM datasets WHERE slug = 'cars'")
    for file in data.rglob("cars.ndjson"):
        file.unlink()


def _pin(store: sqlite3.Connection, **facts: Any) -> None:
    [(text,)] = store.execute("SELECT json_extract(metadata, '$.dataset') FROM models").fetchall()
    _metadata(store, "dataset", {**json.loads(text), **facts})


ROUNDS: list[dict[str, tuple[str, Plant]]] = [
    {
        "description": ("is day there", lambda _, store: _property(store, "description", "day")),
        "license": ("is MIT there", lambda _, store: _property(store, "license", "MIT")),
        "tags": ("has 1 entries there", lambda _, store: _metadata(store, "tags", ["a"])),
        "conversion onnx imgsz=640": ("is not there", lambda _, store: store.execute("DELETE FROM exports")),
        "dataset cars": ("is not there", _lost_dataset),
        "dataset of the model": ("version is 7 there", lambda _, store: _pin(store, version=7)),
        LOGGED: ("is not there", lambda _, store: store.execute("DELETE FROM media WHERE name = 'prediction'")),
    },
    {
        "description": ("is empty there", lambda _, store: _property(store, "description", "")),
        "tags": ("has 0 entries there", lambda _, store: _metadata(store, "tags", [])),
        "conversion onnx imgsz=640": (
            "is not there", lambda _, store: store.execute("UPDATE exports SET args = ?", ['{"imgsz": 320}']),
        ),
        "dataset cars": ("is missing there", lambda _, store: store.execute("UPDATE datasets SET metadata = '{}'")),
        "dataset of the model": ("is trucks there", lambda _, store: _pin(store, dataset="trucks")),
        LOGGED: ("sha256", lambda _, store: store.execute("UPDATE media SET data = replace(data, 'aW1hZ2U=', 'b3Ro')")),
    },
    {
        "dataset of the model": ("is not there", lambda _, store: _metadata(store, "dataset", None)),
        DRAWN: (
            "is 0.25 there", lambda _, store: store.execute("UPDATE media SET data = replace(data, '0.5', '0.25')"),
        ),
    },
]  # fmt: skip


def listed(file: Path) -> Path:
    file.write_text('{"type": "dataset", "task": "detect"}\n{"type": "image", "file": "a.png"}\n', "utf-8")
    return file


def wanted(journals: Recordings, folder: Path) -> None:
    """Record a training with images, and want all that can be wanted of it."""
    training = trained(journals)
    for medium in (IMAGE, PLOT):
        training.event("media", medium, f"{medium['step']} {medium['name']}")
    wanted_beside(journals, folder)


def wanted_beside(journals: Recordings, folder: Path) -> None:
    with asked(journals) as place:
        describe("train", description="night", license="AGPL-3.0", tags=["a", "b"], journal=place)
        convert("train", "onnx", args={"imgsz": 640}, journal=place)
        upload_dataset("train", listed(folder / "cars.ndjson"), journal=place)


def found(journals: Recordings, url: str) -> Verified:
    [one] = verified(journals, url)
    return one


@pytest.fixture(params=["the local platform", "the SDK's shapes"])
def url(request: pytest.FixtureRequest, server: RunningServer) -> Iterator[str]:
    if request.param == "the local platform":
        yield server.url
    else:
        pytest.importorskip("ultralytics_platform", reason="the SDK needs Python 3.11")
        with public_platform(server.url) as public:
            yield public.url


@pytest.mark.once_on_postgres
def test_each_difference_is_found_and_put_right(
    journals: Recordings, server: RunningServer, url: str, tmp_path: Path
) -> None:
    shows_media = url == server.url
    untold = [] if shows_media else [(item, "unreadable", NO_MEDIA) for item in (LOGGED, DRAWN)]
    wanted(journals, tmp_path)
    assert journals.drain(url).exit_code == 0
    clean = found(journals, url)
    assert said(clean) == untold
    assert {one.finding().item for one in clean.checked} >= {item for each in ROUNDS for item in each}

    for plants in ROUNDS if shows_media else ROUNDS[:1]:  # the SDK's types take long to look through
        with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
            for _, plant in plants.values():
                plant(server.data, store)
        one = found(journals, url)
        seen = {item: why for item, word, why in said(one) if word != "unreadable"}
        assert seen.keys() == {item for item in plants if shows_media or item not in {LOGGED, DRAWN}}
        assert all(plants[item][0] in why for item, why in seen.items()), seen
        assert send_again(journals.journal, one) == len(seen)
        assert journals.drain(url).exit_code == 0
        assert said(found(journals, url)) == untold


def test_what_waits_is_not_there_yet(journals: Recordings, server: RunningServer, tmp_path: Path) -> None:
    trained(journals)
    assert journals.drain(server.url).exit_code == 0
    wanted_beside(journals, tmp_path)
    one = found(journals, server.url)
    assert {word for _, word, _ in said(one)} == {"missing"}
    assert one.waits == len(said(one)) == 6


@IN_A_FILE  # a node asks again where it has trained further
def test_an_older_order_is_no_proof_of_one_after_further_training(journals: Recordings, server: RunningServer) -> None:
    training = trained(journals)
    convert("train", "onnx", journal=journals.journal.path)
    assert journals.drain(server.url).exit_code == 0
    resumed = journals.begin(run_id=training.run.id)
    resumed.started(epochs=4)
    resumed.complete()
    resumed.end()
    convert("train", "onnx", journal=journals.journal.path)
    assert journals.drain(server.url).exit_code == 0
    with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
        store.execute("DELETE FROM exports WHERE rowid = (SELECT max(rowid) FROM exports)")
    assert [item for item, word, _ in said(found(journals, server.url)) if word == "missing"] == ["conversion onnx"]


def test_a_dataset_that_is_uploaded_again_does_not_take_the_place_of_a_later_one(
    journals: Recordings, server: RunningServer, tmp_path: Path
) -> None:
    trained(journals)
    for name in ("cars", "trucks"):
        with asked(journals) as place:
            upload_dataset("train", listed(tmp_path / f"{name}.ndjson"), journal=place)
    assert journals.drain(server.url).exit_code == 0
    with closing(sqlite3.connect(server.data / "platform.db")) as store, store:
        _lost_dataset(server.data, store)
    assert send_again(journals.journal, found(journals, server.url))
    assert journals.drain(server.url).exit_code == 0
    assert said(found(journals, server.url)) == []


def test_a_platform_that_takes_none_of_it_says_so(journals: Recordings, server: RunningServer, tmp_path: Path) -> None:
    """HUB refuses what is wanted, and shows none of it."""
    trained(journals)
    wanted_beside(journals, tmp_path)
    journals.drain("", hub=server.url, to=server.url, platform="hub")
    [one] = verified(journals, "", hub=server.url)
    assert one.is_right
    assert {word for _, word, _ in said(one)} == {"unreadable"}
    assert len(said(one)) == 6
