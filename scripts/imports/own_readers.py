"""What a tracker's own reader gives of a folder: values by step and name. Each works on a copy: some of them write."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

Values = dict[tuple[int, str], float]


def wandb(folder: Path, datastore: Path | None) -> Values | None:
    """By `wandb/sdk/internal/datastore.py` of wandb 0.19, the last reader in Python; None without that file."""
    if datastore is None:
        return None
    from wandb.proto import wandb_internal_pb2

    scanner = _datastore(datastore)()
    found: Values = {}
    file = next(folder.glob("wandb/*/run-run.wandb"))
    try:
        scanner.open_for_scan(str(file))
        while (body := scanner.scan_data()) is not None:
            record = wandb_internal_pb2.Record.FromString(bytes(body))
            for item in record.history.item:
                name = "/".join(item.nested_key) or item.key
                if name in ("loss", "val/acc"):
                    found[record.history.step.num, name] = json.loads(item.value_json)
    except Exception:  # noqa: BLE001 - it ends with an AssertionError at a torn record
        return found
    return found


def _datastore(file: Path) -> Any:
    kept = sys.modules.get("wandb")
    stub = types.ModuleType("wandb")
    stub._assert_is_internal_process = True  # type: ignore[attr-defined]
    sys.modules["wandb"] = stub
    try:
        spec = importlib.util.spec_from_file_location("datastore", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        if kept is None:
            del sys.modules["wandb"]
        else:
            sys.modules["wandb"] = kept
    return module.DataStore


def mlflow(folder: Path, _: Path | None) -> Values:
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.file_store import FileStore

    for file in folder.glob("mlruns/*/*/metrics/**/*"):
        if file.is_file() and not file.read_bytes().endswith(b"\n"):  # it takes what is left of a number for the number
            file.write_bytes(file.read_bytes().rpartition(b"\n")[0] + b"\n")
    found: Values = {}
    store = FileStore(str(folder / "mlruns"))
    for file in folder.glob("mlruns/*/*/meta.yaml"):
        for name in ("loss", "val/acc"):
            try:
                for each in store.get_metric_history(file.parent.name, name):
                    found[each.step, name] = each.value
            except (MlflowException, ValueError, TypeError):
                continue  # one torn line costs it the metric
    return found


def trackio(folder: Path, _: Path | None) -> Values:
    from trackio import sqlite_storage as storage
    from trackio import utils

    storage.TRACKIO_DIR = utils.TRACKIO_DIR = folder
    found: Values = {}
    for row in storage.SQLiteStorage.get_logs("proj", "run"):
        found.update({(row["step"], name): row[name] for name in ("loss", "val/acc") if name in row})
    return found


def neptune(folder: Path, _: Path | None) -> Values:
    from neptune_scale.sync.operations_repository import OperationsRepository

    repository = OperationsRepository(next(folder.glob("*/run_operations.sqlite3")).resolve())
    found: Values = {}
    last = None
    while operations := repository.get_operations(up_to_bytes=64 << 20, from_exclusive=last):
        for each in operations:
            last = each.sequence_id
            if hasattr(each.operation, "append"):
                for name in {"loss", "val/acc"} & set(each.operation.append):
                    value = each.operation.append[name]
                    found[each.operation.step.whole, name] = value.float64
    repository.close(cleanup_files=False)
    return found


def tensorboard(folder: Path, _: Path | None) -> Values:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder / "run"), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    return {
        (each.step, name): each.value for name in accumulator.Tags()["scalars"] for each in accumulator.Scalars(name)
    }
