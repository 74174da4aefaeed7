"""What a person wants done on a platform once it can be reached: recorded in the journal, for the drain."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journal.kinds import CONVERSION, DATASET, DETAIL
from journal.records import Run
from uploader.errors import SettingsError
from uploader.platforms.base import DESCRIPTION, LICENSE, TAGS
from uploader.platforms.registry import arguments, formats, licenses, tasks
from uploader.redacting import Redactor
from uploader.run_selection import choose_runs
from uploader.slugs import project_slug

if TYPE_CHECKING:
    from journal.folder import Journal
    from journal.writing.intent_events import Intent

_ENDINGS = (".ndjson", ".zip", ".tar", ".tar.gz", ".tgz")
_LONGEST_TAG = 128
"""Characters, as the platform's own names have at most."""
_WORDS = re.compile(r"[\w .,:/@+-]{0,256}")
"""What text in an argument may be: a name or a path, but no address with a key or a signature."""


@dataclass(frozen=True)
class Wanted:
    """What was recorded of what a person wants.

    Attributes:
        run: The run that it is about.
        new: What is to be done, such as `description` or `onnx`.
        known: What was wanted already, and is not done twice.
    """

    run: Run
    new: tuple[str, ...]
    known: tuple[str, ...] = ()


def describe(
    run: str,
    *,
    description: str | None = None,
    license: str | None = None,
    tags: str | Sequence[str] | None = None,
    journal: str | Path | None = None,
) -> Wanted:
    """Have a run's model described on its platforms. The next drain does it, after all else of the run.

    Args:
        run: By its name, `project/name`, the beginning of its id, its folder, or `latest`.
        description: Text; "" removes the one that is there.
        license: One that a platform knows, such as `AGPL-3.0`.
        tags: One, or several; they replace those that are there, and an empty list removes them.
        journal: Its folder; None for the usual one.

    Raises:
        SettingsError: The licence or a tag cannot be used, or nothing is to be set, or a text holds a secret.
        UnknownRun: `run` fits no run, or several.
        NoJournal: There is no journal.
        JournalError: It cannot be written.
    """
    _refuse_secrets({DESCRIPTION: description or "", TAGS: "\n".join([tags] if isinstance(tags, str) else tags or ())})
    details = {DESCRIPTION: description, LICENSE: license, TAGS: None if tags is None else _checked(tags)}
    wanted = {name: {name: value} for name, value in details.items() if value is not None}
    if not wanted:
        raise SettingsError("nothing is to be said of the model: give a description, a licence or tags")
    if license is not None and license not in licenses():
        raise SettingsError(f"the platform knows no licence '{license}'; it knows {', '.join(licenses())}")
    return _record(run, DETAIL, wanted, journal)


def convert(
    run: str, format: str, *, args: Mapping[str, Any] | None = None, journal: str | Path | None = None
) -> Wanted:
    """Have a run's model converted by its platforms. The next drain orders it, once all else of the run has arrived.

    Conversions into one format that differ in their arguments are different ones, and all of them are ordered.

    Args:
        run: By its name, `project/name`, the beginning of its id, its folder, or `latest`.
        format: One of Ultralytics' formats, such as `onnx`.
        args: Arguments of Ultralytics' export, such as `{"imgsz": 640}`.
        journal: Its folder; None for the usual one.

    Raises:
        SettingsError: The platform converts into no such format, or with no such arguments.
        UnknownRun: `run` fits no run, or several.
        NoJournal: There is no journal.
        JournalError: It cannot be written.
    """
    if format not in formats():
        raise SettingsError(f"the platform converts into no '{format}'; it converts into {', '.join(formats())}")
    given = dict(sorted((args or {}).items()))
    for name, value in given.items():
        _check_argument(name, value)
    wanted = {"format": format, **({"args": given} if given else {})}
    key = " ".join((format, *(f"{name}={json.dumps(value, default=str)}" for name, value in given.items())))
    return _record(run, CONVERSION, {key: wanted}, journal)


def upload_dataset(
    run: str, file: str | Path, *, name: str | None = None, task: str | None = None, journal: str | Path | None = None
) -> Wanted:
    """Have a run's platforms have a dataset, and its model name it. The next drain uploads it, after all else.

    The file stays where it is: it is not copied into the journal, and must be there, unchanged, when it is uploaded.

    Args:
        run: By its name, `project/name`, the beginning of its id, its folder, or `latest`.
        file: An archive (`.zip`, `.tar`, `.tar.gz`, `.tgz`) or a list (`.ndjson`), as the platform takes them.
        name: Of the dataset; that of the file by default. What is new is added to a dataset of this name.
        task: Of the dataset, if it is a new one, such as `segment`.
        journal: Its folder; None for the usual one.

    Raises:
        SettingsError: There is no such file, or it is none that a platform takes; or the platform knows no such task.
        UnknownRun: `run` fits no run, or several.
        NoJournal: There is no journal.
        JournalError: It cannot be written.
    """
    path = Path(os.path.abspath(Path(file).expanduser()))  # noqa: PTH100 - a link is meant as it is
    ending = next((each for each in _ENDINGS if path.name.endswith(each)), None)
    if not path.exists():
        raise SettingsError(f"there is no file {path}")
    if ending is None or not path.is_file():
        packing = f"; pack a folder, as by `python -m zipfile -c {path.name}.zip {path}`" if path.is_dir() else ""
        raise SettingsError(f"{path} is no file that ends in {', '.join(_ENDINGS)}{packing}")
    if task is not None and task not in tasks():
        raise SettingsError(f"the platform knows no task '{task}'; it knows {', '.join(tasks())}")
    _refuse_secrets({"dataset's name": f"{name or ''}\n{path.name}"})
    if "/" in (name or ""):
        raise SettingsError(f"a dataset's name has no slash, as '{name}' has: it is put among your own datasets")
    slug = project_slug(name or path.name.removesuffix(ending))
    if not slug:
        raise SettingsError(f"'{name or path.name}' has no letter or digit that a platform keeps in a name")
    facts = {"path": str(path), "filename": path.name, **_content(path)}
    said = {"dataset": slug, "name": name or slug, **({"task": task} if task else {})}
    return _record(run, DATASET, {slug: {**said, **facts}}, journal)


def _refuse_secrets(said: Mapping[str, str]) -> None:
    """Check texts that everybody reads who sees the model. What is found is not repeated.

    Raises:
        SettingsError: One holds a key that is set here, or what looks like one. Nobody would want it there as `***`.
    """
    redactor = Redactor(_keys_in_use())
    for name, text in said.items():
        if redactor.text(text) != text:
            seen = "what looks like a key, a password or a signed address"
            raise SettingsError(f"the {name} holds {seen}; it would be read by whoever sees the model: leave that out")


def _keys_in_use() -> tuple[str, ...]:
    from uploader.settings import Settings

    try:
        return Settings.load().keys
    except SettingsError:  # it is about a setting that is of no use here
        return ()


def _content(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
        return {"size": file.tell(), "sha256": digest.hexdigest()}


def _check_argument(name: str, value: Any) -> None:
    """Check an argument of a conversion. What is wrong is not repeated, as it may be a secret.

    Raises:
        SettingsError: There is no such argument, or its value is of another type, or no finite number.
    """
    known = arguments()
    if name not in known:
        raise SettingsError(f"a conversion takes no argument '{name}'; it takes {', '.join(known)}")
    if value is not None and not _is_one_of(known[name], value):
        types = " or ".join(_TYPES[each] for each in known[name])
        raise SettingsError(f"the argument '{name}' of a conversion is {types}, which was not given")


_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "a name", list: "a list of numbers"}


def _is_one_of(types: tuple[type, ...], value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return list in types and bool(value) and all(_is_one_of((int, float), each) for each in value)
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return type(value) in types and (not isinstance(value, str) or _WORDS.fullmatch(value) is not None)


def _checked(tags: str | Sequence[str]) -> list[str]:
    """Return tags without their blanks, each once.

    Raises:
        SettingsError: One is empty or too long.
    """
    stripped = [tag.strip() for tag in ([tags] if isinstance(tags, str) else tags)]
    if bad := [tag for tag in stripped if not 0 < len(tag) <= _LONGEST_TAG]:
        raise SettingsError(f"a tag has 1 to {_LONGEST_TAG} characters, and not {len(bad[0])}")
    return list(dict.fromkeys(stripped))


def _record(run: str, kind: str, wanted: Mapping[str, Mapping[str, Any]], journal: str | Path | None) -> Wanted:
    from journal.opening import open_with_room
    from journal.writing.intent_events import Intent, record

    with open_with_room(_existing(journal)) as opened:
        chosen = _run(opened, run)
        intents = [Intent(kind, key, payload) for key, payload in wanted.items()]
        new = record(opened.begin, chosen.id, intents)
    return Wanted(chosen, _keys(new), tuple(key for key in wanted if key not in _keys(new)))


def _keys(intents: Sequence[Intent]) -> tuple[str, ...]:
    return tuple(intent.key for intent in intents)


def _existing(folder: str | Path | None) -> Path:
    """Return the journal's folder.

    Raises:
        NoJournal: There is none: it is not made, as it would hold no run.
    """
    from journal.errors import NoJournal
    from journal.locations import default_journal, expanded
    from journal.reading.places import what_is

    where = expanded(folder) if folder is not None else default_journal()
    if what_is(where) != "journal":
        raise NoJournal(f"there is no journal in {where}")
    return where


def _run(opened: Journal, name: str) -> Run:
    from journal.reading.run_reader import recorded_runs

    runs = recorded_runs(opened.begin)
    (chosen,) = choose_runs(runs, [name], opened.path) or []
    return next(run for run in runs if run.id == chosen)
