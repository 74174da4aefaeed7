"""Defaults for a journal's place and size: the only module of this package that reads the environment."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Not when it is needed: that may be when no more files can be opened, and so nothing imported.
from platformdirs import user_data_path

from journal.disk import why_never_files, why_no_files
from journal.errors import JournalError
from journal.quantities import parse_milliseconds, parse_size
from journal.shared_addresses import as_path, shared_url, without_password
from journal.surroundings.place import Surroundings, look_up

DEFAULT_MAX_SIZE = 50 * 10**9
"""A few hundred checkpoints of the largest models, so that a limit which nobody chose evicts as little as possible."""

DEFAULT_MAX_WAIT = 0.003
"""Seconds: many flushes of an idle disk, and less than a training notices."""


def chosen_journal(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return `UPLOADER_JOURNAL`, absolute: a relative path is of the folder that the process is in when it is asked."""
    chosen = environ.get("UPLOADER_JOURNAL")
    return expanded(chosen) if chosen else None


def is_default_elsewhere(folder: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a command that is typed elsewhere takes a folder for its journal without being told.

    Not where an option of `uploader exec` chose the journal: `UPLOADER_JOURNAL` is then set below it alone, and the
    shell that a person types in has another one, or none.
    """
    return not environ.get("UPLOADER_EXEC_JOURNAL") and folder == default_journal(environ)


@dataclass(frozen=True)
class Choice:
    """A journal's folder, and why it is that one.

    Attributes:
        folder: The folder.
        why: The reason, for people.
        is_makeshift: Whether it is in the temporary folder for want of a better one.
    """

    folder: Path
    why: str
    is_makeshift: bool = False


def choose_journal(environ: Mapping[str, str] = os.environ) -> Choice:
    """Return `UPLOADER_JOURNAL`, else a folder of this user's application data, else one in the temporary folder.

    The last is for a home that is missing, or that holds nothing of ours and can hold nothing: only a fallback file
    could take what is recorded, and that takes no checkpoints. A home on a network file system stays the choice even
    where this node has a disk of its own, because that disk is not there when a cluster's job has ended.
    """
    if named := chosen_journal(environ):
        return Choice(named, "UPLOADER_JOURNAL names it")
    home = _home_data()
    if home is None:
        return Choice(makeshift_journal(), "this user has no home folder", is_makeshift=True)
    folder = home / "journal"
    if not os.path.lexists(home) and (refused := why_never_files(folder)):
        return Choice(makeshift_journal(), f"this user's home cannot be written ({refused})", is_makeshift=True)
    return Choice(folder, "it is in this user's data folder, as UPLOADER_JOURNAL is not set")


def default_journal(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the journal of trainings and commands that name none; see `choose_journal`."""
    return choose_journal(environ).folder


def makeshift_journal() -> Path:
    """Return the journal of a user whose home cannot have one."""
    return _temporary_data() / "journal"


def is_there(folder: Path) -> bool:
    """Return whether a folder holds a journal, even an unusable one; what stands for a URL is taken for one."""
    if shared_url(folder):
        return True
    try:
        return any((folder / name).exists() for name in ("journal.db", "journal.db-wal"))
    except OSError:  # not permitted, or too long a path: whoever opens it is told so
        return True


def earlier_journal(folder: Path) -> Path | None:
    """Return the journal that this user has in the temporary folder from when the home could have none.

    Args:
        folder: The journal that is used now; only that in the home has such a predecessor.
    """
    usual, earlier = choose_journal({}), makeshift_journal()
    if usual.is_makeshift or folder != usual.folder or not is_there(earlier):
        return None
    with suppress(OSError):
        return earlier if earlier.stat().st_uid == os.geteuid() else None  # anybody may make a folder there
    return None


def surroundings(environ: Mapping[str, str] = os.environ) -> Surroundings:
    """Return which machine this is, and what becomes of folders here."""
    return Surroundings(look_up(environ))


def chosen_mirror(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return `UPLOADER_MIRROR`, a folder or an object store's URL; None where it is not set."""
    return environ.get("UPLOADER_MIRROR", "").strip() or None


def default_max_wait(environ: Mapping[str, str] = os.environ) -> float:
    """Return the seconds that `UPLOADER_MAX_WAIT` lets a training wait for the flush of an event, else 3 ms.

    Raises:
        JournalError: It is not a time.
    """
    chosen = environ.get("UPLOADER_MAX_WAIT", "").strip()
    try:
        return parse_milliseconds(chosen) if chosen else DEFAULT_MAX_WAIT
    except ValueError as error:
        raise JournalError(f"UPLOADER_MAX_WAIT: {error}") from error


def packs_journal() -> Path:
    """Return the journal that packs are taken into when they are drained."""
    return (_home_data() or _temporary_data()) / "packs"


def shared_folder(name: str) -> Path:
    """Return the folder that this machine has for a shared journal.

    Args:
        name: What tells it from others: some hex digits.
    """
    return (_home_data() or _temporary_data()) / "shared" / name


def node_journal(url: str) -> Path:
    """Return the journal that this machine's trainings write to, from which their events are brought into a shared one.

    Args:
        url: Of the shared one.
    """
    name = hashlib.sha256(without_password(url).encode()).hexdigest()[:16]
    return (_home_data() or _temporary_data()) / "nodes" / name


def recording_folder(journal: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that trainings write to: of a shared journal, the one that this machine has for it.

    Args:
        journal: A folder, or the URL of a shared journal; None for the default.
        environ: Says which that is.
    """
    if url := shared_url(journal or named_journal(environ) or ""):
        return node_journal(url)
    return expanded(journal) if journal else default_journal(environ)


def named_journal(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return what `UPLOADER_JOURNAL` names, a folder or the URL of a shared journal, as it is written there."""
    return environ.get("UPLOADER_JOURNAL") or None


def chosen_shared(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the shared journal that `UPLOADER_JOURNAL` names, with what password it has there; None for none."""
    return shared_url(named_journal(environ) or "")


def hand_down(url: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Have the URL of a shared journal, with its password, known to the processes that this one starts.

    Not by their command lines, which others can read.
    """
    environ["UPLOADER_INTO"] = url


def handing_down(into: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment that names a shared journal, with its password if that is known here.

    Args:
        into: The URL, without a password.
        environ: What else is in it.
    """
    known = filter(None, map(shared_url, (environ.get("UPLOADER_INTO", ""), named_journal(environ) or "")))
    return {**environ, "UPLOADER_INTO": next((url for url in known if without_password(url) == into), into)}


def default_max_size(environ: Mapping[str, str] = os.environ) -> int:
    """Return the bytes that `UPLOADER_MAX_SIZE` lets a journal have, else `DEFAULT_MAX_SIZE`.

    Raises:
        JournalError: It is not a size.
    """
    chosen = environ.get("UPLOADER_MAX_SIZE", "").strip()
    try:
        return parse_size(chosen) if chosen else DEFAULT_MAX_SIZE
    except ValueError as error:
        raise JournalError(f"UPLOADER_MAX_SIZE: {error}") from error


def fallback_folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the folders for events that no journal could take, in the order in which they are tried.

    `UPLOADER_FALLBACK` replaces the usual ones. If no file can be written to it, it comes last, because it may hold
    files of before. The usual one under the temporary folder is for users whose home is read-only.
    """
    chosen = chosen_fallback(environ)
    if chosen and not why_no_files(chosen):
        return [chosen]
    return [*_usual_fallbacks(), *([chosen] if chosen else [])]


def chosen_fallback(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return `UPLOADER_FALLBACK`, absolute."""
    chosen = environ.get("UPLOADER_FALLBACK")
    return expanded(chosen) if chosen else None


def unfit_fallback(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return in words why `UPLOADER_FALLBACK` cannot be used, and what is used instead; None if it can."""
    chosen = chosen_fallback(environ)
    why = why_no_files(chosen) if chosen else None
    return why and f"UPLOADER_FALLBACK is {chosen}, where no file can be kept ({why}): {_usual_fallbacks()[0]} is used"


def _usual_fallbacks() -> list[Path]:
    return [(_home_data() or _temporary_data()) / "fallback", _temporary_data() / "fallback"]


def _temporary_data() -> Path:
    """Return a folder in the temporary one, named by the user id, because a container's user may have no name."""
    return Path(tempfile.gettempdir()) / f"offline-uploader-{os.getuid()}"


def _home_data() -> Path | None:
    try:
        found = user_data_path("offline-uploader", appauthor=False)
    except RuntimeError:  # nobody knows a home; earlier versions of platformdirs leave a `~` instead
        return None
    return found if found.is_absolute() else None


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return an absolute path with `~` expanded, unless the home is unknown; the URL of a shared journal as a path."""
    if url := shared_url(path):
        return as_path(url)
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        return Path(path).absolute()
