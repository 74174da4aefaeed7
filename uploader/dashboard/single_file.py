"""A run's page as one file that needs no server: the same scripts, in one, and what they would have asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from uploader.dashboard import page_json
from uploader.dashboard.asset_files import ASSETS, content
from uploader.dashboard.page_templates import rendered
from uploader.dashboard.shortening import shorter_script
from uploader.dashboard.shown import CheckpointLine, Picture, RunNews

_STYLES = ("style.css", "charts.css", "run.css")
_ENTRY = "run.js"
_IMPORT = re.compile(r'^(import|export) \{([^}]*)\} from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


def single_file(news: RunNews, pictures: Sequence[Picture], key: str, title: str) -> bytes:
    """Return the page.

    Args:
        news: All that the run's page tells, all of its console among it.
        pictures: Its plots and images.
        key: The run.
        title: Of the page.
    """
    facts = news.facts and replace(news.facts, checkpoints=[*map(_not_here, news.facts.checkpoints)], actions=())
    held = {
        "/data/run": page_json.news(replace(news, facts=facts)),
        "/data/pictures": page_json.pictures(pictures),
    }
    text = rendered(
        "single.html",
        title=title,
        key=key,
        style="\n".join(content(each).decode() for each in _STYLES),
        plotting=content("vendor/uPlot.iife.min.js").decode(),
        held=_inside_script(page_json.as_json(held).decode()),
        script=bundled(_ENTRY),
    )
    return text.encode("utf-8", "replace")


def bundled(entry: str) -> str:
    """Return a script with all that it imports as one: each module is a function that returns what it exports.

    It knows the forms of import and export that our scripts use, no others.

    Args:
        entry: Name of the script, which exports nothing.
    """
    modules = [*dict.fromkeys(_in_order(entry))]
    return "\n".join(_as_function(name, is_entry=name == entry) for name in modules)


def _in_order(name: str) -> Iterator[str]:
    """Yield the scripts that one needs, and it after them."""
    for _, _, other in _IMPORT.findall(_read(name)):
        yield from _in_order(other)
    yield name


def _as_function(name: str, *, is_entry: bool) -> str:
    code = _read(name)
    passed_on = [_names(names) for word, names, _ in _IMPORT.findall(code) if word == "export"]
    told = [*_EXPORT.findall(code), *(own for names in passed_on for _, own in names)]
    body = _EXPORT.sub("", _IMPORT.sub(_taken, code))
    if is_entry:
        return f"await (async () => {{{shorter_script(body)}}})();"
    inside = shorter_script(f"{body}return {{ {', '.join(told)} }};")
    return f"const {_module(name)} = (() => {{{inside}}})();"


def _taken(found: re.Match[str]) -> str:
    """Return an import as the taking of names from a module's function."""
    names = ", ".join(theirs if theirs == own else f"{theirs}: {own}" for theirs, own in _names(found[2]))
    return f"const {{ {names} }} = {_module(found[3])};\n"


def _names(text: str) -> list[tuple[str, str]]:
    """Return the names in an import, each as the other module has it and as this one has it."""
    parts = [each.strip().partition(" as ") for each in text.split(",") if each.strip()]
    return [(theirs, own or theirs) for theirs, _, own in parts]


def _module(name: str) -> str:
    return f"module_{name.removesuffix('.js')}"


def _not_here(one: CheckpointLine) -> CheckpointLine:
    return replace(one, download=None)


def _inside_script(text: str) -> str:
    """Return JSON that no HTML parser takes for the end of the element that it stands in."""
    return text.replace("<", "\\u003c")


def _read(name: str) -> Any:
    return (ASSETS / name).read_text("utf-8")
