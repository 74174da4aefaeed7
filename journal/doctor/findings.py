"""What an examination finds, each with the next step."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from journal.next_steps import next_command


@dataclass(frozen=True)
class Finding:
    """One thing that an examination found.

    Attributes:
        code: A stable name, for scripts.
        weight: `trouble` if something is lost, unsafe or about to fail; `notice` if it is good to know.
        detail: What was found, and where.
        next_step: What to do.
    """

    code: str
    weight: Literal["trouble", "notice"]
    detail: str
    next_step: str


def trouble(code: str, detail: str, next_step: str) -> Finding:
    """Return a finding that makes the journal unhealthy."""
    return Finding(code, "trouble", detail, next_step)


def notice(code: str, detail: str, next_step: str) -> Finding:
    """Return a finding that leaves it healthy."""
    return Finding(code, "notice", detail, next_step)


def repair(journal: Path) -> str:
    """Return the next step for damage."""
    command = next_command("doctor --repair", journal)
    return f"Run `{command}`: it copies what can be read into a new journal and leaves this one."


def give_back_owner(journal: Path) -> str:
    """Return the next step where files of a journal belong to somebody else."""
    command = f'sudo chown -R "$(id -un)" {shlex.quote(str(journal.absolute()))}'
    return f"`{command}` gives them back; they belong to whoever ran a command there, as by `sudo`."


def some(things: list[str], limit: int = 3) -> str:
    """Return the first few things, and how many more there are."""
    more = f" and {len(things) - limit} more" if len(things) > limit else ""
    return ", ".join(things[:limit]) + more
