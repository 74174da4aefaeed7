"""`uploader unpack`: bring packs, or other journals, into a journal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from uploader.commands.acting import Acting
from uploader.commands.dialogue import JOURNAL_UNUSABLE
from uploader.commands.folders import Folder, JournalOrPack, usable_default
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import journal_errors
from uploader.commands.mirror_option import DAMAGED
from uploader.commands.packs import bring_in, came_in

if TYPE_CHECKING:
    from journal.mirror.restoring import Restored

_CODES = """
  0  done
  1  a journal or a pack cannot be used, or something of one was not taken
     in; the message says which and why. All others were
  2  the arguments cannot be used
  4  something of a mirror is damaged or missing; all else was taken in"""


@click.command(
    cls=Acting,
    epilog=epilog("unpack runs.pack", "unpack a.pack b.pack --into merged", "unpack nodes/*/journal", codes=_CODES),
)
@click.argument("sources", nargs=-1, required=True, type=JournalOrPack(), metavar="SOURCE...")
@click.option(
    "--into",
    "journal",
    type=Folder(),
    metavar="JOURNAL",
    callback=usable_default,
    help="Folder of the journal; made if it is new.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def unpack(*, sources: tuple[Path, ...], journal: Path | None, as_json: bool) -> NoReturn:
    """Bring packs, mirrors and other journals into one journal.

    Each event and each checkpoint comes in once, whatever has it and however often; what a platform has taken already
    is known here, too, and is not sent again. The order does not matter. A pack that was torn or altered is refused
    whole. Nothing is taken out of the sources. A journal that could not be made has its fallback files brought in.
    """
    from journal.errors import JournalError
    from journal.opening import open_with_room

    done: dict[str, Restored | str] = {}
    with journal_errors("unpack", as_json=as_json), open_with_room(journal) as opened:
        for source in sources:
            try:
                done[str(source)] = bring_in(source, opened, shown=not as_json)
            except JournalError as error:
                done[str(source)] = str(error)
        where = opened.path
    _show(where, done, as_json=as_json)
    codes = {_exit_code(source, one) for source, one in done.items()}
    sys.exit(next(code for code in (JOURNAL_UNUSABLE, DAMAGED, 0) if code in codes))


def _exit_code(source: str, one: Restored | str) -> int:
    from journal.reading.places import what_is

    if isinstance(one, str):
        return JOURNAL_UNUSABLE
    if what_is(source) == "mirror":
        return DAMAGED if one.troubles else 0
    return JOURNAL_UNUSABLE if one.damaged else 0


def _show(where: Path, done: dict[str, Restored | str], *, as_json: bool) -> None:
    if as_json:
        values = [{"source": name, **_values(one)} for name, one in done.items()]
        click.echo(json.dumps({"journal": str(where), "sources": values}))
        return
    for name, one in done.items():
        click.echo(f"{name}: {one if isinstance(one, str) else came_in(one)}")
    click.echo(f"journal {where}")


def _values(one: Restored | str) -> dict[str, object]:
    if isinstance(one, str):
        return {"error": one}
    names = ("events", "checkpoints", "bytes", "delivered")
    return {
        "runs": len(one.runs),
        **{name: getattr(one, name) for name in names},
        "refused": one.damaged,
        "missing": [*one.gaps, *one.missing],
    }
