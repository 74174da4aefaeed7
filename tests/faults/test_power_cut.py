"""The power goes while a training writes. `scripts/soak` runs the full numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from shutil import rmtree
from signal import pause

import pytest
from soaks import cuts
from soaks.ledger import Acknowledged, event_acknowledged, inspect, total
from soaks.processes import Child
from soaks.volumes import LoopVolume, loop_volume, why_no_volume
from soaks.workload import RUN_ID, Report, Training
from support.journals import rows

import journal
from journal.outbox.targets import route
from journal.records import Run
from journal.storage import background_sync
from journal.writing.fallback import FallbackFile
from journal.writing.fallback_format import read_header

SEED = 11
why_not = cache(why_no_volume)


@pytest.fixture(params=["ext4", "xfs"])
def file_system(request: pytest.FixtureRequest) -> str:
    if reason := why_not(request.param):
        pytest.skip(reason)
    return request.param


@pytest.fixture(params=["kernel", "thread"])
def flushed_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to flush; the writers are forked from this process."""
    if request.param == "thread":
        monkeypatch.setattr(background_sync, "_CALLS", {})


@pytest.mark.usefixtures("flushed_by")
def test_nothing_acknowledged_is_lost_to_a_power_cut(file_system: str, tmp_path: Path) -> None:
    tally = total(cuts.run(file_system, 12, SEED, tmp_path))
    assert (tally.lost, tally.damaged) == (0, 0), tally.notes
    assert tally.rounds == 12
    assert tally.events > 20


def test_durability_process_loses_nothing_but_the_newest_events(file_system: str, tmp_path: Path) -> None:
    tally = total(cuts.run(file_system, 12, SEED, tmp_path, "process"))
    assert tally.damaged == 0, tally.notes
    assert tally.events > 20  # how many are lost is the system's choice


@pytest.mark.usefixtures("flushed_by")
def test_a_checkpoint_is_there_when_the_power_goes_right_after_it(file_system: str) -> None:
    """Its event alone is no proof that the name of its bytes is on the disk: a commit may write to the log only."""

    def save(report: Report) -> None:
        (volume.root / "training").mkdir()
        training = Training.begin(journal.open(volume.root / "training" / "journal"), "seed", report)
        training.append()
        training.save("final")
        pause()

    with loop_volume(file_system) as volume:
        for _ in range(3):
            told = cut_after(volume, save, 2)
            tally = inspect(volume.root / "training" / "journal", told)
            assert (len(told), tally.lost, tally.damaged) == (2, 0, 0), tally.notes
            rmtree(volume.root / "training")
            volume.unmount()


def test_what_was_flushed_by_hand_is_there(file_system: str) -> None:
    """As whoever copies events to another machine does before they leave."""

    def write(report: Report) -> None:
        opened = journal.open(volume.root / "journal", durability="process")
        reports: list[Acknowledged] = []
        training = Training.begin(opened, "seed", reports.append)
        for _ in range(20):
            training.append()
        opened.flush()
        for each in reports:
            report(each)
        pause()

    with loop_volume(file_system) as volume:
        told = cut_after(volume, write, 20)
        tally = inspect(volume.root / "journal", told)
        assert (len(told), tally.lost, tally.damaged) == (20, 0, 0), tally.notes
        volume.unmount()


def test_what_durability_process_has_not_flushed_is_lost(file_system: str) -> None:
    """Else these suites would show nothing: they see what a power cut takes."""

    def write(report: Report) -> None:
        training = Training.begin(journal.open(volume.root / "journal", durability="process"), "seed", report)
        for _ in range(20):
            training.append()
        pause()

    with loop_volume(file_system) as volume:
        tally = inspect(volume.root / "journal", cut_after(volume, write, 20))
        assert tally.damaged == 0, tally.notes
        assert 0 < tally.lost <= 20
        volume.unmount()


def test_what_a_drain_has_committed_is_there(file_system: str) -> None:
    def write(report: Report) -> None:
        opened = journal.open(volume.root / "journal")
        Training.begin(opened, "seed", report).append()
        with opened.outbox().begin() as connection:
            route(connection, RUN_ID, "ultralytics", "https://platform.invalid")
        report(event_acknowledged(2, {}))
        pause()

    with loop_volume(file_system) as volume:
        cut_after(volume, write, 2)
        assert rows(volume.root / "journal", "SELECT platform FROM destinations") == [("ultralytics",)]
        volume.unmount()


def cut_after(volume: LoopVolume, write: Callable[[Report], None], reports: int) -> list[Acknowledged]:
    """Cut the power once a process has made so many reports; return these, with the volume as it was left."""
    volume.mount()
    writer = Child(write)
    writer.wait_for_reports(reports)
    volume.cut_power()
    writer.kill()
    told = writer.reap()
    volume.unmount()
    volume.mount()
    return told


def test_the_fallback_file_keeps_what_it_took(file_system: str, tmp_path: Path) -> None:
    run = Run(RUN_ID, None, "run", "/train", "2026-01-01T00:00:00.000000Z")

    def write(report: Report) -> None:
        fallback = FallbackFile([volume.root / "fallback"], tmp_path / "journal", run)
        for number in count(1):
            payload = {"n": number, "text": "x" * 500}
            fallback.append("epoch_end", payload, str(number))
            report(event_acknowledged(number, payload))

    with loop_volume(file_system) as volume:
        for _ in range(6):
            volume.mount()
            writer = Child(write)
            writer.wait_for_reports(5)
            told = writer.reported()
            volume.cut_power()
            writer.kill()
            writer.reap()
            volume.unmount()
            volume.mount()
            (file,) = (volume.root / "fallback").iterdir()
            assert read_header(file) is not None
            lines = file.read_bytes().split(b"\n")[1:-1]
            assert [json.loads(line)["payload"]["n"] for line in lines][:told] == list(range(1, told + 1))
            file.unlink()
            volume.unmount()
