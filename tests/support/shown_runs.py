"""Runs that nobody trained, for what only shows runs: a source of a dashboard that keeps them in memory.

`python tests/support/shown_runs.py [RUNS [EPOCHS]]` shows them at http://127.0.0.1:8799/; Enter trains the newest.
"""

from __future__ import annotations

import asyncio
import math
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from uploader.dashboard.kept_news import curves_of_news, news_of_runs
from uploader.dashboard.run_source import Refused, SourceUnavailable, UnknownRun
from uploader.dashboard.shown import (
    Action,
    CheckpointLine,
    Columns,
    DeliveryLine,
    DestinationLine,
    Download,
    Fact,
    Number,
    Picture,
    Progress,
    RunFacts,
    RunLine,
    RunList,
    RunNews,
    Trend,
    ValueLine,
)

_BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc)
_METRICS = ("metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)")
_LOSSES = ("train/box_loss", "train/cls_loss", "train/dfl_loss", "val/box_loss", "val/cls_loss", "val/dfl_loss")


@lru_cache(maxsize=200_000)
def values_of(run: int, epoch: int) -> dict[str, Number]:
    """What an epoch of a run measured: the same each time, different for each run."""
    rise = 1 - math.exp(-(epoch + 1) * (0.02 + 0.002 * (run % 17)))
    wave = 0.02 * math.sin(epoch * 0.7 + run)
    told: dict[str, Number] = {name: round(rise * (0.95 - 0.1 * n) + wave, 5) for n, name in enumerate(_METRICS)}
    told |= {name: round((2.5 + 0.1 * n) * (1.05 - rise) + wave, 5) for n, name in enumerate(_LOSSES)}
    return {**told, "lr": round(0.01 * (1 - epoch / 3000), 6)}


class ShownRuns:
    """A source of runs in memory.

    `train` adds an epoch to one, `tell` anything else, `remove` takes one away, and `begin_anew` lets it forget what it
    has told. While `trouble` says something, nothing can be read.
    """

    def __init__(self, runs: int = 3, epochs: int = 20, more: Sequence[str] = ()) -> None:
        self.title = "made up"
        self._more = more  # names of further metrics
        self.trouble = ""
        self._lock = threading.Lock()
        self._change = 0
        self._start = 0
        self._epochs = {f"local/demo/run-{number}": epochs for number in range(runs)}
        self._changed = dict.fromkeys(self._epochs, 0)
        self._removed: dict[str, int] = {}
        self._lines = {key: self._line(key, number) for number, key in enumerate(self._epochs)}
        self.done: list[tuple[str, Action, Any]] = []

    def train(self, key: str) -> None:
        """A run has trained another epoch."""
        with self._lock:
            self._change += 1
            self._epochs[key] += 1
            self._changed[key] = self._change
            self._lines[key] = self._line(key, int(key.rpartition("-")[2]))

    def tell(self, key: str, **changes: Any) -> None:
        """Something else of a run is new: fields of its line. A run that is not there begins."""
        with self._lock:
            self._change += 1
            self._changed[key] = self._change
            self._epochs.setdefault(key, 0)
            known = self._lines.get(key) or RunLine(key, key.rpartition("/")[2], None, "running")
            self._lines[key] = replace(known, **changes)

    def remove(self, key: str) -> None:
        """A run is deleted."""
        with self._lock:
            self._change += 1
            self._removed[key] = self._change
            del self._lines[key], self._changed[key]

    def begin_anew(self) -> None:
        """The source has begun anew, and does not know its cursors any more."""
        with self._lock:
            self._start += 1

    def has(self, key: str) -> bool:
        self._check()
        return key in self._lines

    def runs(self, since: str | None = None) -> RunList:
        self._check()
        with self._lock:
            start, _, known = (since or "-1 -1").partition(" ")
            is_known = int(start) == self._start
            lines = [line for key, line in self._lines.items() if not is_known or self._changed[key] > int(known)]
            is_whole = since is not None and not is_known
            gone = [key for key, change in self._removed.items() if is_known and change > int(known)]
            return RunList(f"{self._start} {self._change}", lines[::-1], gone, is_whole)

    def trends(self, keys: Sequence[str]) -> Mapping[str, Trend]:
        self._check()
        with self._lock:  # a run may be removed while it is asked for
            known = [(key, self._epochs[key], self._number(key)) for key in keys if key in self._lines]
        found = {}
        for key, epochs, run in known:
            values = [values_of(run, epoch)[_METRICS[3]] for epoch in range(0, epochs, max(1, epochs // 40))]
            found[key] = Trend(_METRICS[3], values)
        return found

    def news(self, key: str, since: str | None = None) -> RunNews:
        with self._lock:
            self._require(key)
            start, known, reached = map(int, (since or "-1 0 0").split(" "))
            is_known = start == self._start
            if since is not None and is_known and known >= self._changed[key]:
                return RunNews(since)
            new = range(reached if is_known else 0, self._epochs[key])
            is_whole = since is not None and not is_known
            return RunNews(
                cursor=f"{self._start} {self._change} {self._epochs[key]}",
                line=self._lines[key],
                facts=None if is_known else self._facts(key),
                progress=Progress([self._took(key)], self._best(key)) if is_known else None,
                epochs=self._columns(key, new),
                system=_system(new),
                console="".join(f"epoch {each + 1}: loss {values_of(0, each)['train/box_loss']}\n" for each in new),
                console_is_whole_tail=is_whole,
                is_whole=is_whole,
            )

    def curves(self, keys: Sequence[str], known: Mapping[str, RunNews]) -> Mapping[str, RunNews]:
        return curves_of_news(self, keys, known)

    def curve_news(self, since: Mapping[str, str]) -> Mapping[str, RunNews]:
        return news_of_runs(self, since)

    def pictures(self, key: str) -> Sequence[Picture]:
        self._require(key)
        axis = [n / 100 for n in range(101)]
        falling = [[1 - x**power for x in axis] for power in (4, 6)]
        curve = {"x": axis, "y": falling, "ap": [0.8, 0.857], "names": ["cat", "dog"], "type": "pr_curve"}
        matrix = {"type": "confusion_matrix", "matrix": [[9, 1, 2], [0, 7, 1], [3, 0, 0]], "names": ["cat", "dog"]}
        dot = "data:image/gif;base64,R0lGODlhAQABAIAAAP8AAP8AACwAAAAAAQABAAACAkQBADs="
        return [
            Picture("pr_curve", plot=curve),
            Picture("confusion_matrix", plot=matrix),
            Picture("loss by place", 3, {"x": [0, 1, 2], "y": {"left": [1, 2, 1], "right": [2, 1, 3]}}),
            Picture("sample", 3, image=dot),
        ]

    def console(self, key: str) -> Iterator[str]:
        self._require(key)
        return (f"epoch {epoch + 1}\n" for epoch in range(self._epochs[key]))

    def checkpoint(self, key: str, sha256: str) -> tuple[Download, Iterator[bytes]]:
        self._require(key)
        return Download("best.pt", "application/octet-stream", 4), iter([b"\0" * 4])

    def archive(self, key: str) -> tuple[Download, Iterator[bytes]]:
        self._require(key)
        return Download("run.zip", "application/zip"), iter([b"PK\5\6" + bytes(18)])

    def act(self, key: str, action: Action, value: Any = None) -> None:
        self._require(key)
        if action == "rename" and not value:
            raise Refused("A name has at least one letter")
        self.done.append((key, action, value))

    def _check(self) -> None:
        if self.trouble:
            raise SourceUnavailable(self.trouble)

    def _require(self, key: str) -> None:
        self._check()
        if key not in self._lines:
            raise UnknownRun(f"no run {key}")

    def _number(self, key: str) -> int:
        return list(self._lines).index(key)

    def _line(self, key: str, number: int) -> RunLine:
        done, began = self._epochs[key], _BEGIN + timedelta(hours=number)
        state = "running" if number == len(self._epochs) - 1 else ("failed" if number % 11 == 5 else "completed")
        return RunLine(
            key=key,
            name=f"run-{number}",
            project="demo",
            state=state,
            trouble="CUDA out of memory" if state == "failed" else None,
            tags=["night"] if number % 3 == 0 else [],
            started_at=began.isoformat(),
            ended_at=None if state == "running" else (began + timedelta(seconds=10 * done)).isoformat(),
            heard_at=(began + timedelta(seconds=10 * done)).isoformat(),
            seconds=10.0 * done,
            epochs_done=done,
            epochs_planned=max(done, 100),
            metrics=values_of(number, done - 1) if done else {},
            arguments={"model": "yolo11n.yaml", "lr0": 0.01 * (1 + number % 5), "batch": 16, "imgsz": 640},
        )

    def _facts(self, key: str) -> RunFacts:
        line = self._lines[key]
        return RunFacts(
            facts=[Fact("Started", line.started_at, "time"), self._took(key), Fact("Device", "NVIDIA H200")],
            description="Detects cats and dogs.",
            note="",
            arguments=line.arguments,
            environment={
                "os": "Linux",
                "pythonVersion": "3.11.7",
                "git": {"branch": "main"},
                "uploaderRun": key,
                "uploaderSession": {"uuid": key, "generation": 1},
            },
            results={"metrics": dict(line.metrics)},
            checkpoints=[CheckpointLine("best.pt", 5_400_000, "ab" * 32, line.epochs_done - 1, "final", line.ended_at)],
            destinations=[DestinationLine("https://platform.example", "arriving", 40, 2, "https://platform.example/m")],
            deliveries=[DeliveryLine("epoch 20", "https://platform.example", "waiting", "the server answered 503")],
            best=self._best(key),
            evaluation=values_of(0, 0),
            others=[ValueLine(1, "optimizer", "AdamW"), ValueLine(0, "val/box_loss", "NaN")],
            pictures=4,
            actions=["stop", "rename", "tags", "note", "delete"],
        )

    def _took(self, key: str) -> Fact:
        return Fact("Took", 10_000 * self._epochs[key], "milliseconds")

    def _best(self, key: str) -> int:
        return max(0, self._epochs[key] - 3)

    def _columns(self, key: str, epochs: Sequence[int]) -> Columns:
        run = self._number(key)
        rows = [values_of(run, epoch) for epoch in epochs]
        times = [(_BEGIN + timedelta(seconds=10 * epoch)).isoformat() for epoch in epochs]
        values = {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}
        values |= {name: [*epochs] for name in self._more}
        return Columns(list(epochs), times, values, [10_000] * len(times), times)


def _system(moments: Sequence[int]) -> Columns:
    begin = _BEGIN.timestamp()
    values = {"cpu": [50 + 20 * math.sin(n) for n in moments], "ram": [40 + n % 7 for n in moments]}
    return Columns([begin + 10 * n for n in moments], (), values)


@contextmanager
def shown(source: Any, port: int = 0) -> Iterator[str]:
    """Serve a dashboard on loopback, and yield its address."""
    import uvicorn
    from starlette.applications import Starlette

    from uploader.dashboard import data_routes, page_routes
    from uploader.dashboard.dashboard import Dashboard

    app = Starlette(routes=[*page_routes.routes, *data_routes.routes])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(100)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
        app.state.dashboard = Dashboard(source, is_ending=lambda: server.should_exit)
        thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listener]),))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:3]]
    runs = ShownRuns(*numbers) if numbers else ShownRuns()
    with shown(runs, 8799) as address:
        print(address, flush=True)
        for _ in sys.stdin:
            runs.train(runs.runs().runs[0].key)
