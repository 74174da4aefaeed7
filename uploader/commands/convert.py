"""`uploader convert`: have a platform convert a run's model once it is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from uploader.commands.acting import Acting
from uploader.commands.help_texts import epilog
from uploader.commands.journal_option import journal_option
from uploader.commands.run_completion import RunName
from uploader.commands.wanting import say_wanted
from uploader.platforms.registry import formats

_EPILOG = epilog("convert train-3 onnx", "convert latest engine half=true imgsz=640", "drain")


_WORDS = {"True": True, "False": False, "None": None}
"""What Ultralytics' own command line takes for more than text."""


@click.command(cls=Acting, epilog=_EPILOG)
@click.argument("run", metavar="RUN", type=RunName())
@click.argument("format", type=click.Choice(formats()), metavar="FORMAT")
@click.argument("arguments", metavar="[NAME=VALUE...]", nargs=-1)
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def convert(*, run: str, format: str, arguments: tuple[str, ...], journal: Path | None, as_json: bool) -> None:
    """Have the platform convert a run's model into another format.

    RUN is a run's name, project/name, the beginning of its id, its folder, or latest. FORMAT is one of Ultralytics'
    formats, such as onnx, engine or coreml; NAME=VALUE are arguments of its export. No network is needed: it is
    recorded in the journal, and the drain orders it once all that was recorded of the run before has arrived and the
    training is over. The platform makes the conversion in its own time, and has it for download then.
    """
    args = _arguments(arguments)

    def record() -> Wanted:
        return intents.convert(run, format, args=args, journal=journal)

    from uploader import intents
    from uploader.intents import Wanted

    say_wanted(record, "convert", journal, "orders a conversion into {}", as_json=as_json)


def _arguments(given: Sequence[str]) -> dict[str, Any]:
    """Return arguments by name; a value is JSON, else text.

    Raises:
        UsageError: One has no name.
    """
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise click.UsageError(f"'{one}' is not of the form NAME=VALUE")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text)
    except ValueError:
        return text
