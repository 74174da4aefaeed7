"""What is known of a run's mirror without looking at it, for `status`: a small file beside the database.

It is not in the database, because each change there takes the lock that a training's events wait for. It can be lost:
what a mirror has is known from its listing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from journal.next_steps import next_command
from journal.quantities import count

FOLDER = "mirrors"


@dataclass(frozen=True)
class MirrorState:
    """How far a run is mirrored.

    Attributes:
        address: The mirror.
        run: Uuid of the run.
        confirms: Whether the mirror confirms what it has, so that it is acknowledged and not only handed over.
        events: How many events it has.
        lacking: How many events the journal has, and it does not.
        checkpoints: How many checkpoints it has.
        missing: How many that the run needs the journal has, and it does not.
        gone: How many that the run needs neither of them has: they were lost with an earlier machine, or removed.
        tried_at: When it was last used, or tried, as an ISO time.
        error: Why it could not be used then; None if it could.
    """

    address: str
    run: str
    confirms: bool
    events: int = 0
    checkpoints: int = 0
    missing: int = 0
    gone: int = 0
    tried_at: str = ""
    error: str | None = None
    lacking: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it has all that the journal has of the run."""
        return not self.lacking and not self.missing

    @property
    def in_words(self) -> str:
        """What the mirror has, and whether that is safe."""
        has = f"{count(self.events, 'event')} and {count(self.checkpoints, 'checkpoint')}"
        gone = f"; {count(self.gone, 'checkpoint')} of it {'is' if self.gone == 1 else 'are'} lost" if self.gone else ""
        return f"{has} {'acknowledged by' if self.confirms else 'handed over to'} the mirror {self.address}{gone}"

    def write(self, journal: Path) -> None:
        """Write it beside the journal's database; that it fails harms nothing."""
        final = _file(journal, self.run, self.address)
        with suppress(OSError):
            final.parent.mkdir(mode=0o700, exist_ok=True)
            temporary = final.with_suffix(".tmp")
            temporary.write_text(json.dumps(asdict(self)), "utf-8")
            temporary.replace(final)


def forget_state(journal: Path, run: str, address: str) -> None:
    """Know no more of a run's mirror.

    Args:
        journal: The journal's folder.
        run: Uuid of the run.
        address: The mirror's.
    """
    with suppress(OSError):
        _file(journal, run, address).unlink(missing_ok=True)


def _file(journal: Path, run: str, address: str) -> Path:
    return journal / FOLDER / f"{run}-{sha256(address.encode()).hexdigest()[:8]}.json"


def safety(state: MirrorState, journal: Path, *, is_whole: bool) -> str:
    """Return what is said of a run when its training ends.

    Args:
        state: Of its mirror.
        journal: The journal's folder.
        is_whole: Whether the mirror has all of the run.
    """
    if is_whole:
        later = "" if state.confirms else "; they are safe once the drive has sent them"
        return f"run {state.run} is in its mirror: {state.in_words}{later}"
    left = [(state.lacking, "event"), (state.missing, "checkpoint")]
    uncopied = " and ".join(count(number, what) for number, what in left if number)
    missing = f"{uncopied} could not be copied" if uncopied else "it took too long"
    command = next_command(f"mirror {shlex.quote(state.address)}", journal)
    return (
        f"run {state.run} is NOT whole in its mirror ({state.error or missing}): {state.in_words}. Keep {journal}; "
        f"`{command}` mirrors the rest"
    )


def states(journal: Path, runs: Collection[str] | None = None) -> Mapping[str, list[MirrorState]]:
    """Return the states of a journal's mirrors, by run: of all, or of those that are given."""
    found: dict[str, list[MirrorState]] = {}
    names = ["*.json"] if runs is None else [f"{run}-*.json" for run in runs]
    for path in sorted(path for name in names for path in (journal / FOLDER).glob(name)):
        with suppress(OSError, ValueError, TypeError):
            state = MirrorState(**json.loads(path.read_text("utf-8")))
            found.setdefault(state.run, []).append(state)
    return found
