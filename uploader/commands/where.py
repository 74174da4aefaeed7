"""`uploader where`: which machine this is, which folders are used on it, and what their files outlast."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journal.shared_addresses import shared_url, without_password
from uploader.commands.dialogue import JOURNAL_UNUSABLE
from uploader.commands.help_texts import epilog
from uploader.commands.journal_option import journal_or_url_option
from uploader.commands.phrases import an_earlier_journal

if TYPE_CHECKING:
    from journal.surroundings.place import Place, Surroundings

_ENDS = ("process", "session", "machine")
_CODES = """
  0  done
  1  no file can be kept here, neither in the journal nor in a fallback folder
  2  the arguments cannot be used"""


@click.command(epilog=epilog("where", "where --json", "where --journal runs/journal", codes=_CODES))
@journal_or_url_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def where(journal: Path | None, as_json: bool) -> None:
    """Say what kind of machine this is, where the journal is, and what that outlasts.

    It tells apart a restarted kernel or killed training, the end of the notebook's session, job or container, and the
    loss of the machine with its disk; and it names the one step that would make the journal safer. Of a shared
    journal it says where trainings on this machine record what is brought into it. It changes nothing.
    """
    from journal.locations import surroundings

    account = _account(journal, surroundings())
    click.echo(json.dumps(account) if as_json else "\n".join(_as_text(account)))
    sys.exit(0 if _can_keep_something(account) else JOURNAL_UNUSABLE)


def _account(named: Path | None, here: Surroundings) -> dict[str, Any]:
    """Return all that the command says, as JSON has it."""
    from journal.locations import (
        choose_journal,
        chosen_journal,
        chosen_mirror,
        earlier_journal,
        fallback_folders,
        node_journal,
    )
    from journal.surroundings.machines import Outlasts
    from uploader.enabling import enabled_by
    from uploader.recording.place_advice import advice

    chosen = choose_journal()
    is_named = named is not None and named != chosen_journal()
    shared = shared_url(named or "")
    folder = node_journal(shared) if shared else named or chosen.folder
    named_mirror = chosen_mirror()
    mirror, unusable = _checked(named_mirror) if named_mirror else (None, None)
    drains = _drains()
    machine = {"name": here.machine.name, "title": here.machine.title, "ends": here.machine.ends}
    return {
        "machine": {**machine, "recognised_by": here.signs, "source": here.machine.source},
        "journal": {**_use(folder, here), "chosen": _why(is_named, chosen.why, shared)},
        "shared_journal": without_password(shared) if shared else None,
        "fallback_folders": [_use(one, here) for one in fallback_folders()],
        "mirror": unusable or (_mirror(mirror, here) if mirror else None),
        "kept_here": [_described(one) for one in here.known() if one.outlasts is Outlasts.MACHINE],
        "earlier_journal": str(earlier) if (earlier := earlier_journal(folder)) else None,
        "drain_beside_trainings": drains,
        "enabled_by": [str(file) for file in enabled_by()],
        "advice": advice(folder, here, mirror, drains=drains, shared=without_password(shared) if shared else None),
    }


def _why(is_named: bool, otherwise: str, shared: str | None) -> str:
    """Return why the journal is the one that trainings here write to."""
    if shared:
        return f"trainings on this machine write to it what `collect` brings into {without_password(shared)}"
    return "it was named" if is_named else otherwise


def _drains() -> bool:
    """Return whether the environment has a drain kept beside each training."""
    from uploader.errors import SettingsError
    from uploader.settings import Settings

    with suppress(SettingsError):  # of an address, which is no question here
        return Settings.load().drain
    return False


def _use(folder: Path, here: Surroundings) -> dict[str, Any]:
    """Return a folder that we write to, as it is named, and why no file can be kept in it."""
    from journal.disk import why_no_files

    return {**_described(here.place(folder)), "folder": str(folder), "refused": why_no_files(folder)}


def _checked(named: str) -> tuple[str | None, dict[str, Any] | None]:
    """Return the address that `UPLOADER_MIRROR` names, or else, for the account, why a training refuses it."""
    from journal.mirror.mirror_addresses import checked_mirror
    from uploader.addresses import shown

    try:
        return checked_mirror(named), None
    except ValueError as error:
        address = shown(named) if "://" in named else named
        nothing = {"address": address, "is": "no mirror: a training with this UPLOADER_MIRROR does not begin"}
        return None, {**nothing, "outlasts": dict.fromkeys(_ENDS, False), "refused": f"UPLOADER_MIRROR: {error}"}


def _mirror(address: str, here: Surroundings) -> dict[str, Any]:
    """Return where a training is mirrored to; of an object store nothing is known here."""
    if "://" in address:
        return {"address": address, "is": "an object store", "outlasts": dict.fromkeys(_ENDS, True), "refused": None}
    return {**_use(Path(address), here), "address": address}


def _described(place: Place) -> dict[str, Any]:
    from journal.surroundings.machines import Outlasts

    outlasts = {end: place.outlasts >= Outlasts[end.upper()] for end in _ENDS}
    return {"folder": str(place.folder), "is": place.why, "file_system": place.file_system, "outlasts": outlasts}


def _can_keep_something(account: dict[str, Any]) -> bool:
    return any(one["refused"] is None for one in (account["journal"], *account["fallback_folders"]))


def _as_text(account: dict[str, Any]) -> Iterator[str]:
    from uploader.enabling import is_stale

    machine = account["machine"]
    signs = f" (recognised by {', '.join(machine['recognised_by'])})" if machine["recognised_by"] else ""
    yield f"This is {machine['title']}{signs}."
    if machine["source"]:
        yield f"  {machine['source']}"
    yield f"\njournal {account['journal']['folder']}"
    yield f"  chosen because {account['journal']['chosen']}"
    yield from _place_in_words(account["journal"], machine["ends"])
    if account["shared_journal"]:
        yield f"\nshared journal {account['shared_journal']}"
        yield "  in a database, which outlasts this machine; what was not collected yet does not"
    for one in account["fallback_folders"]:
        yield f"\nevents that it cannot take: {one['folder']}"
        yield from _place_in_words(one, machine["ends"])
    if mirror := account["mirror"]:
        yield f"\nmirror {mirror['address']}"
        yield from _place_in_words(mirror, machine["ends"])
    for one in account["kept_here"]:
        yield f"\nkept when the machine is lost: {one['folder']}, {one['is']}"
    for file in account["enabled_by"]:
        known = "it is of another installation, see `doctor`" if is_stale(Path(file)) else "see `enable`"
        yield f"\nevery training of this Python is recorded, because of {file}; {known}"
    yield from _next_steps(account)


def _place_in_words(place: dict[str, Any], ends: str) -> Iterator[str]:
    if place["refused"]:
        yield f"  no file can be kept there: {place['refused']}"
    yield f"  {place['is']}"
    session, machine = ("yes" if place["outlasts"][what] else "no" for what in ("session", "machine"))
    process = "yes" if place["outlasts"]["process"] else "no"
    yield f"  outlasts a killed process: {process}; {ends}: {session}; the loss of the machine: {machine}"


def _next_steps(account: dict[str, Any]) -> Iterator[str]:
    if account["earlier_journal"]:
        yield f"\n{an_earlier_journal(Path(account['earlier_journal']))}"
    if advice := account["advice"]:
        yield f"\nsafer: {advice}"
