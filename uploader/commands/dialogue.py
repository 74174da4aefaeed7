"""Asking a person, and ending a command with its exit code and the reason."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import click

JOURNAL_UNUSABLE = 1
USAGE = 2


def fail(message: str, command: str, code: int, *, as_json: bool) -> NoReturn:
    """End the command with an exit code and the reason; as JSON it goes to stdout, else to stderr.

    Args:
        message: The reason, and what to do.
        command: The command's name.
        code: The exit code.
        as_json: Whether to print one JSON object.
    """
    if as_json:
        click.echo(json.dumps({"exit_code": code, "error": message}))
    else:
        click.echo(f"uploader {command}: {message}", err=True)
    sys.exit(code)


def require_yes(command: str, *, yes: bool, as_json: bool) -> None:
    """End a command that would have to ask a question although only JSON is to be printed.

    Args:
        command: The command's name, for the message.
        yes: Whether `--yes` was given, so that no question is asked.
        as_json: Whether to print one JSON object.
    """
    if as_json and not yes:
        fail("--json asks no questions; give --yes as well", command, USAGE, as_json=True)


def ask(question: str, *, yes: bool) -> None:
    """Ask on stderr, and end the command unless the answer is yes; with `yes` nothing is asked."""
    if not yes:
        click.confirm(question, abort=True, err=True)
