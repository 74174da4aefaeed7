"""The rules of the packages that import-linter cannot see, such as who starts threads or reads the environment."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from uploader.platforms.registry import PLATFORMS
from uploader.recording.deferred_logs import LOGGERS

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path.relative_to(ROOT).as_posix() for package in ("journal", "uploader") for path in (ROOT / package).rglob("*.py")
)

OWNERS = {
    "threading.Thread": (
        "uploader/callbacks/",
        "uploader/live/",
        "uploader/delivery/",
        "uploader/server/",
        "uploader/viewing/",
        "uploader/recording/snapshot_thread.py",
        "uploader/recording/mirror_thread.py",
        "uploader/recording/serial_executor.py",
        "uploader/recording/thread_start.py",
        "journal/storage/flusher.py",
        "journal/storage/background_sync.py",
        "journal/mirror/fetching.py",
        "journal/shared_blobs/ranged_reader.py",
    ),
    "signal.signal": ("uploader/commands/",),
    "os.environ": (
        "journal/locations.py",
        "uploader/__main__.py",  # whether a shell asks for completions
        "uploader/settings.py",
        "uploader/exec_variables.py",
    ),
    "socket.socket": ("uploader/platforms/", "uploader/server/", "uploader/dashboard/listening.py"),
    "urllib.request": (),
}
SAME_AS = {
    "concurrent.futures.ProcessPoolExecutor": "threading.Thread",
    "concurrent.futures.ThreadPoolExecutor": "threading.Thread",
    "multiprocessing.Process": "threading.Thread",
    "threading.Timer": "threading.Thread",
    "os.getenv": "os.environ",
    "socket.create_connection": "socket.socket",
    "socket.getaddrinfo": "socket.socket",
    "urllib.request.urlopen": "urllib.request",
}


def trespasses(source: str, where: str) -> list[str]:
    """Return the names that a module uses although another package owns them."""
    used = {SAME_AS.get(name, name) for name in dotted_names(ast.parse(source))}
    return sorted(name for name in used & OWNERS.keys() if not where.startswith(OWNERS[name]))


def dotted_names(tree: ast.Module) -> Iterator[str]:
    """Yield what a module refers to in other modules, under its full name whatever it was imported as."""
    full = dict(imported_names(tree))
    yield from full.values()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            head, _, rest = ast.unparse(node).partition(".")
            yield f"{full.get(head, head)}.{rest}"


def imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the local and the full name of every import, also of those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                top = item.name.partition(".")[0]
                yield (item.asname, item.name) if item.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((item.asname or item.name, f"{node.module}.{item.name}") for item in node.names)


@pytest.mark.repository
def test_threads_signals_and_environment_stay_with_their_owners() -> None:
    found = {where: trespasses((ROOT / where).read_text("utf-8"), where) for where in SOURCES}
    assert {where: names for where, names in found.items() if names} == {}


def variables(source: str) -> set[str]:
    """Return the environment's variables of ours that a module reads, by whatever mapping."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get" and node.args:
            found.add(ast.unparse(node.args[0]).strip("'"))
        elif isinstance(node, ast.Subscript):
            found.add(ast.unparse(node.slice).strip("'"))
    return {name for name in found if name.startswith(("UPLOADER_", "ULTRALYTICS_", "HUB_"))}


@pytest.mark.repository
def test_each_variable_is_read_in_one_place() -> None:
    readers = Counter(name for where in SOURCES for name in variables((ROOT / where).read_text("utf-8")))
    for spec in PLATFORMS:  # settings read what a spec names
        readers.update({spec.url_variable, spec.key_variable, *spec.further_urls, *spec.further_variables})
    assert {"UPLOADER_JOURNAL", "UPLOADER_MAX_SIZE", "ULTRALYTICS_API_KEY"} <= readers.keys()
    assert [name for name, count in readers.items() if count > 1] == []


@pytest.mark.repository
def test_only_the_first_import_asks_for_windows() -> None:
    """It refuses: there is no branch for a system on which nothing was ever tried."""
    asks = re.compile(r"os\.name\b|win32|attr\(os,|O_BINARY")
    assert [where for where in SOURCES if asks.search((ROOT / where).read_text("utf-8"))] == ["journal/__init__.py"]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import threading\nthreading.Thread(target=print)", "threading.Thread"),
        ("from threading import Timer as T\nT(1, print)", "threading.Thread"),
        ("import concurrent.futures as f\nf.ThreadPoolExecutor()", "threading.Thread"),
        ("import concurrent.futures\nconcurrent.futures.ThreadPoolExecutor()", "threading.Thread"),
        ("def f():\n    import signal\n    signal.signal(2, f)", "signal.signal"),
        ("import os\nos.environ['HOME']", "os.environ"),
        ("import socket as s\ns.create_connection(('host', 80))", "socket.socket"),
        ("from urllib.request import urlopen\nurlopen('http://host')", "urllib.request"),
        ("import urllib.request\nurllib.request.urlopen('http://host')", "urllib.request"),
        ("from os import getenv\ngetenv('HOME')", "os.environ"),
    ],
)
def test_a_trespass_is_seen(source: str, name: str) -> None:
    assert trespasses(source, "uploader/other.py") == [name]


@pytest.mark.parametrize("package", ["journal", "uploader", "uploader.callbacks", "uploader.by_address"])
def test_what_training_imports_is_lean(package: str) -> None:
    heavy = {"click", "requests", "starlette", "torch", "ultralytics", "urllib3", "uvicorn"}
    code = f"import json, sys, {package}; print(json.dumps(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout
    assert heavy.isdisjoint(json.loads(loaded))


NAMED = [
    *(ROOT / "journal").rglob("[a-z]*.py"),
    *(
        path
        for name in ("callbacks", "delivery", "frameworks", "platforms", "recording", "live")
        for path in (ROOT / "uploader" / name).glob("[a-z]*.py")
    ),
]


@pytest.mark.repository
def test_the_design_names_each_module() -> None:
    page = (ROOT / "docs" / "design.md").read_text("utf-8")
    assert {path.name for path in NAMED if f"`{path.name}`" not in page} == set()


@pytest.mark.repository
def test_the_design_names_each_package() -> None:
    page = (ROOT / "docs" / "design.md").read_text("utf-8")
    packages = {Path(where).parent.name for where in SOURCES} - {"journal", "uploader"}
    assert {package for package in packages if f"`{package}/`" not in page} == set()


@pytest.mark.repository
def test_no_two_modules_have_one_name() -> None:
    """Except where the folder says which: commands are called as what they do, and platforms have the same parts."""
    alike = ("uploader/commands/", "uploader/platforms/hub/", "uploader/platforms/ultralytics/")
    names = Counter(Path(where).stem for where in SOURCES if not where.startswith(alike))
    assert {name for name, count in names.items() if count > 1} == {"__init__", "errors", "recorder", "slugs"}


@pytest.mark.repository
def test_every_logger_of_the_journal_is_deferred() -> None:
    """A person's log handlers run in no thread of ours."""
    loggers = {
        where.removesuffix(".py").replace("/", ".")
        for where in SOURCES
        if where.startswith("journal/") and "getLogger(__name__)" in (ROOT / where).read_text("utf-8")
    }
    assert loggers == {name for name in LOGGERS if name.startswith("journal.")}


def test_every_callback_keeps_our_errors_out_of_the_training() -> None:
    from uploader.callbacks.trainer_callbacks import EVENTS, PlatformCallbacks

    by_hand = {"on_train_batch_end", "teardown"}  # they call `guard` themselves
    guarded = {event for event in EVENTS if hasattr(vars(PlatformCallbacks).get(event), "__wrapped__")}
    assert guarded == set(EVENTS) - by_hand
