"""What platforms were told of a run's heads and have countersigned, kept in `facts` until they are told of newer ones.

It is neither an event nor a delivery: nothing waits for it, and a run has arrived without it. What it holds is opaque
here; `uploader.proof` gives it its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, text

from journal.clock import now_text

NAME = "heads"
SIGNED = "heads signed"
_STORE = text("INSERT INTO facts VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
_FIRST = text("INSERT INTO facts VALUES (:name, 'said') ON CONFLICT (name) DO NOTHING")
DUE = "heads due"
_NOTE_DUE = text("INSERT INTO facts VALUES (:name, '') ON CONFLICT (name) DO NOTHING")
_NOT_DUE = text("DELETE FROM facts WHERE name = :name AND value = :value")
_OF_RUN = text("SELECT name, value FROM facts WHERE name > :prefix AND name < :end")
_PLACES = text("SELECT id, platform, base_url FROM destinations")


@dataclass(frozen=True)
class SignedHead:
    """The newest signed head of a run that a destination has.

    Attributes:
        told_at: When it was told, ISO.
        events: How many events it is of.
        key: The verifier key of who signed it.
        witness: The verifier key of who countersigns there; None if nobody does.
        countersigned: Of how many of the events somebody has countersigned it.
    """

    told_at: str
    events: int
    key: str
    witness: str | None
    countersigned: int


@dataclass(frozen=True)
class ToldHead(SignedHead):
    """The same, and where it was told.

    Attributes:
        platform: The platform's name.
        base_url: Its address.
    """

    platform: str
    base_url: str


def store_heads(connection: Connection, run: str, destination: int, value: Mapping[str, Any]) -> None:
    """Keep what a destination has of a run's heads, in the place of what it had before."""
    store(connection, f"{NAME} {run} {destination}", value)


def stored_heads(connection: Connection, run: str) -> Mapping[int, Mapping[str, Any]]:
    """Return what destinations have of a run's heads, by the ids of these."""
    prefix = f"{NAME} {run} "
    rows = connection.execute(_OF_RUN, {"prefix": prefix, "end": f"{NAME} {run}!"}).all()
    return {int(name.removeprefix(prefix)): found for name, value in rows if isinstance(found := parsed(value), dict)}


def note_signed(
    connection: Connection,
    run: str,
    destination: int,
    *,
    events: int,
    key: str,
    witness: str | None,
    countersigned: int,
) -> None:
    """Keep how much of a run a destination has a signed head of, for people; see `SignedHead`."""
    value = SignedHead(now_text(), events, key, witness, countersigned)
    store(connection, f"{SIGNED} {run} {destination}", asdict(value))


def signed_heads(connection: Connection, run: str) -> list[ToldHead]:
    """Return the newest signed head of a run at each destination that has one."""
    prefix = f"{SIGNED} {run} "
    rows = connection.execute(_OF_RUN, {"prefix": prefix, "end": f"{SIGNED} {run}!"}).all()
    found = {name.removeprefix(prefix): parsed(value) for name, value in rows}
    if not found:
        return []
    places = connection.execute(_PLACES).all()
    return [one for place in places for one in _told(found.get(str(place.id)), place.platform, place.base_url)]


def _told(value: Any, platform: str, base_url: str) -> Iterator[ToldHead]:
    """Yield a head as it was noted; nothing of what somebody else has written there."""
    if isinstance(value, dict) and isinstance(value.get("events"), int) and isinstance(value.get("told_at"), str):
        key, witness, of = str(value.get("key")), value.get("witness"), value.get("countersigned")
        seen = of if isinstance(of, int) else 0
        yield ToldHead(
            value["told_at"], value["events"], key, str(witness) if witness else None, seen, platform, base_url
        )


def note_due(connection: Connection, runs: Iterable[str], destination: int) -> None:
    """Note that a destination is to be told the heads of these runs, should this process not come to it."""
    for run in runs:
        connection.execute(_NOTE_DUE, {"name": f"{DUE} {destination} {run}"})


def note_told(connection: Connection, told: Mapping[str, str], destination: int) -> None:
    """Note that a destination was told the heads of runs, or has no place for them.

    Args:
        connection: To the journal.
        told: What `due` said of these runs: one whose heads have become due again since then stays so.
        destination: The platform's local id.
    """
    for run, since in told.items():
        connection.execute(_NOT_DUE, {"name": f"{DUE} {destination} {run}", "value": since})


def due(connection: Connection, destination: int) -> dict[str, str]:
    """Return the runs whose heads a destination is to be told, and for each what changes when it becomes due again."""
    prefix = f"{DUE} {destination} "
    rows = connection.execute(_OF_RUN, {"prefix": prefix, "end": f"{DUE} {destination}!"}).all()
    return {str(name).removeprefix(prefix): value for name, value in sorted(map(tuple, rows))}


def is_first(connection: Connection, what: str) -> bool:
    """Return whether something is said of this journal's heads for the first time, and note that it is."""
    return connection.execute(_FIRST, {"name": f"{NAME}: {what}"}).rowcount == 1


def store(connection: Connection, name: str, value: Any) -> None:
    """Keep a value under a name, in the place of what is there."""
    connection.execute(_STORE, {"name": name, "value": json.dumps(value)})


def parsed(value: str) -> Any:
    """Return what is kept, as it was before it became text; None where somebody else has written it."""
    try:
        return json.loads(value)
    except ValueError:
        return None
