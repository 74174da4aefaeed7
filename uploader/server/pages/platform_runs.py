"""Trainings of the platform, as the dashboard shows them; read from the store in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from uploader.dashboard.columns import columns, evenly, machine_columns, main_metric
from uploader.dashboard.other_values import MOST, values_of
from uploader.dashboard.run_source import Refused
from uploader.dashboard.shown import (
    Action,
    CheckpointLine,
    Columns,
    Download,
    Picture,
    Progress,
    RunFacts,
    RunLine,
    RunNews,
    Trend,
)
from uploader.dashboard.trainer_plots import trainer_plots
from uploader.server.local_platform import Platform
from uploader.server.pages import acting, model_facts, model_pictures
from uploader.server.pages.told import CONSOLE_CHUNKS, Line, Told
from uploader.server.rules import training_state as rules
from uploader.server.rules.uploads import weights
from uploader.server.storage.change_log import Change
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import ConsoleChunk, Epoch, Model, Overview, Run

_TREND = 60


@dataclass(frozen=True)
class PlatformRuns:
    """Trainings of the platform; see `Kind`."""

    platform: Platform

    def id_of(self, rows: Rows, key: str) -> str | None:
        """Return the id of the model with this key, or None."""
        place = key.split("/")
        model = rows.model_by_slug(*place) if len(place) == 3 else None
        return model.id if model else None

    def lines(self, rows: Rows, ids: Iterable[str] | None) -> Iterator[Line]:
        """Yield the lines of models, all of them for None; those that are not there are left out."""
        found = rows.shown.overviews() if ids is None else filter(None, map(rows.shown.overview, ids))
        for overview in found:
            line = self._line(rows, overview)
            yield Line(overview.id, overview.created_at, line, _turns_at(overview, line))

    def trend(self, rows: Rows, model: str) -> Trend | None:
        """Return how the main metric of a model went."""
        chosen = evenly(rows.shown.numbers(model), _TREND)
        rows_of = [model_facts.metrics_of(each) for each in rows.shown.epochs(model, chosen)]
        name = main_metric([name for row in rows_of for name in row])
        return None if name is None else Trend(name, [row.get(name) for row in rows_of])

    def whole(self, rows: Rows, model: str) -> Told:
        """Return all that a page tells of a model, of the console the end."""
        reading = _Reading.of(self, rows, model)
        text, is_cut = reading.end_of_console()
        epochs = rows.epochs(model)
        trained = rules.trained(epochs, reading.model.epochs)
        return reading.told(
            RunNews(
                cursor="",
                line=reading.line,
                facts=reading.facts(trained, epochs[-2:]),
                epochs=reading.columns(trained, trained),
                system=_machine(epochs),
                console=text,
                console_is_whole_tail=True,
                console_cut=is_cut,
            ),
            trained,
        )

    def change(self, rows: Rows, model: str, changes: Sequence[Change], beyond: int) -> Told | None:
        """Return what these changes have made new, or None if all has to be told again."""
        reading = _Reading.of(self, rows, model)
        parts = {each.part for each in changes}
        news = reading.console_news(
            RunNews("", line=reading.line), [each for each in changes if each.part == "console"]
        )
        if not parts & {"model", "epoch", "turned"}:
            arrived = rows.shown.arrived_at(model)
            return Told(
                replace(news, progress=Progress(model_facts.moving(reading.model, reading.runs, None, arrived))),
                beyond,
                reading.turns_at,
            )
        times = rows.shown.times(model)
        trained = rules.trained(times, reading.model.epochs)
        if (trained[-1].epoch if trained else -1) < beyond:
            return None
        return reading.told(reading.epoch_news(news, changes, times, trained, beyond), trained)

    def pictures(self, rows: Rows, model: str) -> list[Picture]:
        """Return a model's plots and images."""
        found = rows.model(model)
        told = (found.plots, found.class_names) if found else (None, None)
        return model_pictures.pictures(*told, rows.media(model, model_pictures.MOST))

    def chunks_after(self, rows: Rows, model: str, chunk: Any, most: int) -> Sequence[ConsoleChunk]:
        """Return the next pieces of a model's console."""
        return rows.shown.chunks_after(model, chunk and chunk.chunk_id, most)

    def file(self, rows: Rows, model: str, sha256: str) -> Download | None:
        """Return what is known of a checkpoint of this content, or None."""
        found = rows.shown.checkpoint(model, sha256)
        return Download(found.filename, "application/octet-stream", found.size) if found else None

    def act(self, rows: Rows, model: str, action: Action, value: Any) -> None:
        """Do something to a model."""
        found = rows.model(model)
        assert found is not None  # the transaction in which it was looked up
        if self.platform.contract == "2025" and action not in ("stop", "delete"):
            raise Refused("This server speaks the API of late 2025, in which models have no names of their own")
        acting.act(rows, found, action, value, self.platform.now())

    def _line(self, rows: Rows, overview: Overview) -> RunLine:
        last = rows.shown.last_epochs(overview.id)
        newest, total = last[-1] if last else None, rules.limit(overview.epochs, last)
        epochs = rows.shown.count_epochs(overview.id, total)
        if newest and total is not None and newest.epoch >= total and not rules.is_final_evaluation(last):
            newest = rows.shown.last_epoch_below(overview.id, total)  # an earlier training had more
        now, owner = self.platform.now(), self.platform.owner
        return model_facts.line(overview, epochs, last, newest, now=now, owner=owner)


@dataclass(frozen=True)
class _Reading:
    """One model, in one transaction."""

    platform: Platform
    rows: Rows
    model: Model
    runs: Sequence[Run]
    line: RunLine
    turns_at: str | None

    @classmethod
    def of(cls, kind: PlatformRuns, rows: Rows, model_id: str) -> _Reading:
        model, overview = rows.model(model_id), rows.shown.overview(model_id)
        assert model is not None  # the transaction in which it was looked up
        assert overview is not None
        line = kind._line(rows, overview)
        heard = replace(model, heard_at=overview.heard_at)
        return cls(kind.platform, rows, heard, rows.runs(model_id), line, _turns_at(overview, line))

    def told(self, news: RunNews, trained: Sequence[Epoch]) -> Told:
        return Told(news, trained[-1].epoch if trained else -1, self.turns_at)

    def columns(self, shown: Sequence[Epoch], trained: Sequence[Epoch]) -> Columns:
        """Return some epochs as columns; what each took is known from all that were trained."""
        found = columns(
            [each.epoch for each in shown],
            [each.timestamp for each in shown],
            [model_facts.told_of(each) for each in shown],
        )
        took = model_facts.took_of(self.model, self.runs, trained)
        arrived = [each.arrived_at for each in shown]
        return replace(found, took=[took[each.epoch] for each in shown], arrived=arrived)

    def facts(self, trained: Sequence[Epoch], last: Sequence[Epoch]) -> RunFacts:
        model, rows, formats = self.model, self.rows, [each.format for each in self.rows.exports.of(self.model.id)]
        said = model_facts.facts(model, self.runs, trained, rows.shown.arrived_at(model.id), formats)
        return model_facts.run_facts(
            model,
            said=said,
            checkpoints=self._checkpoints(),
            last=last,
            best=model_facts.best_of(model, trained),
            others=rows.shown.others(model.id, MOST),
            pictures=len(trainer_plots(model.plots)) + rows.count_media(model.id),
            can_be_edited=self.platform.contract != "2025",
        )

    def epoch_news(
        self, news: RunNews, changes: Sequence[Change], times: Sequence[Epoch], trained: Sequence[Epoch], beyond: int
    ) -> RunNews:
        """Return news with the epochs that changes have made new, and with facts if more than progress was made."""
        told = {each.row for each in changes if each.part == "epoch"}
        numbers = sorted(told | {each + 1 for each in told})  # the next one took another time
        found = self.rows.shown.epochs(self.model.id, numbers, beyond)
        counted = {each.epoch for each in trained}
        shown = [each for each in found if each.epoch in counted]
        is_more = any(each.part in ("model", "turned") for each in changes) or len(shown) < len(found)
        news = replace(news, epochs=self.columns(shown, trained), system=_machine(found))
        if is_more or any(values_of(each.epoch, each.data) for each in found):
            return replace(news, facts=self.facts(trained, times[-2:]))
        said = model_facts.moving(self.model, self.runs, trained, self.rows.shown.arrived_at(self.model.id))
        return replace(news, progress=Progress(said, model_facts.best_of(self.model, trained)))

    def console_news(self, news: RunNews, changes: Sequence[Change]) -> RunNews:
        """Return news with the text that is new: what follows, or the end again if something before it has changed."""
        if not changes:
            return news
        ids = {each.row for each in changes}
        chunks = self.rows.chunks(self.model.id, len(ids) + 1) if len(ids) <= CONSOLE_CHUNKS else []
        new, before = chunks[-len(ids) :], chunks[: -len(ids)]
        if all(each.is_new for each in changes) and {each.chunk_id for each in new} == ids and before:
            return replace(news, console="\n" + model_facts.text_of(new))
        text, is_cut = self.end_of_console()
        return replace(news, console=text, console_is_whole_tail=True, console_cut=is_cut)

    def end_of_console(self) -> tuple[str, bool]:
        """Return the end of the console, and whether there is more before it."""
        chunks = self.rows.chunks(self.model.id, CONSOLE_CHUNKS + 1)
        text = model_facts.text_of(chunks[-CONSOLE_CHUNKS:])
        end = model_facts.end_of(text)
        return end, len(chunks) > CONSOLE_CHUNKS or len(end) < len(text)

    def _checkpoints(self) -> list[CheckpointLine]:
        checkpoints = self.rows.uploads.checkpoints(self.model.id)
        chosen = weights(self.model, checkpoints)
        places = {run.id: place for place, run in enumerate(self.runs, 1)} if len(self.runs) > 1 else {}
        return [
            model_facts.checkpoint_line(
                each, places.get(each.run_id), self._download(each.sha256, each.size), is_weights=each == chosen
            )
            for each in reversed(checkpoints)
        ]

    def _download(self, sha256: str, size: int) -> str | None:
        query = urlencode({"key": self.line.key, "sha256": sha256})
        return f"/data/checkpoint?{query}" if self.platform.files.has(sha256, size) else None


def _machine(epochs: Iterable[Epoch]) -> Columns:
    return machine_columns((each.timestamp, told) for each in epochs if (told := each.data.get("system")))


def _turns_at(overview: Overview, line: RunLine) -> str | None:
    return rules.turns_at(overview, line.state)
