"""Models as clients read them, with the SDK's field names (`ultralytics_platform.types`). Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uploader.server.rules.uploads import weights
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Checkpoint, ConsoleChunk, Epoch, Model
from uploader.server.times import from_text

REGION = "us"
"""The SDK accepts us, eu and ap; for this server the value means nothing."""

_NOT_STARTED = frozenset({"pending", "untrained"})


@dataclass(frozen=True)
class ModelSnapshot:
    """A model with everything reported for it, read in one transaction."""

    model: Model
    epochs: list[Epoch]
    chunks: list[ConsoleChunk]
    checkpoints: list[Checkpoint]
    run_ids: list[int]

    @classmethod
    def of(cls, rows: Rows, model: Model, newest_chunks: int = -1) -> ModelSnapshot:
        """Read a model. `newest_chunks` limits how much of its console is read, which may be long; -1 reads all."""
        return cls(
            model=model,
            epochs=rows.epochs(model.id),
            chunks=rows.chunks(model.id, newest_chunks),
            checkpoints=rows.uploads.checkpoints(model.id),
            run_ids=rows.run_ids(model.id),
        )

    @property
    def updated_at(self) -> str:
        """Time of the last change, ISO 8601."""
        epochs = [each.timestamp for each in self.epochs]
        chunks = [each.timestamp for each in self.chunks]
        return max([self.model.updated_at, *epochs, *chunks, *(each.saved_at for each in self.checkpoints)])

    @property
    def epochs_done(self) -> int:
        """Number of epochs that have arrived, without those beyond the total (earlier trainings may have more)."""
        total = self.model.epochs
        return sum(total is None or each.epoch < total for each in self.epochs)

    @property
    def weights(self) -> Checkpoint | None:
        """The checkpoint that is offered as the model's weights."""
        return weights(self.model, self.checkpoints)


def summary(snapshot: ModelSnapshot) -> dict[str, Any]:
    """Return a model as it appears in lists: everything except its plots. Fields without a value are omitted."""
    model, file = snapshot.model, snapshot.weights
    properties = model.properties or {}
    fields = {
        "id": model.id,
        "owner": model.owner,
        "project": model.project,
        "projectName": model.project_name,
        "model": model.slug,
        "name": properties.get("name", model.name),
        **{name: properties.get(name) for name in ("description", "license", "color", "version", "docs")},
        "visibility": "private",
        "status": model.status,
        "task": properties.get("task") or (model.train_args or {}).get("task"),
        "epochs": model.epochs,
        **_best(snapshot),
        "trainArgs": model.train_args,
        "metrics": _metrics(snapshot),
        "trainResults": [_result(each) for each in snapshot.epochs],
        "hasWeights": file is not None,
        "file": file and {"size": file.size, "sha256": file.sha256, "name": file.filename},
        "checkpoints": [_checkpoint(each) for each in snapshot.checkpoints],
        "startedAt": None if model.status in _NOT_STARTED else model.started_at,
        "completedAt": model.completed_at,
        "classNames": model.class_names,
        "trainingError": _error(model),
        "starCount": int(is_starred(model)),
        "isStarred": is_starred(model),
        "environment": model.environment,
        "modelInfo": model.model_info,
        "device": model.device,
        "system": model.system,
        "progress": model.progress,
        "results": model.results,
        "runIds": sorted(snapshot.run_ids),
        "consoleChunks": [_chunk(each) for each in snapshot.chunks],
        "createdAt": model.created_at,
        "updatedAt": snapshot.updated_at,
    }
    return {name: value for name, value in fields.items() if value is not None}


def is_starred(model: Model) -> bool:
    """Return whether the owner, the only user here, has starred a model."""
    return bool((model.properties or {}).get("starred"))


def detail(snapshot: ModelSnapshot) -> dict[str, Any]:
    """Return a single model, with its plots."""
    return {**summary(snapshot), "plots": snapshot.model.plots or [], "metadata": snapshot.model.metadata or {}}


def job(snapshot: ModelSnapshot, now: str) -> dict[str, Any]:
    """Return the progress of a model's training. Durations are in milliseconds."""
    model = snapshot.model
    done = snapshot.epochs_done
    total = model.epochs or done
    elapsed = _milliseconds(model.started_at, model.completed_at or now)
    per_epoch = elapsed / done if done else 0.0
    progress = {
        "currentEpoch": done,
        "totalEpochs": total,
        "startedAt": model.started_at,
        "completedAt": model.completed_at,
        "percentage": 100.0 * done / total if total else 0.0,
    }
    return {
        "id": model.id,
        "status": model.status,
        "progress": {name: value for name, value in progress.items() if value is not None},
        "timing": {
            "elapsedMs": elapsed,
            "timePerEpochMs": per_epoch,
            "etaMs": per_epoch * (total - done) if model.status == "running" else 0.0,
        },
        "compute": None,
        "trainArgs": _main_arguments(model.train_args),
        "epochMetrics": snapshot.epochs[-1].data.get("metrics") if snapshot.epochs else None,
        "error": _error(model),
        "createdAt": model.created_at,
        "updatedAt": snapshot.updated_at,
    }


def _result(epoch: Epoch) -> dict[str, Any]:
    return {**epoch.data, "timestamp": epoch.timestamp}


def _chunk(chunk: ConsoleChunk) -> dict[str, Any]:
    return {**chunk.data, "chunkId": chunk.chunk_id, "timestamp": chunk.timestamp}


def _checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "runId": checkpoint.run_id,
        "name": checkpoint.filename,
        "path": checkpoint.path,
        "size": checkpoint.size,
        "sha256": checkpoint.sha256,
        "savedAt": checkpoint.saved_at,
    }


def _error(model: Model) -> dict[str, Any] | None:
    return model.error and {**model.error, "timestamp": model.completed_at}


def _best(snapshot: ModelSnapshot) -> dict[str, Any]:
    if snapshot.model.results and "bestEpoch" in snapshot.model.results:
        return {name: snapshot.model.results.get(name) for name in ("bestEpoch", "bestFitness")}
    rated = [each for each in snapshot.epochs if isinstance(each.data.get("fitness"), (int, float))]
    best = max(rated, key=lambda each: each.data["fitness"], default=None)
    return {"bestEpoch": best and best.epoch, "bestFitness": best and best.data["fitness"]}


def _metrics(snapshot: ModelSnapshot) -> dict[str, Any] | None:
    if snapshot.model.results and isinstance(snapshot.model.results.get("metrics"), dict):
        metrics: dict[str, Any] = snapshot.model.results["metrics"]
        return metrics
    return snapshot.epochs[-1].data.get("metrics") if snapshot.epochs else None


def _main_arguments(train_args: dict[str, Any] | None) -> dict[str, Any] | None:
    if not train_args:
        return None
    main = {"model": train_args.get("model")}
    for name in ("epochs", "batch", "imgsz"):
        main[name] = _number(train_args.get(name))
    return {name: value for name, value in main.items() if value is not None}


def _number(value: Any) -> float | None:
    # Trainers send every argument as a string; a list of sizes is not a number.
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _milliseconds(start: str, end: str) -> float:
    return (from_text(end) - from_text(start)).total_seconds() * 1000
