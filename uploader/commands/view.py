"""`uploader view`: look at the runs of a journal, a mirror or a pack in a browser."""

from __future__ import annotations

import gc
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uploader.commands.folders import JournalOrPack, usable_default
from uploader.commands.help_texts import epilog
from uploader.commands.journal_access import journal_errors, require_journal
from uploader.commands.server_endings import caught_signals, wait_for_end

if TYPE_CHECKING:
    from uploader.dashboard.run_source import RunSource

_CODES = """
  0  ended by Ctrl-C or SIGTERM
  1  the place cannot be read, or the pages not be served; the message says why
  2  the arguments cannot be used"""

_VALUES = 20_000
_ELSEWHERE = "name its folder, as in view FOLDER, or by UPLOADER_JOURNAL"


@click.command(
    epilog=epilog("view", "view /content/drive/MyDrive/mirror", "view node7.pack --no-open", codes=_CODES),
)
@click.argument("place", metavar="[PLACE]", type=JournalOrPack(), required=False, callback=usable_default)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="a free one",
    help="Port to listen on, on this machine only.",
)
@click.option(
    "--open/--no-open", "opens", default=True, show_default=True, help="Open a browser, where this machine has one."
)
def view(place: Path | None, *, port: int, opens: bool) -> None:
    """Look at runs in a browser: live, read only, and with nothing delivered yet.

    PLACE is a journal's folder, the URL of a shared one (postgresql://...), a mirror (a folder or an address such as
    s3://bucket/name) or a pack; by default the journal that UPLOADER_JOURNAL names, or else the one that trainings on
    this machine write to.

    The address that is printed holds a token, without which nobody on this machine sees anything. To look from another
    machine, forward the port: ssh -L 8766:localhost:8766 HOST, with --port 8766 there.
    """
    try:
        from uploader.viewing.serving import prepare_pages, serving
        from uploader.viewing.token_gate import new_token
    except ImportError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'offline-uploader[serve]'") from error

    endings = caught_signals()
    with journal_errors("view", as_json=False), _source(place) as source:
        _prepare_collector()
        try:
            with serving(source, new_token(), port, on_exit=lambda: endings.put("failure")) as address:
                click.echo(f"{source.title}\nOpen this in a browser: {address}\nCtrl-C ends it.")
                if opens and _has_browser():
                    webbrowser.open(address)
                prepare_pages()
                wait_for_end(endings)
        except OSError as error:
            raise click.ClickException(str(error).replace("--host or ", "")) from error


@contextmanager
def _source(place: Path | None) -> Iterator[RunSource]:
    from journal.locations import default_journal
    from journal.reading.places import address_of, what_is
    from uploader.viewing.journal_source import JournalSource
    from uploader.viewing.taken_copy import viewed_mirror, viewed_pack

    what = what_is(place) if place is not None else "journal"
    if place is not None and what == "mirror":
        with viewed_mirror(address_of(place) or str(place)) as source:
            yield source
    elif place is not None and what == "pack":
        with viewed_pack(place) as source:
            yield source
    else:
        require_journal(place, "view", as_json=False, elsewhere=_ELSEWHERE)
        with closing(JournalSource(place if place is not None else default_journal())) as journal:
            journal.runs()  # one that cannot be read is told of here, not on each page
            yield journal


def _prepare_collector() -> None:
    """Have the collector look more rarely, and at less: a run that is read is thousands of values and no garbage."""
    gc.freeze()  # what is loaded by now stays
    gc.set_threshold(_VALUES)


def _has_browser() -> bool:
    """Return whether a person sits here who has a browser; one in a terminal would take the terminal over."""
    from uploader.settings import has_display

    return sys.stdout.isatty() and has_display()
