"""The command line: `uploader COMMAND`, or `python -m uploader COMMAND`."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from importlib import import_module
from keyword import iskeyword
from traceback import format_exception
from typing import Any

import click

from uploader.commands.hidden_secrets import HiddenSecrets
from uploader.commands.output_streams import tolerant_streams

COMPLETION = "_UPLOADER_COMPLETE"
"""The variable by which a shell asks click what a word can be completed to."""

# Each is the function of that name in the module of that name, loaded when it is used. (Python's own words get a "_".)
COMMANDS = (
    "check",
    "collect",
    "convert",
    "dataset",
    "describe",
    "disable",
    "doctor",
    "drain",
    "drop",
    "enable",
    "exec",
    "export",
    "import",
    "logs",
    "mirror",
    "pack",
    "prefetch",
    "prove",
    "prune",
    "receipts",
    "resend",
    "restore",
    "retry",
    "route",
    "serve",
    "show",
    "status",
    "unpack",
    "verify",
    "view",
    "wait",
    "where",
)


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is run, or listed."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command; what it prints, and where that goes, changes nothing of what it does."""
        typed = options.get("args") or (arguments[0] if arguments else None) or sys.argv[1:]
        ours = [value for name, value in os.environ.items() if name.startswith("UPLOADER_")]
        secrets = HiddenSecrets([*typed, *ours])
        # What a shell completes, click prints as bytes, for which the tolerant streams are not made.
        with nullcontext() if COMPLETION in os.environ else tolerant_streams(secrets):
            try:
                return super().main(*arguments, **options)
            except Exception as error:
                sys.stderr.write("".join(format_exception(error)))
                raise SystemExit(1) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name, None when there is none."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        try:
            import_module("uploader.names")
        except ImportError as error:
            raise click.ClickException(str(error)) from error
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command = getattr(import_module(f"uploader.commands.{name}"), name)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="offline-uploader")
def main() -> None:
    """Record training runs offline, and deliver them when the platform can be reached."""


if __name__ == "__main__":
    main(prog_name="uploader")
