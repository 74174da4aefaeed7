"""How fast a backlog is delivered, compared with posting its events one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import requests

from benches import trainings
from benches.measure import Result, Setting, Table, Target, in_turn, seconds, table
from benches.servers import COUNTS, KEY, answering, delayed, local_platform

EVENTS = 5000
SAMPLE = 200
ROUNDS = 3
SESSIONS = 8
ALLOWED = 100
ONE_BY_ONE, DRAIN = "requests.post, one by one", "uploader drain"
THREADS = f"{SESSIONS} threads, each with a requests.Session"
WEBHOOK = "/api/webhooks/training/metrics"


def run(setting: Setting) -> Result:
    """Measure against servers that are near, far, and limit requests."""
    events = 10 if setting.quick else EVENTS
    with ExitStack() as stack:
        idle = stack.enter_context(answering())
        far = {delay: stack.enter_context(delayed(idle, delay)) for delay in (0.05, 0.3)}
        platform = stack.enter_context(local_platform(setting.folder / "platform"))
        near = _rates(setting, "no delay", idle, events, threads=True)
        distant = {delay: _rates(setting, f"{1000 * delay:.0f} ms of delay", url, events) for delay, url in far.items()}
        stored = _rates(setting, "to the local platform", platform, events)
        limited, refused = _limited(setting, events)
    return Result(
        (near, *distant.values(), stored, limited),
        (
            Target("drain over one by one, no delay", near.ratio(DRAIN), 1.8, at_least=True),
            Target(f"drain over {THREADS}, no delay", near.ratio(DRAIN) / near.ratio(THREADS), 0.7, at_least=True),
            Target("drain over one by one at 50 ms", distant[0.05].ratio(DRAIN), 40, at_least=True),
            Target("drain over one by one at 300 ms", distant[0.3].ratio(DRAIN), 150, at_least=True),
            Target(f"accepted of {ALLOWED} allowed a second", limited.row(DRAIN).p50 / ALLOWED, 0.9, at_least=True),
            Target("refused (429) of all that was sent there", refused, 0.1),
        ),
        (
            f"The drain is a new process that delivers {events:,} events of twelve floats and ends (start-up "
            "included), as many at once as it finds to be of use. One by one: each event on a new connection, in this "
            f"process; measured with a sample of {SAMPLE}.",
            "The delay is added by a process between the two; opening a connection is not delayed, which favours "
            "one by one: on a real network each of its events would wait for two round trips.",
            "Client, delay and server share the machine's cores. All servers but the local platform only answer.",
        ),
    )


def _rates(setting: Setting, where: str, url: str, events: int, *, threads: bool = False) -> Table:
    contenders = {
        ONE_BY_ONE: _posting(url, min(SAMPLE, events)),
        **({THREADS: _posting_in_threads(url, events)} if threads else {}),
        DRAIN: _draining(setting.folder / "journals", url, events),
    }
    return _table(f"Events per second, {where}", contenders, setting.rounds(ROUNDS))


def _limited(setting: Setting, events: int) -> tuple[Table, float]:
    """Deliver to a server that limits requests; return the rates, and the part of the requests that it refused."""
    with answering(ALLOWED) as url:
        contenders = {DRAIN: _draining(setting.folder / "journals", url, events)}
        title = f"Events per second, to a server that answers 429 beyond {ALLOWED}"
        rates = _table(title, contenders, 1)
        counts = requests.get(f"{url}{COUNTS}", timeout=60).json()
    return rates, counts["refused"] / (counts["refused"] + counts["accepted"])


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


def _posting_in_threads(url: str, events: int) -> Callable[[], list[float]]:
    """Post the same events by as many sessions as there are threads: what `requests` can do in one process."""

    def post(numbers: range) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {KEY}"
            for epoch in numbers:
                body = {"event": "epoch_end", "modelId": "bench", "data": trainings.epoch_end(epoch)}
                session.post(url + WEBHOOK, json=body, timeout=60).raise_for_status()

    def all_events() -> None:
        with ThreadPoolExecutor(SESSIONS) as pool:
            list(pool.map(post, [range(first, events, SESSIONS) for first in range(SESSIONS)]))

    return lambda: [events / seconds(all_events)]
