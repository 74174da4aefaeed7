"""Models as clients read them, with the SDK's field names (`ultralytics_platform.types`). Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from uploader.server.rules import training_state
from uploader.server.rules.uploads import weights
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Checkpoint, ConsoleChunk, Epoch, Model, Run

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
    runs: list[Run]

    @classmethod
    def of(cls, rows: Rows, model: Model, newest_chunks: int = -1) -> ModelSnapshot:
        """Read a model. `newest_chunks` limits how much of its console is read, which may be long; -1 reads all."""
        return cls(
            model=replace(model, heard_at=rows.heard_at(model)),
            epochs=rows.epochs(model.id),
            chunks=rows.chunks(model.id, newest_chunks),
            checkpoints=rows.uploads.checkpoints(model.id),
            runs=rows.runs(model.id),
        )

    @property
    def updated_at(self) -> str:
        """When the last change arrived, ISO 8601."""
        arrived = [each.arrived_at for part in (self.epochs, self.chunks, self.checkpoints) for each in part]
        return max([self.model.updated_at, *arrived])

    @property
    def trained(self) -> list[Epoch]:
        """The epochs that were trained."""
        return training_state.trained(self.epochs, self.model.epochs)

    @property
    def took(self) -> dict[int, float | None]:
        """How many milliseconds each of them took, by its number."""
        return training_state.milliseconds_of_epochs(self.trained, [each.started_at for each in self.runs])

    def state(self, now: str) -> training_state.State:
        """Return the state that a person is told."""
        return training_state.state(
            self.model, len(self.trained), training_state.limit(self.model.epochs, self.epochs), now
        )

    @property
    def weights(self) -> Checkpoint | None:
        """The checkpoint that is offered as the model's weights."""
        return weights(self.model, self.checkpoints)


def summary(snapshot: ModelSnapshot, now: str) -> dict[str, Any]:
    """Return a model as it appears in lists: everything except its plots. Fields without a value are omitted.

    `startedAt`, `completedAt` and the times of epochs, text and checkpoints are when things happened; `createdAt` and
    `updatedAt`, when they arrived.
    """
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
        "state": snapshot.state(now),
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
        "runIds": [each.id for each in snapshot.runs],
        "consoleChunks": [_chunk(each) for each in snapshot.chunks],
        "createdAt": model.created_at,
        "updatedAt": snapshot.updated_at,
    }
    return {name: value for name, value in fields.items() if value is not None}


def is_starred(model: Model) -> bool:
    """Return whether the owner, the only user here, has starred a model."""
    return bool((model.properties or {}).get("starred"))


def detail(snapshot: ModelSnapshot, now: str) -> dict[str, Any]:
    """Return a single model, with its plots.

    `arrivedAt` says that its other times are those that clients tell, as far as they lie before it at least.
    """
    model = snapshot.model
    shown = {**summary(snapshot, now), "plots": model.plots or [], "metadata": model.metadata or {}}
    return {**shown, "arrivedAt": model.created_at}


def job(snapshot: ModelSnapshot, now: str) -> dict[str, Any]:
    """Return the progress of a model's training. Durations are in milliseconds."""
    model = snapshot.model
    done, state, took = len(snapshot.trained), snapshot.state(now), snapshot.took
    total = model.epochs or done
    known = [each for each in took.values() if each is not None]
    per_epoch = sum(known) / len(known) if known else 0.0
    reached = {
        "currentEpoch": done,
        "totalEpochs": total,
        "startedAt": model.started_at,
        "completedAt": model.completed_at,
        "percentage": 100.0 * done / total if total else 0.0,
    }
    return {
        "id": model.id,
        "status": model.status,
        "state": state,
        "progress": {name: value for name, value in reached.items() if value is not None},
        "timing": {
            "elapsedMs": training_state.milliseconds_of(model),
            "timePerEpochMs": per_epoch,
            "etaMs": per_epoch * (total - done) if state == "running" else 0.0,
            "heardAt": training_state.heard_at(model),
            "arrivedAt": model.created_at,
            "runs": [_run(each) for each in snapshot.runs],
            "epochs": [_times(each, took) for each in snapshot.trained],
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


def _run(run: Run) -> dict[str, Any]:
    return {"id": run.id, "startedAt": run.started_at, "arrivedAt": run.arrived_at}


def _times(epoch: Epoch, took: Mapping[int, float | None]) -> dict[str, Any]:
    times = {"epoch": epoch.epoch, "endedAt": epoch.timestamp, "arrivedAt": epoch.arrived_at}
    return {**times, "durationMs": took[epoch.epoch]}


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
    return model.error and {**model.error, "timestamp": model.completed_at or model.updated_at}


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
