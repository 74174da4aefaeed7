"""What every test stands on: a home of its own, and a data set for the real trainings."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest
import uvicorn.server
from support.compiled_statements import share_compiled_statements

from journal.surroundings.machines import SIGNS

TESTS = Path(__file__).parent
SETTING_PREFIXES = ("UPLOADER_", "ULTRALYTICS_", "HUB_", "YOLO_", "XDG_", "AWS_", "AZURE_", "GOOGLE_")
TAKEN_OUT = {*SIGNS, "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "COLUMNS", "LINES"}
PROXIES = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"}
STAND_ON_UPSTREAM = {"training_data", "ultralytics"}  # fixtures
LONG_FIRST = ("faults", "acceptance", "interop", "integration", "contract", "unit")
"""The folders by how long a file of theirs takes: when the last files are short, all workers end together."""
_home = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Take what is set out of the environment, before any test module is imported.

    That is the person's settings, keys and folders, what a machine that vanishes is recognised by, the size of the
    terminal that this was started in, what has a `print` write a line piece by piece: lines of two processes that
    share a pipe would mix; and what would have each process that a test starts compile our modules again.
    """
    for name in [name for name in os.environ if name.startswith(SETTING_PREFIXES) or name in TAKEN_OUT]:
        del os.environ[name]
    _leave_proxies_to_installers()
    _end_servers_at_once()
    share_compiled_statements()
    home = config.stash[_home] = tempfile.TemporaryDirectory(
        prefix="offline-uploader-home-", ignore_cleanup_errors=True
    )
    os.environ["HOME"] = home.name
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of torch, whose threads would wait for each other's cores
    slow = [hypothesis.HealthCheck.too_slow]  # a busy machine is no fault of an example's, nor of what draws it
    same = "CI" in os.environ  # what a new draw finds there would stop a change that has nothing to do with it
    hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=slow, derandomize=same)
    hypothesis.settings.load_profile("untimed")


def _leave_proxies_to_installers() -> None:
    """Take proxies out, as all that the tests talk to is on this machine; pip and npm know them by another name."""
    taken = {name.lower(): os.environ.pop(name) for name in list(os.environ) if name.lower() in PROXIES}
    if proxy := taken.get("https_proxy") or taken.get("all_proxy"):
        for name in ("PIP_PROXY", "npm_config_https_proxy"):
            os.environ.setdefault(name, proxy)


def _end_servers_at_once() -> None:
    """Have uvicorn look often whether it is to end: it does ten times a second, which costs each server 0.15 s."""
    hurried = ModuleType("asyncio")
    vars(hurried).update(vars(asyncio))
    vars(hurried)["sleep"] = lambda seconds: asyncio.sleep(min(seconds, 0.01))
    vars(uvicorn.server)["asyncio"] = hurried


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the home, or as much of it as nobody writes to meanwhile."""
    config.stash[_home].cleanup()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long files first; mark what trains, or builds a trainer: it needs upstream as what names it itself does."""
    _run_once_on_postgres(config, items)
    ranks = {TESTS / name: rank for rank, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: min(ranks.get(folder, len(ranks)) for folder in item.path.parents))
    for item in items:
        if _is_on_postgres(item):
            item.add_marker("postgres")
        if STAND_ON_UPSTREAM.intersection(getattr(item, "fixturenames", ())) or item.get_closest_marker("training"):
            item.add_marker("upstream")


def _run_once_on_postgres(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out all cases but the first of a test that says so on PostgreSQL: each costs time, and shows the same."""
    seen: set[tuple[Path, str]] = set()
    left_out: list[pytest.Item] = []
    for item in items:
        if item.get_closest_marker("once_on_postgres") and _is_on_postgres(item):
            test = (item.path, getattr(item, "originalname", item.name))
            if test in seen:
                left_out.append(item)
            seen.add(test)
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _is_on_postgres(item: pytest.Item) -> bool:
    """Return whether a test uses a shared journal: one of its folder, or one that runs on both engines."""
    params = getattr(item, "callspec", None)
    return item.path.parent.name == "shared" or (params is not None and params.params.get("engine") == "postgres")


@pytest.fixture(scope="session")
def training_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data.yaml of a small detection data set."""
    from dataset import make_dataset  # draws its images, by what only an environment that trains has

    return make_dataset(tmp_path_factory.mktemp("data"))
