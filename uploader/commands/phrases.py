"""What several commands say in the same words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from journal.kinds import GOING_ON
from uploader.addresses import shown
from uploader.commands.spans import age
from uploader.platforms.registry import DEFAULT, PLATFORMS

if TYPE_CHECKING:
    from journal.kinds import RunState
    from journal.outbox.obstacles import Obstacle
    from journal.reading.remaining import DeadLetter

_CAUSES = {
    "key refused": "the key is refused",
    "no key": "there was no key for it",
    "not supported": "it cannot be sent to",
    "away": "it is away",
}


def in_fallback_files(number: int, folder: Path) -> str:
    """Return a sentence on events in fallback files, and the command that ingests them.

    Args:
        number: How many fallback files hold them.
        folder: The journal.
    """
    from journal.next_steps import intake_at
    from journal.quantities import count

    return f"events for it wait in {count(number, 'fallback file')}; {intake_at(str(folder))} takes them in"


def of_another_journal(number: int, where: str) -> str:
    """Return the same on those of another journal.

    Args:
        number: How many there are.
        where: Where that journal is.
    """
    from journal.next_steps import intake_at
    from journal.quantities import count

    return f"{count(number, 'fallback file')} of another journal; {intake_at(where)} takes them in"


def an_earlier_journal(folder: Path) -> str:
    """Return a sentence on a journal in the temporary folder, and the command that delivers it."""
    from journal.next_steps import drain_at

    return (
        f"another journal, of when the home could not be written, is in {folder}; {drain_at(str(folder))} delivers it"
    )


def on_epochs(
    state: RunState, *, end_unknown: bool, missing_epochs: Sequence[int], salvageable_epochs: Sequence[int]
) -> Iterator[str]:
    """Yield sentences on what is not known of a run, or not here; epochs are counted from 1, as trainers count them.

    Args:
        state: The run's.
        end_unknown: Whether its process recorded no end.
        missing_epochs: Epochs that are neither here nor in the trainer's own record.
        salvageable_epochs: Epochs that are in that record only.
    """
    from journal.quantities import epochs_in_words

    if end_unknown:
        yield "its end is unknown: its process recorded none, and is gone or silent"
    if state == "silent":
        yield "nothing of it comes in, so whether it goes on is not known; after a day it counts as interrupted"
    if salvageable_epochs:
        how = (
            "`doctor --repair` takes them in" if state in {"finished", "cancelled"} else "the next drain takes them in"
        )
        yield f"{epochs_in_words(salvageable_epochs)} missing here, but in results.csv: {how}"
    if missing_epochs and state in GOING_ON:
        yield f"{epochs_in_words(missing_epochs)} missing so far; the training looks for them when it ends"
    elif missing_epochs:
        yield f"{epochs_in_words(missing_epochs)} missing, and in no results.csv of the run that can be read here"


def what_else(path: Path) -> str:
    """Return what a person may do about a path that is no journal, after a semicolon."""
    from journal.reading.places import what_else as other

    return other(path)


def letters_in_words(letters: Sequence[DeadLetter], limit: int = 3) -> str:
    """Return dead letters with the ids that `retry` and `drop` take, those together that have the same reason."""
    by_reason: dict[str | None, list[DeadLetter]] = {}
    for one in letters:
        by_reason.setdefault(one.reason, []).append(one)
    groups = [_alike(reason, alike, limit) for reason, alike in by_reason.items()]
    left = sum(map(len, [*by_reason.values()][limit:]))
    return "; ".join((*groups[:limit], *([f"and {left} more for other reasons"] if left else [])))


def _alike(reason: str | None, letters: Sequence[DeadLetter], limit: int) -> str:
    named = ", ".join(f"{one.id} ({one.kind})" for one in letters[:limit])
    more = f" and {len(letters) - limit} more" if len(letters) > limit else ""
    return f"{named}{more}{f': {reason}' if reason else ''}"


def in_the_way(platform: str, found: Obstacle, drain: str, *, with_reason: bool = True) -> Iterator[str]:
    """Yield what a drain has found in the way of all that waits for a destination, and what helps.

    Args:
        platform: Name of its API.
        found: What it found.
        drain: The command that tries it again.
        with_reason: Whether to say why, in the drain's words.
    """
    tried = f"for {age(found.since)}, tried {age(found.at)} ago"
    yield f"{_CAUSES[found.cause]} ({tried})" + (f": {found.reason}" if with_reason else "")
    if found.cause == "key refused":
        key = next((one.key_variable for one in PLATFORMS if one.name == platform), "its variable")
        yield f"set a key that it accepts ({key}), then `{drain}`"
    else:
        yield f"`{drain}` tries it again" if found.cause == "away" else f"once that is put right, `{drain}` goes on"


def place(platform: str, url: str) -> str:
    """Return a platform's address for people; it names the API, too, as one server may offer both."""
    if not platform:
        return "nowhere yet"
    if not url:
        return f"{platform} (chosen by name)"
    return shown(url) if platform == DEFAULT.name else f"{shown(url)} ({platform})"
