"""What is in the way of a run's delivery, and what helps, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from journal.next_steps import next_command
from journal.quantities import count
from uploader.commands.phrases import letters_in_words
from uploader.commands.spans import AT_ONCE, age, when
from uploader.errors import KeyNotForHere, NoKey, SettingsError
from uploader.keys import key_for
from uploader.settings import Settings

if TYPE_CHECKING:
    from journal.outbox.verifications import Verification
    from journal.reading.overview import RunOverview
    from journal.reading.remaining import Remaining
    from journal.reading.report import RunReport

NOWHERE = "goes nowhere yet; the next drain sends it to the configured platform"


def obstacles(target: Remaining, retry: str, settings: Settings | None, *, with_waits: bool = True) -> Iterator[str]:
    """Yield what keeps the rest of a run from being delivered at a destination.

    Args:
        target: What remains of it there.
        retry: The command that sends again what was refused.
        settings: What the next drain would find here; None where that is not known.
        with_waits: Whether to say when the next attempt is.
    """
    waits = bool(target.pending or target.unplanned)
    dead = [f"dead: {letters_in_words(target.dead_letters)}"] if target.dead else []
    if target.reason:
        yield f"refused as a whole: {target.reason}"
        yield from dead
        yield f"{'what was recorded since waits: ' if waits else ''}remove the cause, then `{retry}`"
        return
    if waits and settings and (error := _no_key(target, settings)):
        yield f"paused: no key for it here; {error}" if isinstance(error, KeyNotForHere) else f"paused: {error}"
    elif with_waits and target.pending and target.next_attempt_at:
        yield _next_attempt(target.next_attempt_at, is_spaced=target.is_spaced)
    if target.last_error:
        yield f"last error: {target.last_error}"
    if dead:
        yield from (*dead, f"once the cause is removed, `{retry}` sends its dead letters again")


def read_back(target: Remaining, folder: Path) -> str:
    """Return what reading a run back has shown there; "" if nobody did."""
    found = target.verification
    if found is None:
        return ""
    when_read = f"{age(found.verified_at)} ago"
    if not found.is_current:
        return f"verified {when_read}, before its last events or deliveries"
    if found.missing or found.different:
        fix = next_command("verify RUN --fix", folder)
        return f"read back {when_read}: {_wrong(found)}; `{fix}` sends again what that puts right"
    rest = f", {found.unreadable} cannot be read back" if found.unreadable else ""
    return f"verified {when_read}: {count(found.proven, 'item')} as recorded{rest}"


def oddities(run: RunReport | RunOverview) -> Iterator[str]:
    """Yield what is unusual about a run's recording."""
    if run.forks:
        yield f"{count(run.forks, 'session')} continued it at the same time as another one; `doctor` names where"
    if run.unflushed:
        yield f"the disk is slow: {count(run.unflushed, 'event')} might not survive a power cut yet"


def _wrong(found: Verification) -> str:
    counts = [
        f"{number} {word}" for number, word in ((found.missing, "missing"), (found.different, "different")) if number
    ]
    first = next((one for one in found.findings if one.word in {"missing", "different"}), None)
    return ", ".join(counts) + (f", such as {first.item}: {first.why}" if first else "")


def _next_attempt(at: str, *, is_spaced: bool) -> str:
    due = when(at)
    if is_spaced and due != AT_ONCE:
        return f"waits: the next checkpoint goes {due}; uploads are spaced out while the run trains"
    return f"next attempt {due}"


def _no_key(target: Remaining, settings: Settings) -> NoKey | None:
    try:
        key_for(settings, target.platform, target.base_url or settings.address_of(target.platform) or "")
    except NoKey as error:
        return error
    except SettingsError:  # a platform that only a later version knows: the drain reports it
        pass
    return None
