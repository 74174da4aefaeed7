"""What a platform is called, and where it is, stands in its folder; everybody else asks its spec."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from uploader.errors import SettingsError
from uploader.platforms.plans import Planning
from uploader.platforms.registry import PLATFORMS, imported, spec_of
from uploader.platforms.spec import PlatformSpec

ROOT = Path(__file__).parents[3]
FOLDERS = {f"uploader/platforms/{spec.name}/" for spec in PLATFORMS}
ELSEWHERE = {
    # The server is a program of its own, which speaks the APIs of both and knows nothing of ours.
    "uploader/server/",
    # What trainers and trackers leave in folders is told in their words.
    "uploader/importing/readers/",
}
EXCEPTIONS = {
    # Counts epochs of what the trainer of that name left, and steps of others.
    "uploader/commands/import_.py": "ultralytics",
    # Names loggers, one of which is that of Ultralytics.
    "uploader/recording/deferred_logs.py": "ultralytics",
    # Look in the journal's rows for the model that a training was streamed to; SQL cannot ask a spec.
    "journal/checkpoints/recognition.py": "platformModel",
    "journal/reading/epoch_gaps.py": "platformModel",
    # Recognises a Colab session as HUB does, whose settings may import nothing of the journal (test_surroundings.py).
    "journal/surroundings/machines.py": "COLAB_",
}
KNOW_A_PLATFORM = {
    "uploader",  # its public names
    "uploader.platforms.registry",  # lists them
    "uploader.by_address",  # what a script loads by an address of one of them
    "uploader.callbacks.attach",  # takes the URL of a HUB model
}
SOURCES = sorted(
    where
    for package in ("journal", "uploader")
    for path in (ROOT / package).rglob("*.py")
    if not (where := path.relative_to(ROOT).as_posix()).startswith((*FOLDERS, *ELSEWHERE))
)


def own_words(spec: PlatformSpec) -> set[str]:
    return {
        spec.url_variable,
        spec.key_variable,
        spec.default_url,
        spec.model_field,
        *spec.further_urls,
        *spec.further_urls.values(),
        *spec.further_variables,
        *spec.secret_names,
        *([spec.upstream.module] if spec.upstream else []),
    } - {""}


def texts(source: str) -> Iterator[str]:
    """Yield the texts in a module, but for its docstrings and the names of loggers, one of which is upstream's."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    owners = [node for node in ast.walk(tree) if isinstance(node, documented)]
    passed = {id(node.body[0].value) for node in owners if node.body and isinstance(node.body[0], ast.Expr)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    passed |= {id(node.args[0]) for node in calls if ast.unparse(node.func) == "logging.getLogger" and node.args}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            yield node.value


def trespasses(source: str) -> list[str]:
    """Return the texts of a module that are a platform's own."""
    own = [re.escape(word) for spec in PLATFORMS for word in own_words(spec)]
    pattern = re.compile("|".join([*(f"^{spec.name}$" for spec in PLATFORMS), *own]))
    return [text for text in texts(source) if pattern.search(text)]


@pytest.mark.repository
def test_no_other_module_knows_a_platform_by_its_name() -> None:
    found = ((where, text) for where in SOURCES for text in trespasses((ROOT / where).read_text("utf-8")))
    assert [(where, text) for where, text in found if not (where in EXCEPTIONS and EXCEPTIONS[where] in text)] == []


@pytest.mark.parametrize(
    "source",
    ["if platform == 'hub': pass", "x = f'set ULTRALYTICS_API_KEY={key}'", "y = ('https://api.ultralytics.com',)"],
)
def test_a_trespass_is_seen(source: str) -> None:
    assert len(trespasses(source)) == 1


def test_who_imports_a_platforms_folder() -> None:
    graph = grimp.build_graph("uploader", cache_dir=None)
    packages = [f"uploader.platforms.{spec.name}" for spec in PLATFORMS]
    importers = {
        importer
        for package in packages
        for module in {package, *graph.find_descendants(package)}
        for importer in graph.find_modules_that_directly_import(module)
        if not importer.startswith(package)
    }
    assert importers == KNOW_A_PLATFORM


@pytest.mark.parametrize("spec", PLATFORMS, ids=lambda spec: spec.name)
def test_a_spec_names_what_is_there(spec: PlatformSpec) -> None:
    assert spec_of(spec.name) is spec
    assert callable(imported(spec.client))
    assert isinstance(imported(spec.planner), Planning)
    assert spec.fallback_key_of is None or spec_of(spec.fallback_key_of) is not spec


def test_an_unknown_platform_is_told_with_those_that_are_known() -> None:
    with pytest.raises(
        SettingsError, match="'later' is no platform that this version knows; it knows ultralytics, hub"
    ):
        spec_of("later")
