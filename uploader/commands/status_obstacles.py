"""What is in the way of a run's delivery, and what helps, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from journal.next_steps import next_command
from journal.quantities import count
from uploader.commands.phrases import in_the_way, letters_in_words
from uploader.commands.spans import AT_ONCE, age, when
from uploader.errors import KeyNotForHere, NoKey, SettingsError
from uploader.keys import key_for
from uploader.reports.reaching import PRUNED
from uploader.settings import Settings

if TYPE_CHECKING:
    from journal.outbox.verifications import Verification
    from journal.reading.overview import RunOverview
    from journal.reading.remaining import Remaining
    from journal.reading.report import RunReport

SEVERAL = "RUN"
"""What commands call a run where several are meant."""
NOWHERE = "goes nowhere yet; the next drain sends it to the configured platform"


def obstacles(
    target: Remaining, commands: Mapping[str, str], settings: Settings | None, *, with_waits: bool = True
) -> Iterator[str]:
    """Yield what keeps the rest of a run from being delivered at a destination.

    Args:
        target: What remains of it there.
        commands: What `helpful` returns.
        settings: What the next drain would find here; None where that is not known.
        with_waits: Whether to say when the next attempt is.
    """
    waits, retry = bool(target.pending or target.unplanned), commands["retry --all"]
    no_key = _no_key(target, settings) if waits and settings else None
    found = None if no_key else target.obstacle
    is_told = found is not None and found.reason == target.last_error  # runs beside it have the obstacle alone
    dead = [f"dead: {letters_in_words(target.dead_letters)}"] if target.dead else []
    if target.reason:
        yield f"refused as a whole: {target.reason}"
        yield from dead
        yield f"{'what was recorded since waits: ' if waits else ''}remove the cause, then `{retry}`"
        return
    if no_key:
        yield f"paused: no key for it here; {no_key}" if isinstance(no_key, KeyNotForHere) else f"paused: {no_key}"
    elif found:
        yield from in_the_way(target.platform, found, commands["drain"], with_reason=not is_told or not with_waits)
    if with_waits and not no_key and target.pending and target.next_attempt_at:
        yield _next_attempt(target.next_attempt_at, is_spaced=target.is_spaced)
    if target.last_error and (with_waits or not is_told):
        yield f"last error: {target.last_error}"
    if dead:
        yield from (*dead, f"once the cause is removed, `{retry}` sends its dead letters again")


def helpful(folder: Path) -> Mapping[str, str]:
    """Return the commands that help against obstacles, as they are written for a journal, by what they are here."""
    return {each: next_command(each, folder) for each in ("drain", "retry --all")}


def read_back(target: Remaining, folder: Path, *, pruned: bool, named: str = SEVERAL) -> str:
    """Return what reading a run back has shown there, and what helps; "" if nobody did.

    Args:
        target: What remains of it there.
        folder: The journal.
        pruned: Whether events of it were deleted here.
        named: What commands are to call it.
    """
    found = target.verification
    if found is None:
        return ""
    when_read = f"{age(found.verified_at)} ago"
    if not found.is_current:
        return f"verified {when_read}, before its last events or deliveries"
    if found.missing or found.different:
        fix = f"`{_fix(named, folder)}` sends again what that puts right"
        return f"read back {when_read}: {_wrong(found)}; {PRUNED if pruned else fix}"
    rest = f", {found.unreadable} cannot be read back" if found.unreadable else ""
    if found.waits:
        return f"read back {when_read}: {count(found.proven, 'item')} as recorded{rest}; what waited was not there yet"
    return f"verified {when_read}: {count(found.proven, 'item')} as recorded{rest}"


def with_its_name(lines: Iterable[str], run: RunOverview, folder: Path) -> tuple[str, ...]:
    """Return what `read_back` says of several runs as it is said of this one alone."""
    return tuple(line.replace(_fix(SEVERAL, folder), _fix(run.id[:8], folder)) for line in lines)


def oddities(run: RunReport | RunOverview) -> Iterator[str]:
    """Yield what is unusual about a run's recording."""
    if run.forks:
        yield f"{count(run.forks, 'session')} continued it at the same time as another one; `doctor` names where"
    if run.unflushed:
        yield f"the disk is slow: {count(run.unflushed, 'event')} might not survive a power cut yet"


def _fix(named: str, folder: Path) -> str:
    return next_command(f"verify {named} --fix", folder)


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
