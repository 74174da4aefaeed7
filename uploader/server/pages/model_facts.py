"""What there is to say of a training of the platform, in the dashboard's terms. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from uploader.dashboard.columns import number, planned
from uploader.dashboard.other_values import other_values
from uploader.dashboard.shown import Action, CheckpointLine, Fact, Number, RunFacts, RunLine
from uploader.server.pages.told import numbers, tags_of
from uploader.server.rules import training_state as rules
from uploader.server.storage.store_records import Checkpoint, ConsoleChunk, Epoch, Model, Overview, Run
from uploader.slugs import readable_run

_NOT_STARTED = frozenset({"pending", "untrained"})
_ENDED = frozenset({"completed", "failed", "cancelled"})
_SILENCE = {"silent": "10 minutes", "interrupted": "a day"}
_LONGEST_CONSOLE = 200_000


def key_of(model: Model | Overview) -> str:
    """Return the key of a model's page."""
    return f"{model.owner}/{model.project}/{model.slug}"


def line(model: Overview, epochs: int, last: Sequence[Epoch], newest: Epoch | None, *, now: str, owner: str) -> RunLine:
    """Return a model's line in the list.

    Args:
        model: The model.
        epochs: How many epochs below its total there are, the final evaluation included.
        last: The last two epochs, in order.
        newest: The final evaluation, or else the last epoch below its total.
        now: Current time, ISO 8601 in UTC.
        owner: Who is not named, because most models are theirs.
    """
    total = rules.limit(model.epochs, last)
    is_counted = rules.is_final_evaluation(last) and (total is None or last[-1].epoch < total)
    done = epochs - is_counted
    state = rules.state(model, done, total, now)
    step = newest.epoch if newest and rules.is_step(newest) else None
    return RunLine(
        key=key_of(model),
        name=str(
            (model.properties or {}).get("name") or readable_run(model.slug, (model.train_args or {}).get("name"))
        ),
        project=model.project_name if model.owner == owner else f"{model.owner}/{model.project_name}",
        state=state,
        trouble=_trouble(model, state),
        tags=tags_of((model.metadata or {}).get("tags")),
        started_at=None if model.status in _NOT_STARTED else model.started_at,
        ended_at=model.completed_at,
        heard_at=rules.heard_at(model),
        seconds=None if model.status in _NOT_STARTED else rules.milliseconds_of(model) / 1000,
        epochs_done=done,
        epochs_planned=planned(model.epochs, step),
        step=step,
        metrics=numbers((model.results or {}).get("metrics")) or (metrics_of(newest) if newest else {}),
        arguments=model.train_args or {},
    )


def facts(
    model: Model, runs: Sequence[Run], trained: Sequence[Epoch], arrived_at: str, formats: Iterable[str]
) -> list[Fact]:
    """Return what a page says of a model.

    Args:
        model: The model.
        runs: Its trainings.
        trained: The epochs that were trained, in order.
        arrived_at: When the newest thing known of it arrived.
        formats: Those into which it is to be converted.
    """
    starts = _starts(model, runs)
    properties, info = model.properties or {}, model.model_info or {}
    said = [
        Fact("Started", starts[0], "time"),
        *(Fact("Resumed", each, "time") for each in starts[1:]),
        Fact("Ended", model.completed_at, "time"),
        *_durations(model, runs, trained),
        Fact("Arrived", model.created_at, "time"),
        _newest(arrived_at),
        Fact("Device", model.device),
        Fact("Licence", properties.get("license")),
        Fact("Conversions ordered", ", ".join(dict.fromkeys(formats))),
        Fact("Dataset", properties.get("datasetSlug")),
        Fact("Parameters", _in_full(info.get("parameters"))),
        Fact("GFLOPs", number(info.get("gflops"))),
        Fact("Address", key_of(model), "code"),
    ]
    return [each for each in said if each.value not in (None, "")]


def moving(model: Model, runs: Sequence[Run], trained: Sequence[Epoch] | None, arrived_at: str) -> list[Fact]:
    """Return those of them that move while it is trained; what epochs say only if these are given."""
    return [*_durations(model, runs, trained or ()), _newest(arrived_at)]


def took_of(model: Model, runs: Sequence[Run], trained: Sequence[Epoch]) -> dict[int, float | None]:
    """Return how many milliseconds each epoch took, by its number."""
    return rules.milliseconds_of_epochs(trained, [each.started_at for each in runs] or [model.started_at])


def run_facts(
    model: Model,
    *,
    said: Sequence[Fact],
    checkpoints: Sequence[CheckpointLine],
    last: Sequence[Epoch],
    best: int | None,
    others: Sequence[Epoch],
    pictures: int,
    can_be_edited: bool,
) -> RunFacts:
    """Return all facts of a model from their parts.

    Args:
        model: The model.
        said: What `facts` returned, and what else there is.
        checkpoints: Its checkpoints.
        last: Its last two epochs, in order.
        best: Its best epoch.
        others: Epochs that may have told what is no finite number, the newest first.
        pictures: How many plots and images it has.
        can_be_edited: Whether this server speaks an API that knows names, tags and the like.
    """
    metadata = model.metadata or {}
    return RunFacts(
        facts=said,
        description=str((model.properties or {}).get("description") or ""),
        note=str(metadata.get("note") or ""),
        arguments=model.train_args or {},
        environment=model.environment or {},
        results=model.results or {},
        checkpoints=checkpoints,
        best=best,
        evaluation=metrics_of(last[-1]) if rules.is_final_evaluation(last) else {},
        others=other_values((each.epoch, each.data) for each in others),
        pictures=pictures,
        actions=_actions(model, can_be_edited=can_be_edited),
    )


def best_of(model: Model, epochs: Iterable[Epoch]) -> int | None:
    """Return the best epoch: the one that the training's end names, else the one of the highest fitness."""
    named = (model.results or {}).get("bestEpoch")
    if isinstance(named, int):
        return named
    rated = [each for each in epochs if isinstance(each.data.get("fitness"), (int, float))]
    best = max(rated, key=lambda each: float(each.data["fitness"]), default=None)
    return best.epoch if best else None


def checkpoint_line(
    checkpoint: Checkpoint, run: int | None, download: str | None, *, is_weights: bool
) -> CheckpointLine:
    """Return a line of the checkpoints.

    Args:
        checkpoint: The checkpoint.
        run: Which training of the model saved it, counted from 1; None where there was only one.
        download: Where its bytes are, or None.
        is_weights: Whether it is what the API hands out as the model.
    """
    return CheckpointLine(
        name=checkpoint.filename,
        size=checkpoint.size,
        sha256=checkpoint.sha256,
        state=", ".join([*(["weights"] if is_weights else []), *([] if run is None else [f"training {run}"])]),
        saved_at=checkpoint.saved_at,
        arrived_at=checkpoint.arrived_at,
        download=download,
    )


def metrics_of(epoch: Epoch) -> dict[str, Number]:
    """Return the finite numbers among an epoch's metrics."""
    return numbers(epoch.data.get("metrics"))


def told_of(epoch: Epoch) -> Mapping[str, Any]:
    """Return all that an epoch tells as metrics."""
    told = epoch.data.get("metrics")
    return told if isinstance(told, Mapping) else {}


def text_of(chunks: Iterable[ConsoleChunk]) -> str:
    """Return pieces of a console as text, as it was printed; pages show what a terminal would."""
    return "\n".join(str(each.data.get("content", "")) for each in chunks)


def end_of(text: str) -> str:
    """Return as much of the end of a text as a page takes."""
    return text[-_LONGEST_CONSOLE:]


def _durations(model: Model, runs: Sequence[Run], trained: Sequence[Epoch]) -> list[Fact]:
    took = took_of(model, runs, trained)
    known = [each for each in took.values() if each is not None]
    is_resumed = len(_starts(model, runs)) > 1
    return [
        *([] if model.completed_at else [Fact("Last heard of", rules.heard_at(model), "time")]),
        Fact("Took since it was resumed" if is_resumed else "Took", rules.milliseconds_of(model), "milliseconds"),
        *([Fact("An epoch took", sum(known) / len(known), "milliseconds")] if known else []),
    ]


def _newest(arrived_at: str) -> Fact:
    return Fact("Newest arrived", arrived_at, "time")


def _starts(model: Model, runs: Sequence[Run]) -> list[str]:
    return sorted({each.started_at for each in runs} or {model.started_at})


def _trouble(model: Overview, state: rules.State) -> str | None:
    if model.error:
        return str(model.error.get("message", ""))
    silence = _SILENCE.get(state)
    return silence and f"It has not ended, and nothing was heard of it for more than {silence}"


def _actions(model: Model, *, can_be_edited: bool) -> list[Action]:
    stop: list[Action] = [] if model.status in _ENDED else ["stop"]
    edit: list[Action] = ["rename", "tags", "note"] if can_be_edited else []
    return [*stop, *edit, "delete"]


def _in_full(value: Any) -> str | None:
    """Return a number with all of its digits."""
    told = number(value)
    return None if told is None else f"{told:,}"
