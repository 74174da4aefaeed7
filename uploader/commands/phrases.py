"""What several commands say in the same words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uploader.addresses import shown
from uploader.platforms.registry import DEFAULT

if TYPE_CHECKING:
    from journal.kinds import RunState
    from journal.reading.remaining import DeadLetter


def in_fallback_files(number: int, folder: Path) -> str:
    """Return a sentence on events in fallback files, and the command that ingests them.

    Args:
        number: How many fallback files hold them.
        folder: The journal.
    """
    from journal.next_steps import next_command
    from journal.quantities import count

    return f"events for it wait in {count(number, 'fallback file')}; `{next_command('drain', folder)}` takes them in"


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
    if salvageable_epochs:
        how = (
            "`doctor --repair` takes them in" if state in {"finished", "cancelled"} else "the next drain takes them in"
        )
        yield f"{epochs_in_words(salvageable_epochs)} missing here, but in results.csv: {how}"
    if missing_epochs and state == "running":
        yield f"{epochs_in_words(missing_epochs)} missing so far; the training looks for them when it ends"
    elif missing_epochs:
        yield f"{epochs_in_words(missing_epochs)} missing, and in no results.csv of the run that can be read here"


def what_else(path: Path) -> str:
    """Return what a person may do about a path that is no journal, after a semicolon."""
    from journal.reading.places import what_else as other

    return other(path)


def letters_in_words(letters: Sequence[DeadLetter], limit: int = 3) -> str:
    """Return dead letters with the ids that `retry` and `drop` take, and the reason of the first one."""
    named = ", ".join(f"{one.id} ({one.kind})" for one in letters[:limit])
    more = f" and {len(letters) - limit} more" if len(letters) > limit else ""
    why = f": {letters[0].reason}" if letters[0].reason else ""
    return f"{named}{more}{why}"


def place(platform: str, url: str) -> str:
    """Return a platform's address for people; it names the API, too, as one server may offer both."""
    if not platform:
        return "nowhere yet"
    if not url:
        return f"{platform} (chosen by name)"
    return shown(url) if platform == DEFAULT.name else f"{shown(url)} ({platform})"
