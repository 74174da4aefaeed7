"""Starts a run of any loop, or goes on with one."""

from __future__ import annotations

import uploader.names  # noqa: F401 (first, as what follows may be another project's)

# isort: split
import inspect
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import journal as journals
from journal.locations import expanded, recording_folder
from journal.reading.run_reader import recorded_runs
from journal.storage.database import Durability
from uploader.errors import SettingsError
from uploader.keys import missing_key
from uploader.live.active_run import ActiveRun, not_recording, say
from uploader.live.console_capture import ConsoleCapture
from uploader.live.current_training import current_recording
from uploader.live.line_chunks import LineChunks
from uploader.live.live_run import LiveRun
from uploader.live.loop_recording import LoopRecording, end_in
from uploader.live.machine_meter import open_meter
from uploader.live.machine_sampler import MachineSampler, NothingSampled, Sampler
from uploader.live.recording_options import check_texts, choose_options, choose_routes
from uploader.live.run_facts import configuration, run_environment, script_name, start_facts
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.redacting import Redactor
from uploader.run_folder.run_file import KnownRun
from uploader.run_selection import choose_runs
from uploader.settings import Settings
from uploader.slugs import names_as_given, project_slug, respelled, run_slug

LOGGER = logging.getLogger("uploader")


def start_run(
    *,
    project: str | None = None,
    name: str | None = None,
    config: object = None,
    folder: str | Path | None = None,
    resume: bool | str | Path | None = False,
    journal: str | Path | None = None,
    durability: Durability = "full",
    platform: str | Sequence[str] | None = None,
    base_url: str | None = None,
    max_size: int | str | None = None,
    mirror: str | Path | None = None,
    drain: bool | None = None,
    console: bool = True,
    system: bool = True,
    rank: int | None = None,
) -> ActiveRun:
    """Record a run of any training loop into a journal; no network is needed, neither now nor later.

        with uploader.start_run(project="demo", config={"epochs": 3}) as run:
            for epoch in range(3):
                run.log({"train/loss": 1 / (epoch + 1)}, step=epoch)

    The run is complete at the end of the block, or when `finish` is called, or when the program ends without an error;
    an exception ends it as failed. Of the processes of one training the first records.

    Args:
        project: Project to record under; None leaves it to the drain.
        name: Name to record under; None for that of the script.
        config: The loop's configuration: a mapping, a dataclass, or what `argparse` returns. `epochs` is how many
            steps there are to be, as far as a platform shows that.
        folder: The run's folder, by which it can be resumed. None makes one: `runs/PROJECT/NAME`, `NAME-2`, …
        resume: True to go on with the run of `folder` if there is one; or an id, a name or a folder of the run that
            goes on.
        journal: As for `uploader.attach`, like all that follow but the last three.
        durability: See there.
        platform: See there.
        base_url: See there.
        max_size: See there.
        mirror: See there.
        drain: See there.
        console: Whether what is printed is recorded.
        system: Whether it is recorded how busy the machine is.
        rank: Number of this process among those that train together; None for what its launcher says.

    Raises:
        SettingsError: An argument or the environment cannot be used, or there is no such run to go on with.
    """
    check_arguments(project=project, name=name, base_url=base_url, folder=folder, rank=rank, resume=resume)
    settings = Settings.load()
    routes = choose_routes(settings, platform, base_url)
    keeps_drain = settings.drain if drain is None else drain
    options = choose_options(journal, durability, routes, max_size, mirror, drain=keeps_drain)
    given = configuration(config)
    if (_rank(settings) if rank is None else rank) > 0:
        return not_recording(expanded(folder or ".").absolute(), given)
    where = _folder_to_resume(options, resume, folder) or new_folder(folder, project, name)
    end_in(where)
    if _goes_on(resume) and (known := KnownRun.read(where)):  # another journal may not know the run
        project, name = project or known.project or None, name or known.name or None
    recorder = Recorder.start(
        options, project=project_slug(project), name=run_slug(_called(name)), save_dir=where, resume=_goes_on(resume)
    )
    for message in respelled(project, name):
        say(message)
    if options.drain and (reason := missing_key(settings, options.routes)):
        LOGGER.warning("Uploader: the drain beside this run waits: %s", reason)
    sampler = MachineSampler(open_meter) if system else NothingSampled()
    named = names_as_given(project, name)
    return _begun(recorder, sampler, Redactor(settings.keys), where, given, named=named, console=console)


def _begun(
    recorder: Recorder,
    sampler: Sampler,
    redactor: Redactor,
    folder: Path,
    config: dict[str, Any],
    *,
    named: dict[str, str],
    console: bool,
) -> ActiveRun:
    begun: list[LoopRecording] = []

    def accepts() -> bool:
        return console and bool(begun) and current_recording() in (None, begun[0])

    live = LiveRun(
        recorder,
        sampler,
        redactor,
        lambda record: ConsoleCapture(record, accepts, LineChunks, *_log_beside_the_streams()),
        say,
    )
    live.system.begin()
    begun.append(LoopRecording(live, redactor, folder))
    copied = {"uploaderCopyOf": recorder.origin.copy_of} if recorder.origin.copy_of else {}
    begun[0].begin(start_facts({**named, **config}, resumed=recorder.resumed), run_environment(), copied)
    return ActiveRun(begun[0], folder, config)


def _log_beside_the_streams() -> tuple[logging.Logger | None, logging.Formatter | None]:
    """Return the root logger and its format if it prints to a stream as that was before anybody captured it."""
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and any(handler.stream is each for each in streams):
            return logging.getLogger(), handler.formatter
    return None, None


def _rank(settings: Settings) -> int:
    """Return the rank of this process: of torch's process group, if it has begun, else what its launcher says."""
    distributed = sys.modules.get("torch.distributed")
    try:
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            return int(distributed.get_rank())
    except Exception:
        LOGGER.debug("torch does not tell the rank", exc_info=True)
    return settings.rank


def _called(name: str | None) -> str:
    return name or script_name(sys.argv[0] if sys.argv else "")


def new_folder(folder: str | Path | None, project: str | None, name: str | None) -> Path:
    """Return a run's folder, made unless the disk refuses, which is told when the run's file is written.

    Args:
        folder: The one that was chosen; None for one of the project and the name.
        project: The run's project.
        name: The run's name.
    """
    called = run_slug(_called(name))
    chosen = expanded(folder).absolute() if folder else Path.cwd() / "runs" / (project_slug(project) or "") / called
    try:
        if folder:
            chosen.mkdir(parents=True, exist_ok=True)
            return chosen
        return _numbered(chosen)
    except OSError:
        return chosen


def _numbered(first: Path) -> Path:
    first.parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = first if number == 1 else first.with_name(f"{first.name}-{number}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1


def _goes_on(resume: bool | str | Path | None) -> bool:
    return resume is not False and resume is not None


def check_arguments(*, folder: object = None, rank: object = None, resume: object = False, **others: object) -> None:
    """Check arguments of `start_run` whose mistakes would be told late, or in words that do not help.

    Raises:
        SettingsError: One of them cannot be used.
        TypeError: `start_run` takes no such argument.
    """
    inspect.signature(start_run).bind(**others)
    check_texts(**{name: others.get(name) for name in ("project", "name", "base_url")})
    if not isinstance(folder, (str, os.PathLike, type(None))):
        raise SettingsError(f"folder must be a path; not {folder!r}")
    if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int)):
        raise SettingsError(f"rank must be a whole number, or None; not {rank!r}")
    if not isinstance(resume, (bool, str, os.PathLike, type(None))) or resume == "":
        raise SettingsError(f"resume must be True, or a run's id, name or folder; not {resume!r}")


def _folder_to_resume(
    options: JournalOptions, resume: bool | str | Path | None, folder: str | Path | None
) -> Path | None:
    """Return the folder of the run that goes on; None for a new run.

    Raises:
        SettingsError: There is no such run, or its folder is another run's now.
    """
    if resume is None or resume is False:
        return None
    if resume is True:
        if folder is None:
            raise SettingsError("resume=True goes on with the run of a folder: name it, as folder=…, or name the run")
        return None
    if os.path.isdir(resume):  # noqa: PTH112 - never raises
        return expanded(resume).absolute()
    where = recording_folder(options.journal)
    with journals.open(where) as opened:
        runs = recorded_runs(opened.begin)
    chosen = choose_runs(runs, [str(resume)], where)
    run = next(each for each in runs if chosen and each.id == chosen[0])
    path = Path(run.save_dir)
    if (known := KnownRun.read(path)) and known.run != run.id:
        raise SettingsError(f"{path}, the folder of run {run.id}, is another run's now: {known.run}")
    return path
