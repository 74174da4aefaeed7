"""How fast a backlog is delivered, compared with posting its events one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import requests

from benches import trainings
from benches.measure import Result, Setting, Table, Target, in_turn, seconds, table
from benches.servers import KEY, answering, delayed, local_platform

EVENTS = 5000
SAMPLE = 200
DELAY = 0.05
ROUNDS = 3
ONE_BY_ONE, DRAIN = "requests.post, one by one", "uploader drain"
WEBHOOK = "/api/webhooks/training/metrics"


def run(setting: Setting) -> Result:
    """Measure without delay and with 50 ms, against the local platform, and what the servers themselves can handle."""
    events = 50 if setting.quick else EVENTS
    with ExitStack() as stack:
        near = stack.enter_context(local_platform(setting.folder / "platform"))
        far = stack.enter_context(delayed(near, DELAY))
        idle = stack.enter_context(answering())
        direct = _rates(setting, "Events per second, no delay", near, events)
        distant = _rates(setting, f"Events per second, {DELAY * 1000:.0f} ms of delay", far, events)
        ceiling = _ceiling(setting, {"to the local platform": near, "to a server that only answers": idle}, events)
    return Result(
        (direct, distant, ceiling),
        (Target("drain over one by one at 50 ms", distant.ratio(DRAIN), 10, at_least=True),),
        (
            f"The drain is a new process that delivers {events:,} events of twelve floats and ends (start-up "
            "included), sixteen at once (the default). One by one: each event on a new connection, in this process; "
            f"measured with a sample of {SAMPLE}.",
            "The delay is added by a process between the two; opening a connection is not delayed, which favours "
            "one by one: on a real network each of its events would wait for two round trips.",
            "Client, delay and server share the machine's cores. The last table shows the drain against a server that "
            "does nothing but answer; the difference is the local platform's work.",
        ),
    )


def _rates(setting: Setting, title: str, url: str, events: int) -> Table:
    contenders = {
        ONE_BY_ONE: _posting(url, min(SAMPLE, events)),
        DRAIN: _draining(setting.folder / "journals", url, events),
    }
    return _table(title, contenders, setting.rounds(ROUNDS))


def _ceiling(setting: Setting, urls: Mapping[str, str], events: int) -> Table:
    contenders = {name: _draining(setting.folder / "journals", url, events) for name, url in urls.items()}
    return _table("Events per second of a drain, no delay", contenders, setting.rounds(ROUNDS))


def _table(title: str, contenders: Mapping[str, Callable[[], list[float]]], rounds: int) -> Table:
    return table(title, "1/s", in_turn(contenders, rounds), more_is_better=True)


_names = count()


def _draining(folder: Path, url: str, events: int) -> Callable[[], list[float]]:
    def once() -> list[float]:
        made = trainings.record(folder / str(next(_names)), events)
        return [events / seconds(lambda: trainings.drain(made, url))]

    return once


def _posting(url: str, events: int) -> Callable[[], list[float]]:
    def post(body: object) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = requests.post(url + WEBHOOK, json=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return dict(answer.json())

    def once() -> list[float]:
        run = {"event": "training_started", "project": "bench", "name": f"posted-{next(_names)}"}
        model = post({**run, "data": {"trainArgs": {}, "epochs": events, "device": "cpu", "environment": {}}})[
            "modelId"
        ]

        def all_events() -> None:
            for epoch in range(events):
                post({"event": "epoch_end", "modelId": model, "data": trainings.epoch_end(epoch)})

        return [events / seconds(all_events)]

    return once
