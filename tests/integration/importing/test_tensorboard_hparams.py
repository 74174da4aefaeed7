"""Hyperparameters in TensorBoard's files: those of a folder of their own, and those amid a training's metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from uploader.importing.reader import read_run
from uploader.importing.readers.tensorboard_folder import READER

pytest.importorskip("tensorboard")


def test_behind_hyperparameters_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    _write(tmp_path / "run", _hparams(), *(_scalar("x", step) for step in range(3)))
    _write(tmp_path / "run" / "1700000000.5", _hparams(), _scalar("acc", 0), _graph())
    recorded = "00000000-0000-4000-8000-000000000000"
    (tmp_path / "run" / "uploader_run.json").write_text(f'{{"run": "{recorded}"}}')
    [found] = READER.detect(tmp_path / "run")
    run = read_run(found)
    assert run.beside == recorded
    assert [(step.number, step.values["x"]) for step in run.steps] == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert run.summary == {"acc": 0.0}
    assert run.config == {"lr": 0.5}
    assert [(each.why, each.is_left_out) for each in run.problems] == [("not taken in: 1 graph", True)]


def test_metrics_beside_hyperparameters_in_a_folder_below_keep_their_steps(tmp_path: Path) -> None:
    _write(tmp_path / "run", _scalar("x", 0))
    _write(tmp_path / "run" / "below", _hparams(b"\xff"), *(_scalar("y", step) for step in range(3)))
    [found] = READER.detect(tmp_path / "run")
    run = read_run(found)
    assert [step.values.get("below/y") for step in run.steps] == [0.0, 1.0, 2.0]
    assert not run.summary
    assert [each.what for each in run.problems] == ["hyperparameters"]


def _write(folder: Path, *events: Any) -> None:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for event in events:
        writer.add_event(event)
    writer.close()


def _scalar(tag: str, step: int) -> Any:
    return _event(step, tag=tag, simple_value=float(step))


def _graph() -> Any:
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=1_700_000_000, meta_graph_def=b"")


def _hparams(content: bytes | None = None) -> Any:
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    data = HParamsPluginData()
    data.session_start_info.hparams["lr"].number_value = 0.5
    plugin = SummaryMetadata.PluginData(
        plugin_name="hparams", content=data.SerializeToString() if content is None else content
    )
    return _event(0, tag="_hparams_/session_start_info", metadata=SummaryMetadata(plugin_data=plugin))


def _event(step: int, **value: Any) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Event(wall_time=1_700_000_000 + step, step=step, summary=Summary(value=[Summary.Value(**value)]))
