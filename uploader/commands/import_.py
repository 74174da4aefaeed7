"""`uploader import`: bring in runs that nobody recorded, from the folders that trainers and trackers leave."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from journal.quantities import count
from uploader.commands.acting import Acting
from uploader.commands.dialogue import USAGE, fail
from uploader.commands.folders import FolderOfRuns
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import journal_errors
from uploader.commands.journal_option import journal_option

if TYPE_CHECKING:
    from uploader.importing.imported_run import FoundRun, ImportedRun
    from uploader.importing.taking_in import Taken

    Take = Callable[[ImportedRun], Taken]

INCOMPLETE = 4
_CODES = """
  0  all runs that were found are in the journal
  1  the journal cannot be used; the message says why
  2  the arguments cannot be used, or there is no run in the folders
  4  something of a run could not be read, and is named; all else was
     taken in"""
_EPILOG = epilog(
    "import runs/",
    "import runs/detect/train --project demo --name first",
    "import --dry-run old/runs wandb/ mlruns/",
    codes=_CODES,
)


@click.command("import", cls=Acting, epilog=_EPILOG)
@click.argument("folders", nargs=-1, required=True, type=FolderOfRuns(), metavar="FOLDER...")
@journal_option
@click.option("--project", help="Project of the runs, instead of each run's own.")
@click.option("--name", help="Name of the run, instead of its own; for a single run.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be taken in; nothing is written.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def import_(
    *, folders: tuple[Path, ...], journal: Path | None, project: str | None, name: str | None, **flags: bool
) -> NoReturn:
    """Bring in runs that nobody recorded, from their folders and all folders below.

    A run's metrics, arguments, weights and images come in with the times of its files, and are delivered by the next
    drain like any other's. Nothing is written into the folders. What was recorded or imported before is not taken in
    again: of a run that the journal has a part of, what is missing is added, and a folder that has grown may be
    imported again.

    It reads the folders of Ultralytics trainings, and what wandb (offline), MLflow (folders and mlflow.db), Trackio,
    Neptune (offline) and TensorBoard leave. Ultralytics need not be installed; for wandb, Neptune and TensorBoard their
    own library must be.
    """
    as_json = flags["as_json"]
    found = _found(folders, as_json=as_json)
    if name is not None and len(found) > 1:
        fail(f"--name is for a single run, and there are {len(found)}", "import", USAGE, as_json=as_json)
    with journal_errors("import", as_json=as_json), _taker(journal, dry=flags["dry_run"]) as (take, where):
        outcomes = [_outcome(each, _named(take, project, name)) for each in _shown(found, as_json=as_json)]
    code = INCOMPLETE if any(_is_incomplete(each) for each in outcomes) else 0
    if as_json:
        values = {"exit_code": code, "journal": str(where), "dry_run": flags["dry_run"], "runs": outcomes}
        click.echo(json.dumps(values))
    else:
        _tell(outcomes, where, dry=flags["dry_run"])
    sys.exit(code)


def _found(folders: Sequence[Path], *, as_json: bool) -> Sequence[FoundRun]:
    """Return the runs in folders; end the command where there are none."""
    from journal.reading.places import what_is
    from uploader.importing.finding import find_runs
    from uploader.importing.reader import all_readers

    for folder in folders:
        if not folder.is_dir():
            fail(f"there is no folder {folder}", "import", USAGE, as_json=as_json)
        if (what := what_is(folder)) in {"journal", "mirror", "pack"}:
            fail(
                f"{folder} is a {what}: `unpack` brings it into a journal, and `drain` delivers what it has",
                "import",
                USAGE,
                as_json=as_json,
            )
    found = list(find_runs(folders, all_readers()))
    if not found:
        where = ", ".join(map(str, folders))
        fail(f"there is no run in {where}, nor in a folder below", "import", USAGE, as_json=as_json)
    return found


@contextmanager
def _taker(journal: Path | None, *, dry: bool) -> Iterator[tuple[Take, Path]]:
    """Provide what takes in a run, and the folder of the journal; a dry run makes no journal."""
    from journal.locations import default_journal
    from journal.opening import open_with_room
    from journal.reading.places import what_is
    from uploader.importing.taking_in import preview, take_in
    from uploader.settings import Settings

    keys = Settings.load().keys
    where = journal or default_journal()
    if dry and what_is(where) != "journal":
        yield (lambda run: preview(run, keys, where)), where
        return
    with open_with_room(journal) as opened:
        yield (lambda run: take_in(opened, run, keys, dry=dry)), opened.path


def _named(take: Take, project: str | None, name: str | None) -> Take:
    """Return what takes in a run under the names that a person gave."""
    from dataclasses import replace

    names = {"project": project, "name": name}
    chosen: dict[str, Any] = {what: value for what, value in names.items() if value is not None}
    if project is not None:
        chosen["may_name_owner"] = True
    return lambda run: take(replace(run, **chosen))


def _outcome(found: FoundRun, take: Take) -> dict[str, Any]:
    """Take in one run, and return what became of it; what cannot be read stops no other."""
    from uploader.errors import UploaderError
    from uploader.importing.reader import DeletedRun, read_run
    from uploader.run_selection import full_name

    told: dict[str, Any] = {"source": found.source, "folder": str(found.place), "within": found.within}
    try:
        taken = take(read_run(found))
    except DeletedRun as error:
        return {**told, "problems": [], "how": "deleted", "why": str(error)}
    except UploaderError as error:
        return {**told, "problems": [], "error": str(error)}
    problems = [{"what": each.what, "why": each.why, "left_out": each.is_left_out} for each in taken.problems]
    if taken.how == "empty":
        return {**told, "problems": problems, "error": "no step, weights or end of it can be read"}
    return {
        **told,
        "run": taken.run.id,
        "name": full_name(taken.run),
        "how": taken.how,
        "state": taken.state,
        "steps": taken.steps,
        "checkpoints": taken.checkpoints,
        "console": taken.lines,
        "samples": taken.samples,
        "images": taken.images,
        "problems": problems,
        **({"elsewhere": str(taken.journal)} if taken.journal else {}),
    }


def _is_incomplete(outcome: Mapping[str, Any]) -> bool:
    """Return whether something that belongs into a run is not in it."""
    return "error" in outcome or any(not problem["left_out"] for problem in outcome["problems"])


def _shown(found: Sequence[FoundRun], *, as_json: bool) -> Iterator[FoundRun]:
    """Yield the runs, with a progress bar where somebody sees it."""
    if as_json or len(found) == 1 or not sys.stderr.isatty():
        yield from found
        return
    from tqdm import tqdm

    yield from tqdm(found, desc="import", unit=" runs", leave=False, dynamic_ncols=True)


def _tell(outcomes: Sequence[Mapping[str, Any]], where: Path, *, dry: bool) -> None:
    from journal.next_steps import next_command

    for each in outcomes:
        click.echo(_line(each, dry=dry))
        for problem in each["problems"]:
            click.echo(f"  {problem['what']}: {problem['why']}")
    taken = [each for each in outcomes if each.get("how") in {"new", "grown"}]
    if taken and not dry:
        click.echo(f"{count(len(taken), 'run')} taken into {where}; `{next_command('drain', where)}` delivers them")
    elif dry:
        click.echo(f"{count(len(taken), 'run')} would be taken into {where}; nothing was written")


def _line(each: Mapping[str, Any], *, dry: bool) -> str:
    place = each["folder"] + (f" ({each['within']})" if each["within"] else "")
    if "error" in each:
        return f"{place}: not imported: {each['error']}"
    if each["how"] == "deleted":
        return f"{place}: left out: {each['why']}"
    return f"{place}: {_became(each, dry=dry)}"


def _became(each: Mapping[str, Any], *, dry: bool) -> str:
    if each["how"] == "live":
        return f"{each['name']} is being recorded now, so there is nothing to import"
    if each["how"] == "elsewhere":
        return f"{each['name']} is recorded in {each['elsewhere']}; `unpack` brings it in from there"
    if each["how"] == "recorded":
        return f"left out: its program recorded the same run as {each['name']}, which is in the journal"
    if each["how"] == "known":
        return f"{each['name']} is in the journal already"
    noun = "epoch" if each["source"] == "ultralytics" else "step"
    nouns = {
        "steps": noun,
        "checkpoints": "checkpoint",
        "images": "image",
        "console": "console chunk",
        "samples": "sample",
    }
    what = ", ".join(count(each[name], noun) for name, noun in nouns.items() if each[name])
    what = what or ("its end" if each["state"] in {"complete", "failed"} else "its summary")
    now = "; it seems to be trained still: import it again later" if each["state"] == "running" else ""
    return f"{each['name']} {'would be ' if dry else ''}{_HOW[each['how']]}: {what}{now}"


_HOW = {"new": "imported", "grown": "completed"}
