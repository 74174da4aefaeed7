"""Suites `lost-training` and `lost-training-s3`: real trainings whose machines are lost, disk and all.

Each machine's disk is a file system of its own, where this user may mount one. The trainer's folder outlives it, on a
drive; the mirror is there, too, or in an object store. SIGKILL ends the training at a random moment, the disk is taken
away, and the next machine resumes from `last.pt`. In the end a machine that has nothing else drains the mirror; what
the platform then has is compared with the trainer's own record, and with a training that nobody disturbed.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from journal.mirror.layout import SegmentName
from journal.mirror.mirror_addresses import open_store
from journal.mirror.segment_reading import read_segment
from soaks.figures import Figures
from soaks.places import keep_when_found, scratch
from soaks.ultralytics_verdict import Place
from soaks.volumes import loop_volume, why_no_volume
from uploader.run_folder.results_file import read_results
from uploader.server.running import running

ROOT = Path(__file__).parents[2]
KEY = "ul_soak_key"
PROJECT = "soak"
_EPOCHS = 6
_DRAINED = 0
_PATIENCE = 600.0
_CLOSE = {"rel_tol": 1e-3, "abs_tol": 1e-5}
"""How exactly `results.csv` tells a number."""


@dataclass
class LostTrainingTally(Figures):
    """The figures of the suites; all from `lost` on must be zero.

    Attributes:
        rounds: Number of machines that were lost.
        trainings: How many trainings these were of.
        epochs: Epochs that the platform has of them in the end.
        mirrored: Events that the mirrors had when machines were lost.
        lost: Events of these that the mirrors do not have in the end, and epochs that the platform does not have.
        different: What the platform has otherwise than the trainer, or than of a training that nobody disturbed.
        runs: Runs and models too many.
        broken: Commands that failed.
        notes: Descriptions of the findings.
    """

    rounds: int = 0
    trainings: int = 0
    epochs: int = 0
    mirrored: int = 0
    lost: int = 0
    different: int = 0
    runs: int = 0
    broken: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, figure: str, what: str) -> None:
        """Count a fault, and describe it."""
        setattr(self, figure, getattr(self, figure) + 1)
        self.notes.append(f"{figure}: {what}")

    @property
    def damaged(self) -> int:
        """Faults other than losses."""
        return self.different + self.runs + self.broken


def run(rounds: int, seed: int, keep: Path, *, in_s3: bool = False) -> Iterator[LostTrainingTally]:
    """Yield the figures of each training, which loses one machine or two.

    Args:
        rounds: Number of machines to lose.
        seed: Decides when a machine is lost, as far as the scheduler allows.
        keep: Folder that drives with a finding are copied to.
        in_s3: Whether the mirror is in an object store.
    """
    with ExitStack() as stack:
        shared = Path(stack.enter_context(scratch()))
        environment = stack.enter_context(_object_store(shared)) if in_s3 else {}
        platform = stack.enter_context(running(shared / "platform", api_key=KEY))
        os.environ.update(environment)  # for what reads the mirror here
        undisturbed = _undisturbed(shared, platform.url)
        done = number = 0
        while done < rounds:
            with scratch() as folder:
                mirror = f"s3://mirrors/{seed}-{number}" if in_s3 else str(folder / "drive" / "mirror")
                one = _Training(folder, shared / "data" / "data.yaml", mirror, platform.url, f"{seed}-{number}")
                one.live(min(Random(f"{seed}-{number}").randint(1, 2), rounds - done), undisturbed)
                keep_when_found(one.tally, folder / "drive", keep / f"lost-training-{seed}-{number}")
            done, number = done + one.tally.rounds, number + 1
            yield one.tally


def why_not() -> str | None:
    """Return the reason why the suites cannot run here, or None."""
    try:
        import ultralytics  # noqa: F401
    except ImportError:
        return "Ultralytics is not installed"
    return None


def why_no_s3() -> str | None:
    """Return the reason why the suite with an object store cannot run here, or None."""
    from support.object_storage import weed

    return why_not() or (None if weed() else "SeaweedFS is not installed")


@contextmanager
def _object_store(folder: Path) -> Iterator[Mapping[str, str]]:
    from support.object_storage import object_storage

    with object_storage(folder / "s3") as environment:
        yield environment


class _Training:
    """One training, on a drive that outlives its machines."""

    def __init__(self, folder: Path, data: Path, mirror: str, url: str, seed: str) -> None:
        self.tally = LostTrainingTally(trainings=1)
        self._folder = folder
        self._data = data
        self._mirror = mirror
        self._url = url
        self._name = f"run-{seed}"
        self._random = Random(seed)
        self._save_dir = folder / "drive" / self._name  # a model is named by its folder
        self._save_dir.parent.mkdir(parents=True)
        self._mirrored: set[str] = set()

    def live(self, machines: int, undisturbed: Mapping[str, Any]) -> None:
        """Lose so many machines; train to the end on the next one, and compare."""
        for number in range(machines):
            with _disk(self._folder / f"machine-{number}") as disk:
                self._lose(disk)
        with _disk(self._folder / "last") as disk, self._train(disk) as process:
            if process.wait(_PATIENCE):
                self.tally.note("broken", f"the training ended with {process.returncode}: {_log(disk)}")
        if missing := self._mirrored - self._read():
            self.tally.note("lost", f"events {sorted(missing)[:5]}, which the mirror had")
        self._deliver()
        self._judge(undisturbed)

    def _lose(self, disk: Path) -> None:
        with self._train(disk) as process:
            _wait_for(self._save_dir / "weights" / "last.pt", process)
            time.sleep(self._random.uniform(0, 4))
            process.send_signal(signal.SIGKILL)
        there = self._read()
        self.tally.rounds += 1
        self.tally.mirrored += len(there - self._mirrored)
        self._mirrored |= there

    @contextmanager
    def _train(self, disk: Path) -> Iterator[subprocess.Popen[bytes]]:
        last = self._save_dir / "weights" / "last.pt"
        new = ["--data", self._data, "--save-dir", self._save_dir, "--project", PROJECT, "--name", self._name]
        how = ["--resume", last] if last.exists() else [*new, "--epochs", _EPOCHS]
        with _training(disk, [*how, "--journal", disk / "journal"], {"UPLOADER_MIRROR": self._mirror}) as process:
            yield process

    def _read(self) -> set[str]:
        """Return the events in the mirror, by their identities and payloads."""
        store = open_store(self._mirror)
        found = set()
        for name in [name for one in store.list("runs/") if (name := SegmentName.parse(one.name))]:
            found |= {f"{name.session} {line.decode()}" for line in read_segment(store, name).lines}
        return found

    def _deliver(self) -> None:
        with _disk(self._folder / "desk") as desk:
            done = _command(desk, self._url, "drain", self._mirror)
            if done.returncode != _DRAINED:
                self.tally.note("broken", f"the drain ended with {done.returncode}: {done.stdout}{done.stderr}")

    def _judge(self, undisturbed: Mapping[str, Any]) -> None:
        models = [one for one in Place(self._url, KEY, PROJECT).get("")["models"] if one["name"] == self._name]
        if len(models) != 1:
            self.tally.note("runs", f"{len(models)} models of one training")
        for model in models[:1]:
            self.tally.epochs += len(model["trainResults"])
            for figure, what in differences(model, undisturbed, trained(self._save_dir)):
                self.tally.note(figure, f"{self._name}: {what}")


def trained(folder: Path) -> dict[int, Mapping[str, Any]]:
    """Return the metrics of each epoch as the trainer wrote them last."""
    return {one.number: one.metrics for one in read_results(folder)}


def differences(
    model: Mapping[str, Any], undisturbed: Mapping[str, Any], record: Mapping[int, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield what a platform has otherwise of a training whose machines were lost, each as a figure and in words. Pure.

    Args:
        model: What it has.
        undisturbed: What it has of the same training, which nobody disturbed.
        record: The trainer's own record: the metrics of each epoch.
    """
    for name in ("status", "hasWeights", "classNames", "epochs"):
        if model.get(name) != undisturbed.get(name):
            yield "different", f"{name} is {model.get(name)!r} instead of {undisturbed.get(name)!r}"
    there = {each["epoch"]: each.get("metrics") or {} for each in model["trainResults"]}
    expected = {each["epoch"]: each.get("metrics") or {} for each in undisturbed["trainResults"]}
    for number in sorted(expected.keys() - there.keys()):
        yield "lost", f"epoch {number}"
    for number in sorted(there.keys() - expected.keys()):
        yield "different", f"epoch {number} is one too many"
    for number in sorted(there.keys() & record.keys()):
        known = record[number]
        for name in sorted(known.keys() & there[number].keys()):
            if not _is_close(there[number][name], known[name]):
                yield (
                    "different",
                    f"{name} of epoch {number} is {there[number][name]}, and {known[name]} in results.csv",
                )
        if not known.keys() & there[number].keys():
            yield "different", f"epoch {number} has no metrics of results.csv"


def _is_close(one: object, other: object) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, **_CLOSE)
    return one == other


def _undisturbed(folder: Path, url: str) -> Mapping[str, Any]:
    """Train once without losses, deliver it, and return what the platform has."""
    sys.path.append(str(ROOT / "scripts" / "training"))
    from dataset import make_dataset

    data = make_dataset(folder / "data", train=16, val=4)
    machine = folder / "undisturbed"
    machine.mkdir()
    save_dir = machine / "undisturbed"
    how = ["--data", data, "--save-dir", save_dir, "--project", PROJECT, "--name", "undisturbed", "--epochs", _EPOCHS]
    with _training(machine, [*how, "--journal", machine / "journal"], {}) as process:
        status = process.wait(_PATIENCE)
    done = _command(machine, url, "drain", "--journal", str(machine / "journal"))
    models = [one for one in Place(url, KEY, PROJECT).get("")["models"] if one["name"] == "undisturbed"]
    if status or done.returncode or len(models) != 1:
        raise RuntimeError(f"the undisturbed training ended with {status}: {_log(machine)}; {done.stdout}{done.stderr}")
    model: Mapping[str, Any] = models[0]
    return model


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """Yield a machine's disk, which is gone at the end: a file system of its own, where this user may mount one."""
    if why_no_volume("ext4") is not None:
        with scratch() as disk:
            yield disk
        return
    del folder
    with loop_volume("ext4") as volume:
        volume.mount()
        yield volume.root


@contextmanager
def _training(disk: Path, arguments: list[object], more: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start `scripts/training/train.py` on a machine; it is killed in the end, if it still runs."""
    program = [sys.executable, str(ROOT / "scripts" / "training" / "train.py"), *map(str, arguments)]
    with (
        (disk / "log").open("wb") as log,
        subprocess.Popen(program, cwd=disk, env={**_environment(disk), **more}, stdout=log, stderr=log) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _command(disk: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    chosen = {**_environment(disk), "ULTRALYTICS_PLATFORM_URL": url, "ULTRALYTICS_API_KEY": KEY}
    program = [sys.executable, "-m", "uploader", *arguments]
    return subprocess.run(program, cwd=disk, env=chosen, capture_output=True, text=True, check=False)


def _environment(disk: Path) -> dict[str, str]:
    """Return the environment of a machine whose home is on its disk."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("UPLOADER_", "ULTRALYTICS_"))}
    places = {"HOME": disk, "XDG_DATA_HOME": disk / "data", "UPLOADER_FALLBACK": disk / "fallback"}
    config = {"YOLO_CONFIG_DIR": str(disk / "yolo"), "TMPDIR": str(disk)}
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, **{name: str(place) for name, place in places.items()}, **config, "PYTHONPATH": search}


def _wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while not file.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)


def _log(disk: Path) -> str:
    return (disk / "log").read_text("utf-8", "replace")[-500:]
