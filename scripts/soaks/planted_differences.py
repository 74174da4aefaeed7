"""Suite `planted`: differences are planted behind a platform's back; `verify` must find each, and nothing else.

A generated journal is delivered. Then differences are planted in one of its runs, one at a time: each has to be found,
and is taken back. After the last one, what is wrong is sent again, and has to be right. Every other journal is
delivered to, and read back from, a server that has the SDK's shapes alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import journal
from soaks.drains import KEY, TIMING, Job, drain
from soaks.figures import Figures
from soaks.places import keep_when_found, scratch
from soaks.planted import FOREIGN, PLANTS, plant
from soaks.public_shapes import public_platform
from soaks.trainings import record
from uploader.server.running import RunningServer, running
from uploader.verification.runs import chosen_targets, send_again, verify_targets
from uploader.verification.verifying import Verified

_PER_JOURNAL = 10
_PATIENT = replace(TIMING, answer=60.0)


@dataclass
class PlantedTally(Figures):
    """The figures of the suite; all from `missed` on must be zero.

    Attributes:
        rounds: Differences that were planted.
        found: Of these, those that a verification found.
        undisturbed: Verifications of runs in which nothing was planted.
        mended: Differences that were put right by sending again.
        missed: Differences that were not found.
        false: Runs without one of which something was said.
        unmended: Differences that were there after what is wrong had been sent again.
        notes: Descriptions of the findings.
    """

    rounds: int = 0
    found: int = 0
    undisturbed: int = 0
    mended: int = 0
    missed: int = 0
    false: int = 0
    unmended: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, figure: str, what: str) -> None:
        """Count a fault, and describe it."""
        setattr(self, figure, getattr(self, figure) + 1)
        self.notes.append(f"{figure}: {what}")

    @property
    def lost(self) -> int:
        """Differences that were not found."""
        return self.missed

    @property
    def damaged(self) -> int:
        """Faults other than losses."""
        return self.false + self.unmended


def run(rounds: int, seed: int, keep: Path) -> Iterator[PlantedTally]:
    """Yield the figures of each journal.

    Args:
        rounds: Number of differences.
        seed: Decides each journal, together with its number, and what is planted.
        keep: Folder that journals with a finding are copied to.
    """
    for first in range(0, rounds, _PER_JOURNAL):
        with (
            scratch() as folder,
            running(folder, api_key=KEY, idempotency=False) as server,
            public_platform(server.url) as public,
        ):
            url = server.url if first // _PER_JOURNAL % 2 else public.url
            yield _play(f"{seed}-{first}", min(rounds - first, _PER_JOURNAL), server, url, keep)


def _play(seed: str, plants: int, server: RunningServer, url: str, keep: Path) -> PlantedTally:
    tally, random = PlantedTally(), Random(f"{seed}/planted")
    with scratch() as folder:
        job = Job(folder / "journal", url, timing=_PATIENT)
        record(job.folder, random, f"planted-{seed}", names_sessions=True)
        drain(job)
        clean = _verified(job)
        _require_clean(clean, tally, "at first")
        for _ in range(plants - 1):
            with _taken_back(server.data):
                _plant_one(job, clean, server, random, tally)
        _plant_one(job, clean, server, random, tally, is_last=True)
        tally.notes = [f"seed {seed}: {note}" for note in tally.notes]
        keep_when_found(tally, folder, keep / f"planted-{seed}")
    return tally


def _plant_one(
    job: Job,
    clean: Sequence[Verified],
    server: RunningServer,
    random: Random,
    tally: PlantedTally,
    *,
    is_last: bool = False,
) -> None:
    name = _plant(server, clean, random)
    wrong = [one for one in _verified(job) if not one.is_right]
    tally.rounds += 1
    tally.found += bool(wrong)
    tally.undisturbed += len(clean) - 1
    if not wrong:
        tally.note("missed", name)
    if len(wrong) > 1:
        tally.note("false", f"{len(wrong)} runs after '{name}' in one")
    if is_last and name not in FOREIGN:
        with journal.open(job.folder) as opened:
            for one in wrong:
                send_again(opened, one)
        drain(job)
        tally.mended += 1
        _require_clean(_verified(job), tally, f"after '{name}'", "unmended")


@contextmanager
def _taken_back(data: Path) -> Iterator[None]:
    """Bring a platform's store and files back to what they are now, when the block ends."""
    files = {path: path.read_bytes() for path in data.glob("*/??/*") if path.is_file()}
    with (
        closing(sqlite3.connect(":memory:")) as kept,
        closing(sqlite3.connect(data / "platform.db", timeout=30)) as live,
    ):
        live.backup(kept)
        yield
        kept.backup(live)
    for path, content in files.items():
        path.write_bytes(content)


def _verified(job: Job) -> Sequence[Verified]:
    with journal.open(job.folder) as opened:
        return list(verify_targets(opened, chosen_targets(opened, (), None), deep=True, settings=job.settings))


def _require_clean(found: Sequence[Verified], tally: PlantedTally, when: str, figure: str = "false") -> None:
    tally.undisturbed += len(found)
    for one in found:
        if one.failure or one.findings:
            tally.note(figure, f"{when}: {one.failure or list(one.findings)}")


def _plant(server: RunningServer, clean: Sequence[Verified], random: Random) -> str:
    """Plant something that can differ in one of the runs, and return what."""
    model = str(random.choice(clean).target.ids["modelId"])
    names = random.sample(list(PLANTS), len(PLANTS))
    return next(name for name in names if plant(server.data, model, name, random.randrange(10**9)))
