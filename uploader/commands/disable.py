"""`uploader disable`: undo `enable`."""

from __future__ import annotations

import sys

import click

from uploader.commands.help_texts import epilog

_CODES = """
  0  nothing is enabled now
  1  a file cannot be removed; the message says why
  2  the arguments cannot be used"""


@click.command(epilog=epilog("disable", codes=_CODES))
def disable() -> None:
    """Have no training of this Python recorded by itself any more; scripts that attach still record.

    It removes the files that `enable` has written for all users and for this one.
    """
    from uploader.enabling import enabled_by

    files = enabled_by()
    for file in files:
        try:
            file.unlink()
        except OSError as error:
            click.echo(f"uploader disable: {file} cannot be removed ({error.strerror}); remove it by hand", err=True)
            sys.exit(1)
        click.echo(f"Removed {file}")
    if not files:
        click.echo(f"Nothing was enabled for {sys.executable}")
