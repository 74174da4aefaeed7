"""The size limit of an event's payload, and how a larger payload is reduced.

The local platform accepts 32 MiB of JSON in a request; the public one's limit is not known. A large real payload, the
results of a data set with 1,200 classes, is 16 MB. A larger payload loses its largest parts: small members of an object
are kept first, text is cut, and a member of a list is kept whole or dropped. So an epoch keeps its number and the
metrics that fit, and results keep all plots but the largest. What was left out is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from journal.clock import now_text
from journal.encoding import encode
from journal.kinds import GIVEN_UP
from journal.losses import Loss, loss_payload
from journal.sessions.identity import Draft

LONGEST_PAYLOAD = 16 << 20
"""Characters of JSON."""

_LEAST_ROOM = 100
"""A part with less room than this is left out entirely."""


def fitted(payload: Mapping[str, Any], longest: int = LONGEST_PAYLOAD) -> tuple[str, list[Loss]]:
    """Return the payload as JSON text of at most `longest` characters, and what was left out to make it fit.

    The usual case costs one comparison more than `encode`.

    Args:
        payload: See `journal.encoding.encode`.
        longest: At least 10 kB.
    """
    text, room = encode(payload), longest
    losses: list[Loss] = []
    while len(text) > longest:  # more than once where escaping makes text longer
        losses.clear()
        text = encode(_part(payload, room - _LEAST_ROOM, "", losses))
        room //= 2
    return text, losses


def drafts(kind: str, payload: Mapping[str, Any], key: str, at: str | None = None) -> list[Draft]:
    """Return an event that is ready to be numbered, preceded by a record of what was left out of it, if anything.

    Args:
        kind: What happened.
        payload: See `fitted`.
        key: The natural key within the kind.
        at: When it happened, as `journal.clock` writes times; None for now.
    """
    text, losses = fitted(payload)
    now = at or now_text()
    given_up = [(GIVEN_UP, kind, encode(left_out(kind, key, losses)), now)] if losses else []
    return [*given_up, (kind, key, text, now)]


def left_out(kind: str, key: str, losses: Sequence[Loss]) -> dict[str, Any]:
    """Return the payload of the event that records what an event of this kind and key lost."""
    return loss_payload(f"an event ({kind} {key}) was larger than {LONGEST_PAYLOAD} characters", losses)


def cut_text(text: str, longest: int) -> str:
    """Return the text, or the beginning of a longer one with a note of how much was left out."""
    return text if len(text) <= longest else f"{text[:longest]}… {len(text) - longest} characters left out"


def _part(value: Any, room: int, path: str, losses: list[Loss]) -> Any:
    """Return as much of a value as fits; None for one that has no parts."""
    if isinstance(value, Mapping):
        return _part_of_object(value, room, path, losses)
    if isinstance(value, (list, tuple)):
        sizes = [_size(member) for member in value]
        kept, _ = _smallest(sizes, room)
        _lose(losses, path, [size for index, size in enumerate(sizes) if index not in kept])
        return [member for index, member in enumerate(value) if index in kept]
    if isinstance(value, str) and room > _LEAST_ROOM:
        _lose(losses, path, [len(value) - room + _LEAST_ROOM])
        return cut_text(value, room - _LEAST_ROOM)
    _lose(losses, path, [_size(value)])
    return None


def _part_of_object(value: Mapping[Any, Any], room: int, path: str, losses: list[Loss]) -> dict[Any, Any]:
    """Return the smallest members that fit together, in their order, and a part of the next one."""
    sizes = [_size(str(name)) + _size(member) for name, member in value.items()]
    kept, left = _smallest(sizes, room)
    gone = sorted((size, index) for index, size in enumerate(sizes) if index not in kept)
    next_one = gone[0][1] if gone and left > _LEAST_ROOM else None
    members: dict[Any, Any] = {}
    for index, (name, member) in enumerate(value.items()):
        if index in kept:
            members[name] = member
        elif index == next_one and isinstance(member, (Mapping, list, tuple, str)):
            members[name] = _part(member, left - _size(str(name)), f"{path}.{name}".lstrip("."), losses)
            gone = gone[1:]
    _lose(losses, path, [size for size, _ in gone])
    return members


def _smallest(sizes: Sequence[int], room: int) -> tuple[set[int], int]:
    """Return the indices of the smallest sizes that fit together, and the room that is left."""
    kept = set()
    for index in sorted(range(len(sizes)), key=sizes.__getitem__):
        if sizes[index] > room:
            break
        kept.add(index)
        room -= sizes[index]
    return kept, room


def _size(value: Any) -> int:
    """Return how many characters a value takes up in JSON, including its delimiters."""
    return len(value) + 4 if isinstance(value, str) else len(encode({"": value}))


def _lose(losses: list[Loss], path: str, sizes: Sequence[int]) -> None:
    if sizes:
        losses.append(Loss(f"parts of {path or 'the event'}"[:200], len(sizes), sum(sizes)))
