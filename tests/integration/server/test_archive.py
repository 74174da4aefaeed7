"""All that is known of a run in one file: a ZIP that is made on the way, in the memory of a block."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import requests
from support.platform_api import Api
from support.told_platform import KEY, told_platform

from uploader.dashboard.run_source import UnknownRun
from uploader.server.running import RunningServer
from uploader.server.storage.store_records import Upload

IMAGE = {"form": "image", "mime": "image/png", "data": "aGVsbG8="}


def test_it_has_all_that_is_known(server: RunningServer, api: Api) -> None:
    run = api.start(epochs=2, trainArgs={"lr0": 0.1}, environment={"os": "Linux"})
    target = {"modelId": run["modelId"]}
    for epoch in range(2):
        metrics = {"train/loss": 2.5 - epoch, "metrics/a, b": None if epoch else 0.1}
        api.event("epoch_end", {"epoch": epoch, "metrics": metrics, "system": {"cpu": 5}}, **target)
    for number, text in enumerate(("one", "two \ud800")):
        api.event("console_output", {"chunkId": number, "content": text}, **target)
    for name in ("../a b", "../a-b"):
        api.event("media", {"name": name, "step": 0, **IMAGE}, **target)
    api.event("media", {"name": "plot", "step": 1, "form": "plot", "x": [0, 1], "y": {"a": [1, 2]}}, **target)
    for content in (b"first", b"second"):
        api.checkpoint(content, run)
    answer = requests.get(f"{server.url}/data/archive", {"key": KEY}, timeout=60)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="local-demo-train.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    assert set(files) == {
        *(f"{name}.json" for name in ("run", "arguments", "environment", "results", "epochs", "system")),
        *("epochs.csv", "console.txt", "checkpoints/best.pt", "checkpoints/best-2.pt"),
        *("pictures/a-b-epoch-1.png", "pictures/a-b-epoch-1-2.png", "pictures/plot-epoch-2.json"),
    }
    assert files["console.txt"] == b"one\ntwo ?"
    assert (files["checkpoints/best.pt"], files["checkpoints/best-2.pt"]) == (b"second", b"first")
    assert files["pictures/a-b-epoch-1.png"] == b"hello"
    assert [json.loads(files[f"{name}.json"]) for name in ("arguments", "environment")] == [
        {"lr0": 0.1},
        {"os": "Linux"},
    ]
    rows = list(csv.reader(io.StringIO(files["epochs.csv"].decode())))
    assert [rows[0][0], *rows[0][2:]] == ["epoch", "train/loss", "metrics/a, b"]
    assert [[row[0], *row[2:]] for row in rows[1:]] == [["1", "2.5", "0.1"], ["2", "1.5", ""]]
    assert [each["values"] for each in json.loads(files["epochs.json"])] == [
        {"train/loss": 2.5, "metrics/a, b": 0.1},
        {"train/loss": 1.5},
    ]


def test_it_needs_the_memory_of_a_block_however_large_a_checkpoint_is(tmp_path: Path) -> None:
    size = 24 * 2**20
    with told_platform(tmp_path) as told:
        told.start()
        now = told.platform.now()
        with told.platform.files.incoming() as incoming:
            for _ in range(24):
                incoming.write(bytes(2**20))
        with told.platform.store.write() as rows:
            run_id = rows.run_ids(told.model)[0]
            upload = Upload("u", told.model, run_id, "best.pt", "p", None, None, True, now, incoming.sha256, size)
            rows.uploads.insert(upload)
            rows.uploads.promote(upload, now)
        tracemalloc.start()
        _, parts = told.source.archive(KEY)
        length = sum(map(len, parts))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert length > size
    assert peak < size / 3


def test_there_is_none_of_a_run_that_is_not_there(tmp_path: Path) -> None:
    with told_platform(tmp_path) as told, pytest.raises(UnknownRun):
        told.source.archive(KEY)
