"""What a tracker's own reader gives of a folder. Each works on a copy: some of them write.

Values are by step and name, images too, of which the sha256 is compared, and samples of the machine by time.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import sys
import types
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from PIL import Image

from journal.clock import to_text

Values = dict[tuple[int | str, str], Any]
NAMES = ("loss", "val/acc")
IMAGE, MEMORY = "seen", "ram"


def image(file: Path | bytes) -> str | None:
    """Return the sha256 of an image that Pillow can read, None of anything else."""
    try:
        content = file if isinstance(file, bytes) else file.read_bytes()
        Image.open(io.BytesIO(content)).load()
    except (OSError, SyntaxError, ValueError):
        return None
    return hashlib.sha256(content).hexdigest()


def when(seconds: float) -> str:
    """Return a time as an import writes it."""
    return to_text(datetime.fromtimestamp(seconds, timezone.utc))


def _images(found: Iterable[tuple[int, Path | bytes]]) -> Values:
    return {(step, IMAGE): sha256 for step, file in found if (sha256 := image(file))}


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
                name, value = "/".join(item.nested_key) or item.key, json.loads(item.value_json)
                if name in NAMES:
                    found[record.history.step.num, name] = value
                elif name == f"{IMAGE}/path":
                    found.update(_images([(record.history.step.num, file.parent / "files" / value)]))
            for item in record.stats.item:
                if item.key == "memory_percent":
                    at = record.stats.timestamp.seconds + record.stats.timestamp.nanos / 1e9
                    found[when(at), MEMORY] = json.loads(item.value_json)
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
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.tracking.file_store import FileStore

    for file in folder.glob("mlruns/*/*/metrics/**/*"):
        if file.is_file() and not file.read_bytes().endswith(b"\n"):  # it takes what is left of a number for the number
            file.write_bytes(file.read_bytes().rpartition(b"\n")[0] + b"\n")
    found: Values = {}
    store = FileStore(str(folder / "mlruns"))
    for file in folder.glob("mlruns/*/*/meta.yaml"):
        for name in (*NAMES, "system/system_memory_usage_percentage"):
            try:
                for each in store.get_metric_history(file.parent.name, name):
                    key = (each.step, name) if name in NAMES else (when(each.timestamp / 1000), MEMORY)
                    found[key] = each.value
            except (MlflowException, ValueError, TypeError):
                continue  # one torn line costs it the metric
        artifacts = LocalArtifactRepository(str(file.parent / "artifacts"))
        for each in artifacts.list_artifacts("images"):
            if not each.path.endswith("compressed.webp"):
                number = int(each.path.split("+step+")[1].partition("+")[0])
                found.update(_images([(number, Path(artifacts.download_artifacts(each.path)))]))
    return found


def trackio(folder: Path, _: Path | None) -> Values:
    from trackio import sqlite_storage as storage
    from trackio import utils

    storage.TRACKIO_DIR = utils.TRACKIO_DIR = folder
    media = folder / "media"
    found: Values = {}
    for row in storage.SQLiteStorage.get_logs("proj", "run"):
        found.update({(row["step"], name): row[name] for name in NAMES if name in row})
        if IMAGE in row:
            found.update(_images([(row["step"], media / row[IMAGE]["file_path"])]))
    for row in storage.SQLiteStorage.get_system_logs("proj", "run"):
        found[when(datetime.fromisoformat(str(row["timestamp"])).timestamp()), MEMORY] = row["memory/percent"]
    return found


def neptune(folder: Path, _: Path | None) -> Values:
    from neptune_scale.sync.operations_repository import OperationsRepository

    repository = OperationsRepository(next(folder.glob("*/run_operations.sqlite3")).resolve())
    sources = {each.destination: each.source_path for each in repository.get_file_upload_requests(1 << 30)}
    found: Values = {}
    last = None
    while operations := repository.get_operations(up_to_bytes=64 << 20, from_exclusive=last):
        for each in operations:
            last = each.sequence_id
            if hasattr(each.operation, "append"):
                step, values = each.operation.step.whole, each.operation.append
                found.update({(step, name): values[name].float64 for name in NAMES if name in values})
                if IMAGE in values:
                    source = Path(sources.get(values[IMAGE].file_ref.path, "none"))  # where the folder was
                    found.update(_images((step, file) for file in folder.glob(f"*/{source.name}")))
    repository.close(cleanup_files=False)
    return found


def tensorboard(folder: Path, _: Path | None) -> Values:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder / "run"), size_guidance={"scalars": 0, "tensors": 0, "images": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    numbers = {(each.step, name): each.value for name in tags["scalars"] for each in accumulator.Scalars(name)}
    images = [(each.step, each.encoded_image_string) for name in tags["images"] for each in accumulator.Images(name)]
    return {**numbers, **_images(images)}
