"""The key that `yolo login` saved in the settings file of Ultralytics."""

from __future__ import annotations

import codecs
import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from uploader.platforms.spec import SavedKey


def saved_key(environ: Mapping[str, str]) -> SavedKey:
    """Read the settings file that Ultralytics would read.

    Args:
        environ: The environment, which says where it is.
    """
    file = _config_folder(environ) / "settings.json"
    try:
        saved = json.loads(_decoded(file.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return SavedKey(file)
    except OSError as error:
        return SavedKey(file, fault=f"it cannot be read ({error.strerror})")
    except (ValueError, RecursionError):
        return SavedKey(file, fault="it is damaged: what it holds is no JSON; `yolo settings reset` makes it anew")
    key = saved.get("api_key") if isinstance(saved, dict) else None
    return SavedKey(file, key if isinstance(key, str) else None)


def _config_folder(environ: Mapping[str, str]) -> Path:
    """Name the folder of the Ultralytics settings as `ultralytics` chooses it.

    It falls back to a folder of the user's own under the temporary folder where the usual one cannot be made;
    anybody may write there, so one that others own or can enter is not believed.
    """
    usual = _user_config(environ) / "Ultralytics"
    fallback = Path(tempfile.gettempdir()) / f"Ultralytics-{os.getuid()}"
    return fallback if not usual.is_dir() and _is_private(fallback) else usual


def _user_config(environ: Mapping[str, str]) -> Path:
    if chosen := environ.get("YOLO_CONFIG_DIR"):
        return _expanded(chosen)
    home = Path(environ["HOME"]) if environ.get("HOME") else _home()
    if home is None:
        return Path(tempfile.gettempdir()) / f"no-home-{os.getuid()}"  # not there: the fallback is looked at
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config")


def _is_private(folder: Path) -> bool:
    try:
        info = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # `~` of a user who has no home
        return Path(path)


def _home() -> Path | None:
    """Return this user's home; None for one without HOME and without an entry among the users."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _decoded(content: bytes) -> str:
    """Return a text file's content, by its byte order mark; editors write any of these.

    Of another encoding than UTF-8 without a mark, such as Windows-1252, the key and the JSON around it are the same.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig", "replace")
