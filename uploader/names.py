"""Importing this checks that `journal` and `uploader` are this project's: PyPI has other projects under both names.

pip puts such a project's files over ours, and a `journal.py` beside a person's script hides ours. Either way half of
what runs would be somebody else's, and a training would find that out, at best, when its journal is opened. Only a mark
is looked at, as this is on the path that training imports; `doctor` compares the files themselves.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

_MARK = "offline-uploader"


class ForeignName(ImportError):
    """A module of our name is not ours; the message says whose it is, and what to do."""


def _require_ours(module: ModuleType) -> None:
    if getattr(module, "DISTRIBUTION", None) != _MARK:
        raise ForeignName(_explanation(module), name=module.__name__)


def _explanation(module: ModuleType) -> str:
    from uploader.installation import other_projects, what_to_do

    place = Path(module.__file__ or "?").resolve()
    whose = next((other for other in other_projects() if place in other.files), None)
    found = f"the module `{module.__name__}` is not that of {_MARK}: Python found {place}"
    if whose is None:
        return f"{found}. Rename that file or folder, or start Python where it does not come first."
    return f"{found}, which {whose} has installed. {what_to_do(whose)}"


for _name in ("journal", "uploader"):
    _require_ours(import_module(_name))
