"""The MIRROR argument: a folder or an address, and the store there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from uploader.commands.dialogue import JOURNAL_UNUSABLE, fail
from uploader.commands.folders import refuse_shared

if TYPE_CHECKING:
    from journal.mirror.stores import Store

DAMAGED = 4
"""Exit code where something of a mirror is damaged or missing."""


class MirrorAddress(click.ParamType):  # type: ignore[type-arg]
    """A mirror's folder, made absolute, or the URL of an object store."""

    name = "mirror"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address; end the command where it cannot be one."""
        from journal.mirror.mirror_addresses import checked_mirror

        refuse_shared(value, param, ctx)
        if not value:
            self.fail("it is empty, perhaps from a variable that is not set; name a folder", param, ctx)
        try:
            return checked_mirror(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


mirror_argument = click.argument("address", metavar="MIRROR", type=MirrorAddress())


def opened_mirror(address: str, command: str, *, as_json: bool) -> Store:
    """Return the store of a mirror that is there; else end the command with a message.

    Args:
        address: From `mirror_argument`.
        command: The command's name, for the message.
        as_json: Whether to print the message as JSON.
    """
    from journal.errors import MirrorUnavailable
    from journal.mirror.mirror_addresses import open_mirror

    try:
        return open_mirror(address)
    except MirrorUnavailable as error:
        fail(str(error), command, JOURNAL_UNUSABLE, as_json=as_json)


def counter(what: str, *, as_json: bool) -> Callable[[], object]:
    """Return what shows on a terminal, at each call, that one more was done."""
    if as_json or not sys.stderr.isatty():
        return lambda: None
    from tqdm import tqdm

    return tqdm(desc=what, unit="", dynamic_ncols=True, leave=False).update
