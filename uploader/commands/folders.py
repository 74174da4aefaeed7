"""The folders that a person names on the command line, or by the environment."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import click


class Folder(click.Path):
    """A folder that is there, or could be made; absolute, and with its `~` resolved.

    Files that are given to services and containers hold a `~` as it is, and no shell resolves it.
    """

    def __init__(self) -> None:
        """Take no files."""
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the folder; end the command where there cannot be one."""
        from journal.locations import expanded

        if not os.fspath(value):
            self.fail("it is empty, as from a variable that is not set; name a folder", param, ctx)
        folder = expanded(value)
        if why := unusable_reason(folder):
            self.fail(f"{folder} {why}; name another folder", param, ctx)
        return folder


def unusable_reason(folder: Path) -> str | None:
    """Return in words why there can be no folder of this name; None where there is one, or it is not known."""
    try:
        return None if stat.S_ISDIR(folder.stat().st_mode) else "is no folder"
    except (FileNotFoundError, PermissionError):
        return None
    except NotADirectoryError:
        return "cannot be made, as a part of it is no folder"
    except OSError as error:
        return f"cannot be used ({error.strerror})"
