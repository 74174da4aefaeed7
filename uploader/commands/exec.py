"""`uploader exec`: run any command and have the trainings in it recorded."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from journal.shared_addresses import shared_url
from uploader.commands.folders import JournalFolder
from uploader.commands.help_texts import epilog
from uploader.commands.mirror_option import MirrorAddress
from uploader.commands.supervision import CANNOT_RUN, NOT_FOUND, exit_as, run_supervised
from uploader.exec_variables import export, note_recorded, notes_file, says_anything

_UNRECORDED = """\
uploader: no training was recorded here. One that ran on another machine may have been, see `{status}`.
  One that ran here was where the recording does not reach: in a Python that ignores PYTHONPATH (-I, -E, -S) or was
  given another one, in one without offline-uploader, under sudo, or in a process that had been started before.
  `uploader.attach(model)` in the script records it there, too."""
_CODES = """
  0  the command ended with 0; all other codes are the command's, too, and
     the signal that ended it ends this
  1  the command ended with 1
  2  the arguments cannot be used, and nothing was run
  126, 127  the command cannot be run, or was not found"""
_EPILOG = epilog(
    "exec -- yolo detect train data=coco8.yaml model=yolo11n.pt",
    "exec --journal runs/journal --drain -- python train.py",
    "exec -- torchrun --nproc_per_node 2 train.py",
    "exec -- jupyter lab",
    codes=_CODES,
)
_ARGUMENTS = ("project", "name", "durability", "platform", "base_url")
"""The options that are arguments of `attach` without a variable of their own."""


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Check a size here: of the environment, where it goes, the message would name the variable."""
    from journal.quantities import parse_size

    try:
        if value is not None and parse_size(value) <= 0:
            raise ValueError(f"{value!r} is not a size")
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    return value


@click.command(epilog=_EPILOG, options_metavar="[OPTIONS] --", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND...")
@click.option(
    "--journal",
    type=JournalFolder(),
    help="Folder of the journal, or URL of a shared one (postgresql://...).  [env var: UPLOADER_JOURNAL]",
)
@click.option("--project", help="Project to record under, instead of each training's own.")
@click.option("--name", help="Name to record under, instead of each training's own.")
@click.option("--durability", type=click.Choice(["full", "strict", "process"]), help="As in attach(durability=...).")
@click.option("--platform", metavar="NAME", multiple=True, help="As in attach(platform=...); repeatable.")
@click.option("--base-url", metavar="URL", help="Address of the one platform.")
@click.option(
    "--max-size", metavar="SIZE", callback=_size, help="As in attach(max_size=...).  [env var: UPLOADER_MAX_SIZE]"
)
@click.option("--mirror", type=MirrorAddress(), help="As in attach(mirror=...).  [env var: UPLOADER_MIRROR]")
@click.option("--drain/--no-drain", default=None, help="As in attach(drain=...).  [env var: UPLOADER_DRAIN]")
def exec(command: Sequence[str], **chosen: Any) -> None:
    """Run any command, and record each training with Ultralytics in it: no script has to be changed.

    The command and all that it starts inherit the recording: scripts, notebooks' kernels and their !yolo cells,
    torchrun's workers, tune()'s iterations. It keeps its terminal, gets the signals that are sent to this, and its exit
    code is this one's. What a script attaches or detaches itself stays as the script has it.

    Only a Python that has offline-uploader installed can record, and none does that ignores PYTHONPATH (-I, -E, -S) or
    that sudo starts. If no training was recorded at all, that is said at the end.
    """
    outer = notes_file()
    with _notes() as notes:
        status = _run(command, _environment(chosen, notes))
        recorded = _recorded(notes)
    for run_id in recorded or ():
        note_recorded(run_id, outer)
    if recorded == [] and os.waitstatus_to_exitcode(status) not in (CANNOT_RUN, NOT_FOUND):
        click.echo(_unrecorded(), err=True)
    sys.exit(exit_as(status))


def _unrecorded() -> str:
    from journal.locations import default_journal
    from journal.next_steps import next_command

    return _UNRECORDED.format(status=next_command("status", default_journal()))


@contextmanager
def _notes() -> Iterator[str | None]:
    """Provide the file in which recorders note their runs; None where no file can be made for now."""
    try:
        file, path = tempfile.mkstemp(prefix="offline-uploader-exec-")
    except OSError:
        yield None
        return
    os.close(file)
    try:
        yield path
    finally:
        with suppress(OSError):
            Path(path).unlink()


def _recorded(notes: str | None) -> list[str] | None:
    """Return the runs that were noted; None where that is not known, as a system removes files that were left alone."""
    if notes is None:
        return None
    try:
        return Path(notes).read_text("utf-8").split()
    except (OSError, UnicodeError):
        return None


def _environment(chosen: Mapping[str, Any], notes: str | None) -> Mapping[str, str]:
    """Return the environment that the command inherits; end this where a training could not begin with them."""
    from uploader.errors import SettingsError

    drain, journal = chosen["drain"], chosen["journal"]
    variables = {
        "UPLOADER_JOURNAL": journal and (shared_url(journal) or journal),
        "UPLOADER_MAX_SIZE": chosen["max_size"],
        "UPLOADER_MIRROR": chosen["mirror"],
        "UPLOADER_DRAIN": drain if drain is None else int(drain),
    }
    options = {name: value for name in _ARGUMENTS if (value := chosen[name])}
    given = {name: str(value) for name, value in variables.items() if value is not None}
    is_any = bool(options or given) or says_anything()  # else there is nothing to check, which takes a while
    try:
        environment = export(given, options, notes)
        if is_any:
            _check(options)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    return environment


def _check(options: Mapping[str, Any]) -> None:
    """Check what `attach` will be told, by arguments or in the environment.

    Raises:
        SettingsError: It would refuse that.
    """
    from uploader.live.recording_options import choose_options, choose_routes
    from uploader.settings import Settings

    settings = Settings.load()
    routes = choose_routes(settings, options.get("platform"), options.get("base_url"))
    choose_options(None, options.get("durability", "full"), routes, None, drain=settings.drain)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        return run_supervised(command, environment)
    except OSError as error:
        click.echo(f"uploader exec: {command[0]}: {error.strerror}", err=True)
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN)
