"""`uploader enable`: have every training of this Python's environment recorded from now on."""

from __future__ import annotations

import sys

import click

from uploader.commands.help_texts import epilog

_CODES = """
  0  done
  1  the file cannot be written, or this Python does not run it; the message
     says what to do
  2  the arguments cannot be used"""

_INSTEAD = "`python -m uploader exec -- COMMAND` needs no file."


@click.command(epilog=epilog("enable", "enable --user", codes=_CODES))
@click.option("--user", is_flag=True, help="For this user alone, where others share the Python.")
def enable(user: bool) -> None:
    """Have every training with Ultralytics recorded that this Python runs, without changing a script.

    It writes one small file into the environment's site-packages, which installs an import hook whenever this Python
    starts; that takes less than a millisecond where Ultralytics is not imported. Where trainings are recorded is
    chosen as ever, by the environment: UPLOADER_JOURNAL, UPLOADER_MIRROR, UPLOADER_DRAIN. UPLOADER_ENABLED=0 leaves a
    command out. What a script attaches or detaches itself stays as the script has it. `python -m uploader disable`
    removes the file; run that before uninstalling. Each Python, each virtual environment too, is enabled by its own.
    """
    from uploader.enabling import enable as write
    from uploader.enabling import environment_file, is_at_work, user_file

    if (file := user_file() if user else environment_file()) is None:
        raise click.UsageError(f"{sys.prefix} looks for nothing in this user's site-packages; leave --user out")
    try:
        write(file)
    except OSError as error:
        hint = "" if user or user_file() is None else ", or for this user alone with --user"
        click.echo(
            f"uploader enable: {file} cannot be written ({error.strerror}); run this as whoever installs packages "
            f"there{hint}. {_INSTEAD}",
            err=True,
        )
        sys.exit(1)
    if not is_at_work():
        click.echo(f"uploader enable: {sys.executable} does not run {file}. {_INSTEAD}", err=True)
        sys.exit(1)
    click.echo(f"Every training that {sys.executable} runs is recorded from now on, because of {file}")
