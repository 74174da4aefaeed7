"""Models of HUB, as the dashboard shows them. Their key, and their id in the log of changes, is `hub/ID`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from uploader.dashboard.columns import columns, evenly, main_metric, number
from uploader.dashboard.shown import (
    Action,
    CheckpointLine,
    Columns,
    Download,
    Fact,
    Picture,
    Progress,
    RunFacts,
    RunLine,
    RunNews,
    Trend,
)
from uploader.server.api import hub_messages
from uploader.server.local_platform import Platform
from uploader.server.pages import acting, model_facts
from uploader.server.pages.told import Line, Told, numbers, tags_of
from uploader.server.rules.training_state import is_final_evaluation, milliseconds
from uploader.server.storage.change_log import Change
from uploader.server.storage.hub_store import HubModel, HubWeights
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Epoch

PREFIX = "hub/"
PROJECT = "HUB"
"""The project under which lists show models of HUB, which name none."""

_TREND = 60
_ACTIONS: tuple[Action, ...] = ("rename", "tags", "note", "delete")


@dataclass(frozen=True)
class HubRuns:
    """Models of HUB; see `Kind`."""

    platform: Platform

    def id_of(self, rows: Rows, key: str) -> str | None:
        """Return the id of the model with this key, or None."""
        return key if key.startswith(PREFIX) and rows.hub.model(key.removeprefix(PREFIX)) else None

    def lines(self, rows: Rows, ids: Iterable[str] | None) -> Iterator[Line]:
        """Yield the lines of models, all of them for None; those that are not there are left out."""
        names = None if ids is None else [each.removeprefix(PREFIX) for each in ids]
        for model in rows.hub.models(-1) if names is None else filter(None, map(rows.hub.model, names)):
            reading = _Reading.of(self.platform, rows, model)
            yield Line(PREFIX + model.id, model.created_at, reading.line, reading.turns_at)

    def trend(self, rows: Rows, model: str) -> Trend | None:
        """Return how the main metric of a model went."""
        model_id = model.removeprefix(PREFIX)
        chosen = evenly(rows.shown.hub_numbers(model_id), _TREND)
        rows_of = [model_facts.metrics_of(each) for each in rows.shown.hub_epochs(model_id, chosen)]
        name = main_metric([name for row in rows_of for name in row])
        return None if name is None else Trend(name, [row.get(name) for row in rows_of])

    def whole(self, rows: Rows, model: str) -> Told:
        """Return all that a page tells of a model; HUB has no console."""
        reading = self._reading(rows, model)
        news = RunNews("", line=reading.line, facts=reading.facts(), epochs=reading.columns(reading.trained_of((), -1)))
        return reading.told(news)

    def change(self, rows: Rows, model: str, changes: Sequence[Change], beyond: int) -> Told | None:
        """Return what these changes have made new, or None if all has to be told again."""
        reading = self._reading(rows, model)
        if reading.beyond < beyond:
            return None
        told = [each.row for each in changes if each.part == "epoch"]
        news = RunNews("", line=reading.line, epochs=reading.columns(reading.trained_of(told, beyond)))
        is_more = any(each.part in ("model", "turned") for each in changes) or (told and reading.is_evaluated)
        if is_more:
            return reading.told(replace(news, facts=reading.facts()))
        return reading.told(replace(news, progress=Progress(reading.moving())))

    def pictures(self, rows: Rows, model: str) -> list[Picture]:
        """Return nothing: HUB has none."""
        return []

    def chunks_after(self, rows: Rows, model: str, chunk: Any, most: int) -> Sequence[Any]:
        """Return nothing: HUB has no console."""
        return ()

    def file(self, rows: Rows, model: str, sha256: str) -> Download | None:
        """Return what is known of weights of this content, or None."""
        found = rows.hub.weights(model.removeprefix(PREFIX)).values()
        each = next((each for each in found if each.sha256 == sha256), None)
        return Download(f"{each.kind}.pt", "application/octet-stream", each.size) if each else None

    def act(self, rows: Rows, model: str, action: Action, value: Any) -> None:
        """Do something to a model."""
        acting.act_on_hub(rows, self._reading(rows, model).model, action, value, self.platform.now())

    def _reading(self, rows: Rows, model: str) -> _Reading:
        found = rows.hub.model(model.removeprefix(PREFIX))
        assert found is not None  # the transaction in which it was looked up
        return _Reading.of(self.platform, rows, found)


@dataclass(frozen=True)
class _Reading:
    """One model, in one transaction."""

    platform: Platform
    rows: Rows
    model: HubModel
    weights: Sequence[HubWeights]
    last: Sequence[Epoch]
    line: RunLine
    turns_at: str | None

    @classmethod
    def of(cls, platform: Platform, rows: Rows, model: HubModel) -> _Reading:
        weights, last, count = (
            rows.hub.weights(model.id),
            rows.hub.last_epochs(model.id, 2),
            rows.hub.count_epochs(model.id),
        )
        state = hub_messages.status(model, weights, count, platform.now())
        line = _line(model, state, last, count - is_final_evaluation(last))
        return cls(platform, rows, model, list(weights.values()), last, line, hub_messages.turns_at(model, state))

    @property
    def is_evaluated(self) -> bool:
        return is_final_evaluation(self.last)

    @property
    def beyond(self) -> int:
        """The number of the last epoch that was trained, -1 for none."""
        trained = self.last[:-1] if self.is_evaluated else self.last
        return trained[-1].epoch if trained else -1

    def told(self, news: RunNews) -> Told:
        return Told(news, self.beyond, self.turns_at)

    def trained_of(self, numbers: Sequence[int], beyond: int) -> list[Epoch]:
        """Return the epochs of these numbers, and those beyond another one, without the final evaluation."""
        found = self.rows.shown.hub_epochs(self.model.id, numbers, beyond)
        return [each for each in found if each.epoch <= self.beyond]

    def columns(self, shown: Sequence[Epoch]) -> Columns:
        metrics = [model_facts.told_of(each) for each in shown]
        return columns([each.epoch for each in shown], [each.timestamp for each in shown], metrics)

    def moving(self) -> list[Fact]:
        """Return the facts that move while the model is trained."""
        model = self.model
        said = [
            Fact("Newest result", model.heard_at or model.updated_at, "time"),
            Fact("Last heartbeat", model.heartbeat_at, "time"),
            Fact("Last change", model.updated_at, "time"),
        ]
        return [each for each in said if each.value]

    def facts(self) -> RunFacts:
        model = self.model
        details = {"dataset": model.dataset, "lineage": model.lineage, "meta": model.meta}
        return RunFacts(
            facts=[
                Fact("Started", model.started_at or model.created_at, "time"),
                *self.moving(),
                Fact("Arrived", model.created_at, "time"),
                Fact("Id", model.id, "code"),
            ],
            description=str(model.meta.get("description") or ""),
            note=str(model.meta.get("note") or ""),
            arguments=model.config,
            environment={name: value for name, value in details.items() if value},
            checkpoints=[self._checkpoint(each) for each in self.weights],
            evaluation=model_facts.metrics_of(self.last[-1]) if self.is_evaluated else {},
            actions=_ACTIONS,
        )

    def _checkpoint(self, weights: HubWeights) -> CheckpointLine:
        query = urlencode({"key": PREFIX + self.model.id, "sha256": weights.sha256})
        return CheckpointLine(
            name=f"{weights.kind}.pt",
            size=weights.size,
            sha256=weights.sha256,
            epoch=weights.epoch,
            state="" if weights.map is None else f"mAP {weights.map:.4g}",
            saved_at=weights.saved_at,
            arrived_at=weights.arrived_at,
            download=f"/data/checkpoint?{query}" if self.platform.files.has(weights.sha256, weights.size) else None,
        )


def _line(model: HubModel, state: str, last: Sequence[Epoch], done: int) -> RunLine:
    began, heard = model.started_at or model.created_at, model.heard_at or model.updated_at
    planned = number(model.config.get("epochs"))
    return RunLine(
        key=PREFIX + model.id,
        name=str(model.meta.get("name") or model.id),
        project=PROJECT,
        state=state,
        tags=tags_of(model.meta.get("tags")),
        started_at=began,
        heard_at=heard,
        seconds=max(0.0, milliseconds(began, heard) / 1000),
        epochs_done=done,
        epochs_planned=None if planned is None else int(planned),
        metrics=numbers(last[-1].data.get("metrics")) if last else {},
        arguments=model.config,
    )
