"""`uploader doctor`: check a journal, and recover what can be read of a damaged one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journal.quantities import count, epochs_in_words, readable
from journal.shared_addresses import shared_url, told
from uploader.commands.dialogue import JOURNAL_UNUSABLE
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import require_journal
from uploader.commands.journal_option import journal_argument, journal_or_url_option
from uploader.commands.output_streams import work_goes_on
from uploader.platforms.registry import journal_folders

if TYPE_CHECKING:
    from journal.doctor import Examination, Finding, Recovery

_NOUNS = {"deliveries": "delivery", "fallback_imports": "fallback import"}
"""What a row of a table is, where it is not the table's name without its -s."""
_CODES = """
  0  the journal is healthy, or --repair made it so; there may be notices
  1  there is trouble, each with its next step: dead letters, runs that were
     refused as a whole and a key that a drain found refused, too; a damaged
     journal stays damaged, as --repair copies what can be read into a new one"""
_EPILOG = epilog(
    "doctor",
    "doctor --deep",
    "doctor --journal runs/journal --repair",
    "doctor postgresql://uploader@db.lab/uploader",
    codes=_CODES,
)


@click.command(epilog=_EPILOG)
@journal_argument
@journal_or_url_option
@click.option("--deep", is_flag=True, help="Also read and hash every checkpoint, however large.")
@click.option("--repair", is_flag=True, help="Mend what can be mended; see above.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(journal: Path | None, deep: bool, repair: bool, as_json: bool) -> None:
    """Check the journal, which may be in use, without changing it.

    Of a shared journal it checks the server, your rights there, the clocks, transactions that are open for long, drains
    that are gone and what no drain works on, and whether the checkpoints that are to be sent are there.

    With --repair, other users lose their permissions on the journal, epochs that only results.csv has are taken in, and
    what can be read of a damaged journal is copied into a new one, JOURNAL-recovered-TIME; the damaged one stays as it
    is.
    """
    from journal.locations import default_journal

    if journal is None:
        require_journal(None, "doctor", as_json=as_json, may_be_none=True)
    folder = journal or default_journal()
    if repair and shared_url(folder):
        raise click.UsageError("--repair is for a journal in a folder; a shared journal is its server's to repair")
    examination = _examine(folder, deep)
    if repair:
        work_goes_on()
    repairs = _repair(examination) if repair else {}
    if repairs.get("closed") or repairs.get("epochs"):
        examination = _examine(folder, deep)  # what is left; a file system may take no permissions
    click.echo(_as_json(examination, repairs) if as_json else _as_text(examination, repairs))
    sys.exit(0 if examination.healthy else JOURNAL_UNUSABLE)


def _examine(folder: Path, deep: bool) -> Examination:
    """Check the journal, and whether another project has overwritten our modules."""
    from journal.doctor import examine, examine_shared
    from uploader.run_folder.results_file import record_of

    url = shared_url(folder)
    examination = (
        examine_shared(url) if url else examine(folder, deep=deep, kept=journal_folders(), record_of=record_of)
    )
    return replace(examination, findings=(*examination.findings, *_check_names(), *_check_enabling()))


def _check_names() -> Iterator[Finding]:
    from journal.doctor.findings import notice, some, trouble
    from uploader.installation import DISTRIBUTION, other_projects, shared, what_to_do

    for other in other_projects():
        files = shared(other)
        lost = [str(path) for path, is_ours in files.items() if not is_ours]
        if lost:
            yield trouble("names-overwritten", f"{other} has put its files over ours: {some(lost)}", what_to_do(other))
        elif files:
            detail = f"{other} lists files as its own that are {DISTRIBUTION}'s: {some([str(path) for path in files])}"
            yield notice("names-shared", detail, f"Uninstalling it would remove them. {what_to_do(other)}")


def _check_enabling() -> Iterator[Finding]:
    from journal.doctor.findings import notice, trouble
    from uploader.enabling import enabled_by, is_stale

    for file in enabled_by():
        if is_stale(file):
            detail = f"{file} is of another installation, and may record nothing of what this Python trains"
            yield trouble("enabling-stale", detail, "Run `python -m uploader enable`, which replaces it.")
        else:
            detail = f"every training of this Python is recorded, because of {file}"
            yield notice("enabled", detail, "`python -m uploader disable` removes it.")


def _repair(examination: Examination) -> dict[str, Any]:
    """Repair what can be repaired; return what was done, or why it failed."""
    from journal import JournalError
    from journal.clock import utc_now
    from journal.doctor import DAMAGE, SALVAGEABLE, close_to_others, recover_journal

    done: dict[str, Any] = {}
    try:
        codes = {finding.code for finding in examination.findings}
        if "open-to-others" in codes:
            done["closed"] = [str(path) for path in close_to_others(examination.journal, journal_folders())]
        if codes & DAMAGE:
            done["recovery"] = recover_journal(examination.journal, utc_now())
        elif SALVAGEABLE in codes:
            done["epochs"] = _take_in_epochs(examination.journal)
    except (JournalError, OSError) as error:
        done["failure"] = str(error)
    return done


def _take_in_epochs(folder: Path) -> dict[str, list[int]]:
    """Take in the epochs that only trainers' own records have; return their numbers, from 0, by run."""
    import journal
    from uploader.run_folder.results_file import record_of

    with journal.open(folder) as opened:
        over = opened.runs_over(finished=True)
        return {run.id: taken for run in over if (taken := opened.salvage_epochs(run, record_of(run)))}


def _as_json(examination: Examination, repairs: dict[str, Any]) -> str:
    """Return all findings and repairs as one object."""
    shown = {
        **asdict(examination),
        "journal": told(examination.journal),
        "healthy": examination.healthy,
        "repairs": repairs,
    }
    return json.dumps(shown, default=lambda value: str(value) if isinstance(value, Path) else asdict(value))


def _as_text(examination: Examination, repairs: dict[str, Any]) -> str:
    from journal.doctor.findings import some

    verdict = "healthy" if examination.healthy else "in trouble"
    lines = [f"{told(examination.journal)}: {', '.join([verdict, *_held(examination)])}"]
    for finding in examination.findings:
        lines += [f"\n{finding.weight}: {finding.detail}", f"  {finding.next_step}"]
    if closed := repairs.get("closed"):
        lines.append(f"\nTook other users' permissions away from {some(closed)}.")
    if taken := repairs.get("epochs"):
        lines.append(f"\nTook in {some([f'{epochs_in_words(epochs)} of {run}' for run, epochs in taken.items()])}.")
    if recovery := repairs.get("recovery"):
        lines += ["", *_recovered(examination, recovery)]
    if failure := repairs.get("failure"):
        lines.append(f"\nThe repair failed: {failure}")
    return "\n".join(lines)


def _held(examination: Examination) -> list[str]:
    """Return what the journal holds; nothing of a shared one that could not be opened."""
    if shared_url(examination.journal) and not examination.bytes:
        return []
    return [count(examination.events, "event"), count(examination.blobs, "checkpoint"), readable(examination.bytes)]


def _recovered(examination: Examination, recovery: Recovery) -> list[str]:
    kept = sorted((table, number) for table, number in recovery.kept.items() if number)
    rows = ", ".join(count(number, _NOUNS.get(table, table[:-1])) for table, number in kept)
    changed = [f"  changed: {what}" for what in recovery.changed]
    lost = [f"  lost: {what}" for what in recovery.lost]
    return [
        f"What could be read is in {recovery.folder}: {rows}, {count(recovery.blobs, 'checkpoint')}.",
        *(changed + lost or ["  Nothing is known to be lost."]),
        "The old journal was left as it is. To go on with the new one, stop what writes to the old one, move it away,",
        f"and rename the new one to {examination.journal.name}.",
    ]
