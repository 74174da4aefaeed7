"""`uploader prove`: a file by which somebody else can check what a run has recorded."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, NamedTuple, NoReturn

import click

from journal.disk import replacing
from journal.kinds import DISCLOSED
from journal.quantities import count, readable
from uploader.commands.acting import Acting
from uploader.commands.dialogue import JOURNAL_UNUSABLE, USAGE, fail
from uploader.commands.folders import File
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import opened_journal
from uploader.commands.journal_option import journal_option
from uploader.commands.output_streams import binary_output
from uploader.commands.run_completion import RunName
from uploader.commands.selection import named_runs
from uploader.delivery.draining import settings_for
from uploader.errors import SettingsError
from uploader.settings import proof_key_file

if TYPE_CHECKING:
    from journal import Journal
    from journal.records import Run
    from uploader.proof.signers import Signers
    from uploader.proving.proof_writing import Written

NOTHING = 3
_STANDARD_OUTPUT = Path("-")


class Said(NamedTuple):
    """What else is said.

    Attributes:
        troubles: What was in the way of a countersignature.
        warnings: What is to be known of the key.
    """

    troubles: Sequence[str]
    warnings: Sequence[str]


_CODES = """
  0  the proof was written
  1  the journal cannot be used or is not there, or the file not be written
  2  the arguments or the key cannot be used, or RUN names nothing in the journal
  3  the journal has nothing of the run that can be proven; no file was written"""


@click.command(
    cls=Acting,
    epilog=epilog(
        "prove train-3 -o train-3.proof",
        "prove train-3 -o train-3.proof --countersign",
        "prove train-3 -o train-3.proof --whole --force",
        "prove demo/train-3 -o train-3.proof --json",
        codes=_CODES,
    ),
)
@click.argument("run", type=RunName())
@click.option(
    "-o",
    "--output",
    "out",
    required=True,
    metavar="FILE",
    type=File(dir_okay=False, allow_dash=True),
    help="Where to write the proof; - is the standard output.",
)
@click.option("--whole", is_flag=True, help="Put in the content of every event: settings, machine and console, too.")
@click.option(
    "--countersign", is_flag=True, help="First have the platforms that know RUN countersign what they have not yet."
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def prove(
    *, run: str, out: Path, whole: bool, countersign: bool, force: bool, journal: Path | None, as_json: bool
) -> NoReturn:
    """Write a proof of RUN: a file by which somebody else can `check` what it has recorded, without the journal.

    It lists every event with the hashes of its content and of its checkpoint, and has the content of the results: the
    epochs, checkpoints and the end. All is bound together by signed tree heads. Drains have platforms countersign these
    when a checkpoint or the end has arrived, and a proof holds what they have countersigned.
    """
    if out.exists() and not force and not _is_stream(out):
        fail(f"{out} is there already; --force replaces it", "prove", USAGE, as_json=as_json)
    with opened_journal(journal, "prove", as_json=as_json) as opened:
        from journal.reading.recorded_events import announced_keys
        from uploader.proving.key_files import cautions, signers

        opened.fallbacks.ingest()
        opened.flush()  # what is shown to somebody else survives a power cut here
        chosen = _the_run(opened, run)
        is_new = not ((file := proof_key_file()) and file.exists())
        try:
            signs = signers(opened.path)
        except SettingsError as error:
            fail(str(error), "prove", USAGE, as_json=as_json)
        with opened.begin(read_only=True) as connection:
            warnings = cautions(is_new, announced_keys(connection, chosen.id).values(), signs)
        troubles = _countersigned(opened, chosen, signs, journal) if countersign else []
        written = _write(opened, chosen, signs, out, whole=whole, as_json=as_json)
    _tell(out, chosen, signs, written, Said(troubles, warnings), as_json=as_json)
    sys.exit(0)


def _the_run(opened: Journal, name: str) -> Run:
    (run_id,) = named_runs(opened, [name])
    with closing(opened.outbox()) as outbox:
        return next(each for each in outbox.routes.runs() if each.id == run_id)


def _countersigned(opened: Journal, run: Run, signs: Signers, folder: Path | None) -> list[str]:
    """Have the run countersigned; return in words what was in the way."""
    from uploader.proving.countersigning import countersign

    try:
        return list(countersign(opened, run.id, settings_for(folder), signs))
    except SettingsError as error:
        return [str(error)]


def _write(opened: Journal, run: Run, signs: Signers, out: Path, *, whole: bool, as_json: bool) -> Written:
    from uploader.proving.proof_writing import NothingToProve, write_proof

    try:
        with _streaming(out) if _is_stream(out) else replacing(out) as file:
            return write_proof(opened, run, signs, file, lambda kind: whole or kind in DISCLOSED)
    except NothingToProve:
        why = "its events were pruned, or it was recorded before events were numbered"
        fail(f"the journal has no events of {run.name} to prove: {why}", "prove", NOTHING, as_json=as_json)
    except OSError as error:
        fail(f"{out} cannot be written ({error.strerror or error})", "prove", JOURNAL_UNUSABLE, as_json=as_json)


def _is_stream(out: Path) -> bool:
    """Return whether what is written there goes on to somebody or nobody, as by a pipe or a device."""
    return out == _STANDARD_OUTPUT or (out.exists() and not out.is_file())


@contextmanager
def _streaming(out: Path) -> Iterator[IO[bytes]]:
    """Write to the standard output, a pipe or a device, once all of it is there."""
    with TemporaryFile() as whole:
        yield whole
        whole.seek(0)
        with nullcontext(binary_output()) if out == _STANDARD_OUTPUT else out.open("wb") as stream:
            shutil.copyfileobj(whole, stream)
            stream.flush()


def _tell(out: Path, run: Run, signs: Signers, written: Written, said: Said, *, as_json: bool) -> None:
    key = str(signs.key) if signs.key else None
    say = partial(click.echo, err=_is_stream(out))  # of the proof itself, nothing else may come between
    if as_json:
        say(json.dumps({"file": str(out), "run": run.id, "key": key, **vars(written), **said._asdict()}))
        return
    of = f"{count(written.events, 'event')} of {run.name}, with the content of {written.disclosed}"
    say(f"{out}: {of}; {readable(written.bytes)}")
    for line in [*_notes(key, written), *(f"not countersigned: {each}" for each in said.troubles), *said.warnings]:
        say(f"  {line}")


def _notes(key: str | None, written: Written) -> list[str]:
    """Return in words what whoever hands the proof on should know of it."""
    from uploader.proof.ed25519 import ADVICE

    notes = [f"signed by\n    {key}" if key else f"unsigned, so that anybody could have made it: {ADVICE}"]
    if written.countersigned:
        notes.append(f"countersigned: {count(written.countersigned, 'event')}")
    if written.outdated:
        notes.append("a platform has countersigned other events than the journal has, or more of them")
    if written.beyond:
        notes.append(f"not covered: {count(written.beyond, 'event')} with numbers after a missing one")
    return notes
