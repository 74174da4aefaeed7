"""Differences planted behind a local platform's back, each of which a verification has to find."""

from __future__ import annotations

import hashlib
import json
import random
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

Plant = Callable[["Store", random.Random], bool]


@dataclass(frozen=True)
class Store:
    """One model of a local platform, by its database and its folder of files."""

    database: sqlite3.Connection
    data: Path
    model: str

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        return self.database.execute(query, {"model": self.model}).fetchall()

    def run(self, statement: str, **values: Any) -> bool:
        return self.database.execute(statement, {"model": self.model, **values}).rowcount > 0

    def copy_last(self, table: str, key: str, further: int) -> bool:
        """Insert a copy of the model's last row of a table, under a further key."""
        columns = [name for _, name, *_ in self.database.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(f"{key} + {further}" if name == key else name for name in columns)
        last = f"SELECT max({key}) FROM {table} WHERE model_id = :model"
        where = f"WHERE model_id = :model AND {key} = ({last})"
        return self.run(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} {where}")

    def json(self, column: str) -> Any:
        [(text,)] = self.rows(f"SELECT {column} FROM models WHERE id = :model")
        return json.loads(text) if text else None

    def put(self, column: str, value: Any) -> bool:
        return self.run(f"UPDATE models SET {column} = :value WHERE id = :model", value=json.dumps(value))


def plant(data: Path, model: str, name: str, seed: int) -> bool:
    """Plant one difference, or take the epoch `epoch N is lost`; return False where nothing could differ so."""
    with closing(sqlite3.connect(data / "platform.db", timeout=30)) as database:
        database.execute("PRAGMA foreign_keys=ON")
        one = re.fullmatch(r"epoch (\d+) is lost", name)
        found = partial(_lost_one, int(one[1])) if one else PLANTS[name]
        done = found(Store(database, data, model), random.Random(seed))
        database.commit()
    return done


def _lost_one(epoch: int, store: Store, chance: random.Random) -> bool:
    return store.run("DELETE FROM epochs WHERE model_id = :model AND epoch = :epoch", epoch=epoch)


def _lost_epoch(store: Store, chance: random.Random) -> bool:
    return _delete(store, chance, "epochs", "epoch")


def _lost_console(store: Store, chance: random.Random) -> bool:
    return _delete(store, chance, "console", "chunk_id")


def _delete(store: Store, chance: random.Random, table: str, key: str) -> bool:
    keys = [one for (one,) in store.rows(f"SELECT {key} FROM {table} WHERE model_id = :model")]
    return bool(keys) and store.run(
        f"DELETE FROM {table} WHERE model_id = :model AND {key} = :key", key=chance.choice(keys)
    )


def _in_epoch(change: Callable[[dict[str, Any], random.Random], None]) -> Plant:
    def plant(store: Store, chance: random.Random) -> bool:
        found = store.rows(
            "SELECT epoch, data FROM epochs WHERE model_id = :model AND json_array_length(json_array(data))"
        )
        found = [(epoch, text) for epoch, text in found if json.loads(text).get("metrics")]
        if not found:
            return False
        epoch, text = chance.choice(found)
        data = json.loads(text)
        change(data["metrics"], chance)
        statement = "UPDATE epochs SET data = :data WHERE model_id = :model AND epoch = :epoch"
        return store.run(statement, data=json.dumps(data), epoch=epoch)

    return plant


def _changed(metrics: dict[str, Any], chance: random.Random) -> None:
    name = chance.choice(sorted(metrics))
    metrics[name] = (metrics[name] or 0.0) + chance.choice([1e-9, -1.0, 1e6])


def _removed(metrics: dict[str, Any], chance: random.Random) -> None:
    del metrics[chance.choice(sorted(name for name, value in metrics.items() if value is not None))]


def _added(metrics: dict[str, Any], chance: random.Random) -> None:
    metrics[f"metrics/{chance.random()}"] = 0.5


def _swapped_epochs(store: Store, chance: random.Random) -> bool:
    found = store.rows("SELECT epoch, data FROM epochs WHERE model_id = :model")
    pairs = [(one, other) for one in found for other in found if _metrics(one) != _metrics(other)]
    if not pairs:
        return False
    one, other = chance.choice(pairs)
    data = {**json.loads(one[1]), "metrics": json.loads(other[1]).get("metrics")}
    return store.run(
        "UPDATE epochs SET data = :data WHERE model_id = :model AND epoch = :epoch", data=json.dumps(data), epoch=one[0]
    )


def _metrics(row: tuple[Any, ...]) -> Any:
    return json.loads(row[1]).get("metrics")


def _strange_epoch(store: Store, chance: random.Random) -> bool:
    return store.copy_last("epochs", "epoch", 1000)


def _in_console(change: Callable[[str, random.Random], str]) -> Plant:
    def plant(store: Store, chance: random.Random) -> bool:
        found = store.rows("SELECT chunk_id, data FROM console WHERE model_id = :model")
        found = [(key, data) for key, text in found if (data := json.loads(text)).get("content")]
        if not found:
            return False
        key, data = chance.choice(found)
        data["content"] = change(data["content"], chance)
        statement = "UPDATE console SET data = :data WHERE model_id = :model AND chunk_id = :key"
        return store.run(statement, data=json.dumps(data), key=key)

    return plant


def _letter(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :]


def _doubled_chunk(store: Store, chance: random.Random) -> bool:
    return store.copy_last("console", "chunk_id", 7)


def _in_model(column: str, change: Callable[[Any, random.Random], Any]) -> Plant:
    def plant(store: Store, chance: random.Random) -> bool:
        value = store.json(column)
        return bool(value) and store.put(column, change(value, chance))

    return plant


def _other_argument(args: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    return {**args, chance.choice(sorted(args)): "another"}


def _worse_results(results: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    metrics = {name: (value or 0.0) + 0.25 for name, value in (results.get("metrics") or {}).items()}
    return {**results, "metrics": metrics, "bestEpoch": 99}


def _fewer_plots(plots: list[Any], chance: random.Random) -> list[Any]:
    return plots[1:]


def _other_plot(plots: list[Any], chance: random.Random) -> list[Any]:
    return [{**plots[0], "planted": 1}, *plots[1:]]


def _missing_end(store: Store, chance: random.Random) -> bool:
    where = "WHERE id = :model AND status IN ('completed', 'failed')"
    return store.run(f"UPDATE models SET status = 'running', completed_at = NULL {where}")


def _lost_checkpoint(store: Store, chance: random.Random) -> bool:
    return store.run("DELETE FROM checkpoints WHERE model_id = :model")


def _other_weights(store: Store, chance: random.Random) -> bool:
    """Put another file in the place of the weights, a shorter one."""
    found = store.rows("SELECT DISTINCT sha256 FROM checkpoints WHERE model_id = :model")
    files = [file for (sha256,) in found for file in store.data.rglob(sha256)]
    for file in files:
        content = file.read_bytes()[:-1]
        digest = hashlib.sha256(content).hexdigest()
        other = file.parents[1] / digest[:2] / digest
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(content)
        store.run(
            "UPDATE checkpoints SET sha256 = :sha256, size = :size WHERE model_id = :model",
            sha256=digest,
            size=len(content),
        )
    return bool(files)


def _lost_bytes(store: Store, chance: random.Random) -> bool:
    """Delete the checkpoint's file, and leave what is told of it."""
    found = store.rows("SELECT sha256 FROM checkpoints WHERE model_id = :model")
    files = [file for (sha256,) in found for file in store.data.rglob(sha256)]
    for file in files:
        file.unlink()
    return bool(files)


def _lost_model(store: Store, chance: random.Random) -> bool:
    return store.run("DELETE FROM models WHERE id = :model")


def swapped_weights(store: Store, chance: random.Random) -> bool:
    """Replace the bytes of the weights by as many others, under the same name."""
    found = store.rows("SELECT sha256 FROM checkpoints WHERE model_id = :model")
    for (sha256,) in found:
        for file in store.data.rglob(sha256):
            content = bytearray(file.read_bytes())
            content[chance.randrange(len(content))] ^= 1
            file.write_bytes(bytes(content))
    return bool(found)


PLANTS: dict[str, Plant] = {
    "an epoch is lost": _lost_epoch,
    "a metric is changed": _in_epoch(_changed),
    "a metric is lost": _in_epoch(_removed),
    "a metric is added": _in_epoch(_added),
    "an epoch has another's metrics": _swapped_epochs,
    "an epoch is there that nobody trained": _strange_epoch,
    "a console chunk is lost": _lost_console,
    "a console chunk is truncated": _in_console(lambda text, _: text[: len(text) // 2]),
    "a console chunk is emptied": _in_console(lambda text, _: ""),
    "a console chunk has a letter changed": _in_console(_letter),
    "a console chunk has its text twice": _in_console(lambda text, _: f"{text}\n{text}"),
    "a console chunk is there twice": _doubled_chunk,
    "an argument is changed": _in_model("train_args", _other_argument),
    "the environment is changed": _in_model("environment", lambda it, _: {**it, "uploaderRun": "another"}),
    "the results are changed": _in_model("results", _worse_results),
    "a class is renamed": _in_model("class_names", lambda it, _: ["renamed", *it[1:]]),
    "a plot is lost": _in_model("plots", _fewer_plots),
    "a plot is changed": _in_model("plots", _other_plot),
    "the end is missing": _missing_end,
    "the checkpoint is lost": _lost_checkpoint,
    "the checkpoint's file is lost": _lost_bytes,
    "the checkpoint is another, shorter file": _other_weights,
    "the model is lost": _lost_model,
}
FOREIGN = frozenset({"an epoch is there that nobody trained", "a console chunk is there twice"})
"""What nobody sent, and no message can take away."""
DEEP: dict[str, Plant] = {"the weights are swapped": swapped_weights}
PLANTS |= DEEP
