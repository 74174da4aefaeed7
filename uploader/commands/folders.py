"""The folders that a person names on the command line, or by the environment."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import click

from journal.shared_addresses import as_path, shared_url, why_unusable, without_password
from uploader.addresses import shown

ON_SHARED_JOURNALS = (
    "drain",
    "status",
    "doctor",
    "show",
    "logs",
    "wait",
    "export",
    "retry",
    "drop",
    "route",
    "resend",
    "prune",
    "verify",
    "exec",
    "view",
    "where",
)
"""The commands that take the URL of a shared journal where they take a journal's folder."""


def refuse_shared(value: Any, param: click.Parameter | None, ctx: click.Context | None) -> None:
    """End the command where a person names a shared journal in the place of something else."""
    url = shared_url(value) if isinstance(value, (str, os.PathLike)) else None
    if url is None:
        return
    command = ctx.command.name if ctx else None
    if command in ON_SHARED_JOURNALS and getattr(param, "name", None) not in {"journal", "journals", "place"}:
        why = "a shared journal; name it by --journal"
    elif command == "collect":
        why = "a shared journal; name it by --into"
    else:
        able = ", ".join(f"`{name}`" for name in ON_SHARED_JOURNALS)
        why = f"a shared journal, with which this command does not work; these do: {able}; and `collect` fills one"
    raise click.BadParameter(f"{without_password(url)} is {why}", ctx, param)


def usable_default(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Return what a person named; end the command where it is to use `UPLOADER_JOURNAL`, and cannot."""
    from journal.locations import named_journal

    if value is None and (named := named_journal()) and (shared_url(named) or "://" in named):
        JournalFolder().convert(named, param, ctx)
    return value


class File(click.Path):
    """A file, or a folder, that is not the URL of a shared journal."""

    def __init__(self, **options: Any) -> None:
        """Take click's options."""
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        refuse_shared(value, param, ctx)
        return super().convert(value, param, ctx)


class Folder(click.Path):
    """A folder that exists or can be created; made absolute, with its `~` expanded.

    A `~` in the configuration file of a service or container is expanded by no shell.
    """

    def __init__(self) -> None:
        """Refuse files."""
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the folder; end the command where there cannot be one."""
        from journal.locations import expanded

        refuse_shared(value, param, ctx)
        if not os.fspath(value):
            self.fail("it is empty, perhaps from a variable that is not set; name a folder", param, ctx)
        if "://" in os.fspath(value):
            _require_mirrors(os.fspath(value), param, ctx)
            self.fail(f"{shown(os.fspath(value))} is an address; {_of_no_folder(value)}", param, ctx)
        folder = expanded(value)
        if why := unusable_reason(folder):
            self.fail(f"{folder} {why}; {_of_no_folder(folder)}", param, ctx)
        return folder


class JournalFolder(Folder):
    """A journal's folder; or the URL of a shared journal, as a path, for the commands that work on one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; end the command where there cannot be a journal."""
        if (url := shared_url(value)) is None:
            return super().convert(value, param, ctx)
        if ctx is not None and ctx.command.name not in ON_SHARED_JOURNALS:
            refuse_shared(url, param, ctx)
        if why_not := why_unusable(url):
            self.fail(why_not, param, ctx)
        return as_path(url)


class FolderOfRuns(Folder):
    """A folder that runs lie in; a person may name one of its files, such as `mlflow.db`, and is told the folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the folder; end the command where there cannot be one."""
        from journal.locations import expanded
        from journal.reading.places import what_is

        refuse_shared(value, param, ctx)
        if os.fspath(value) and (place := expanded(value)).is_file() and what_is(place) not in {"pack", "mirror"}:
            self.fail(f"{place} is a file; name its folder, {place.parent}", param, ctx)
        return super().convert(value, param, ctx)


class JournalOrPack(JournalFolder):
    """The same, or a pack, which is a file, or a mirror, which may be an address."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; end the command where it can be neither."""
        from journal.locations import expanded
        from journal.reading.places import address_of, what_is

        if address := address_of(value):
            _require_mirrors(address, param, ctx)
            return Path(value)
        if os.fspath(value) and (place := expanded(value)).is_file():
            if what_is(place) == "pack":
                return place
            self.fail(
                f"{place} is a file, and no pack; name a pack, or the folder of a journal or a mirror", param, ctx
            )
        return super().convert(value, param, ctx)


def _require_mirrors(address: str, param: click.Parameter | None, ctx: click.Context | None) -> None:
    """End the command where an address can be neither a mirror's nor a shared journal's, such as `mysql://`."""
    from journal.object_stores.object_addresses import OBJECT_STORES, scheme_of

    if scheme_of(address) not in {*OBJECT_STORES, "file"}:
        known = ", ".join(f"{one}://" for one in OBJECT_STORES)
        why = f"no address that is known here: a shared journal's begins with postgresql://, a mirror's with {known}"
        raise click.BadParameter(f"{shown(address)} is {why}", ctx, param)


def _of_no_folder(path: str | Path) -> str:
    """Return what a person may do about what is no folder."""
    from journal.reading.places import what_else, what_is

    return what_else(Path(path)) if what_is(path) in {"pack", "mirror"} else "name another folder"


def unusable_reason(folder: Path) -> str | None:
    """Return why a path cannot be used as a folder; None if it can, or if that cannot be told."""
    try:
        return None if stat.S_ISDIR(folder.stat().st_mode) else "is not a folder"
    except (FileNotFoundError, PermissionError):
        return None
    except NotADirectoryError:
        return "cannot be created, as a part of its path is not a folder"
    except OSError as error:
        return f"cannot be used ({error.strerror})"
