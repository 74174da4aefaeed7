"""How soon pages of `uploader view` show what they load, and what has just been recorded."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import journal
from benches import trainings
from benches.append import METRICS
from benches.measure import Result, Setting, Target, in_turn, seconds, table

ROUNDS = 9
RUNS, MANY_EPOCHS, COMPARED = 2000, 2000, 50
FEW, LIST = "list of 10 runs", f"list of {RUNS:,} runs"
POINTS = f"{COMPARED} runs of {MANY_EPOCHS:,} points compared"
COMPARE = f"{COMPARED} runs of {MANY_EPOCHS:,} epochs of {len(METRICS)} metrics compared"
RUN = f"a run of {MANY_EPOCHS:,} epochs"
IN_LIST, IN_RUN = "an epoch in the list", "an epoch on the run's page"
NOTES = (
    "In the first table, a visit before the first reading is not counted: it has the server read what it shows.",
    "The second table's clock begins with the visit; nothing has been read before, and the page's files are not kept.",
    "The points are of one metric; twelve times as many values, of which three curves of each run are shown at first, "
    "have no target on a first visit.",
)
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
# Says in the page when what it shows has been painted: a frame has been drawn after it was in the document.
_WATCH = """{
  const tell = () => { document.documentElement.dataset.shown = performance.now(); };
  const seen = new MutationObserver(() => {
    if (!(%s)) return;
    seen.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(tell));
  });
  seen.observe(document, { subtree: true, childList: true });
}"""
_ROWS = "document.querySelector('tr[data-key]')"
_RUN = "document.querySelector('#curves canvas')"
_CURVES = (
    f"document.querySelector('#head h2')?.textContent === '{COMPARED} runs' && document.querySelector('#curves canvas')"
)


@dataclass(frozen=True)
class _Shown:
    """Pages of a journal: the browser's context, which has been let in, and their address."""

    context: Any
    address: str

    def run_keys(self) -> list[str]:
        """Return what its runs are called in addresses."""
        found: list[str] = self.context.request.get(f"{self.address}/data/runs").json()["fields"]["key"]
        return found

    def comparison(self) -> str:
        """Return the path of the page that compares its runs."""
        return "/compare?" + urlencode([("run", each) for each in self.run_keys()])

    def painted(self, path: str, is_there: str) -> Callable[[], list[float]]:
        """Return what measures how long after its load a page has painted what a script finds there."""

        def once() -> list[float]:
            loaded, shown = _visit(self.context, self.address + path, is_there)
            return [max(0.0, shown - loaded)]

        return once


def run(setting: Setting) -> Result:
    """Measure pages in Chromium, alternately, and an epoch's way from the journal to a page."""
    few = trainings.record_many(setting.folder / "few", 10, 10)
    many = trainings.record_many(setting.folder / "many", setting.rounds(RUNS), 10)
    long = trainings.record_many(setting.folder / "long", COMPARED, setting.rounds(MANY_EPOCHS))
    points = trainings.record_many(setting.folder / "points", COMPARED, setting.rounds(MANY_EPOCHS), trainings.point)
    with (
        _browser() as browser,
        _shown(browser, few) as one,
        _shown(browser, many) as two,
        _shown(browser, long) as three,
        _shown(browser, points) as four,
    ):
        compare = three.comparison()
        contenders = {
            FEW: one.painted("/", _ROWS),
            LIST: two.painted("/", _ROWS),
            RUN: three.painted(f"/runs/{three.run_keys()[0]}", _RUN),
            COMPARE: three.painted(compare, _CURVES),
        }
        readings = in_turn(contenders, setting.rounds(ROUNDS))
        visits = {
            FEW: _first_visit(browser, few, "/", _ROWS),
            POINTS: _first_visit(browser, points, four.comparison(), _CURVES),
            COMPARE: _first_visit(browser, long, compare, _CURVES),
        }
        first = in_turn(visits, setting.rounds(ROUNDS))
        listed, list_sizes = _epochs(two, many, setting.rounds(ROUNDS), _in_list)
        shown, run_sizes = _epochs(two, many, setting.rounds(ROUNDS), _in_run)
    tables = (
        table("From the load of a page to its content on the screen", "ms", readings),
        table("From a visit, the first of a new server, to its content on the screen", "ms", first),
        table("From an epoch in the journal to the screen", "ms", {IN_LIST: listed, IN_RUN: shown}, 1e3),
    )
    targets = (
        Target(f"{LIST}, p50 in ms after load", tables[0].row(LIST).p50, 500),
        Target(f"{COMPARE}, p50 in ms after load", tables[0].row(COMPARE).p50, 500),
        Target(f"{POINTS}, p50 in ms of a first visit", tables[1].row(POINTS).p50, 500),
        Target(f"{RUN}, p50 in ms after load", tables[0].row(RUN).p50, 500),
        Target("an epoch on the page, worst in ms", max(row.worst for row in tables[2].rows), 2000),
        Target("what an epoch sends to the list, in bytes", max(list_sizes), 2000),
        Target("what it sends to the run's page, in bytes", max(run_sizes), 2000),
    )
    return Result(tables, targets, NOTES)


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*FLAGS])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _shown(browser: Any, folder: Path) -> Iterator[_Shown]:
    """Serve a journal's pages, and visit them once."""
    with _served(folder) as entrance, _new_context(browser) as context:
        page = context.new_page()
        page.goto(entrance)
        page.wait_for_selector("tr[data-key]")
        page.close()
        yield _Shown(context, entrance.partition("/?")[0])


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a journal's pages; yield the address that lets a browser in."""
    command = trainings.uploader("view", folder, "--no-open")
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        yield next(line.rpartition(" ")[2].strip() for line in server.stdout if "http://" in line)
    finally:
        server.terminate()
        server.wait()


def _new_context(browser: Any) -> Any:
    return browser.new_context(viewport={"width": 1280, "height": 900})


def _first_visit(browser: Any, folder: Path, path: str, is_there: str) -> Callable[[], list[float]]:
    """Return what measures how long a visit takes that is the first one of a new server and of a new browser."""

    def once() -> list[float]:
        with _served(folder) as entrance, _new_context(browser) as context:
            address, _, token = entrance.partition("/?")
            return [_visit(context, f"{address}{path}{'&' if '?' in path else '?'}{token}", is_there)[1]]

    return once


def _visit(context: Any, address: str, is_there: str) -> tuple[float, float]:
    """Return how long after the beginning of a visit the page has loaded, and has painted what a script finds there."""
    page = context.new_page()
    page.add_init_script(_WATCH % is_there)
    page.goto(address, wait_until="load")
    page.wait_for_selector("html[data-shown]", state="attached")
    shown = float(page.locator("html").get_attribute("data-shown"))
    loaded = float(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
    page.close()
    return loaded, shown


def _in_list(page: Any, address: str, run: str) -> Callable[[int], Any]:
    """Open the list at one run; return where it tells so many epochs."""
    page.goto(f"{address}/?search=new")
    line = page.locator(f"tr[data-key='{run}'] [data-column=progress]")
    line.wait_for()
    return lambda epochs: line.filter(has_text=f"{epochs} / 100")


def _in_run(page: Any, address: str, run: str) -> Callable[[int], Any]:
    """Open a run's page; return where it tells so many epochs."""
    page.goto(f"{address}/runs/{run}")
    page.wait_for_selector("#curves", state="attached")
    return lambda epochs: page.get_by_text(f"{epochs} of 100 epochs").first


def _epochs(
    shown: _Shown, folder: Path, count: int, opened_at: Callable[[Any, str, str], Callable[[int], Any]]
) -> tuple[list[float], list[int]]:
    """Return how long each of some epochs takes from the journal to a page, and how many bytes it sends."""
    page, sizes = shown.context.new_page(), []
    watching = shown.context.new_cdp_session(page)
    watching.send("Network.enable")
    watching.on("Network.eventSourceMessageReceived", lambda told: sizes.append(len(told["data"].encode())))
    with journal.open(folder, durability="process") as opened:
        writer = opened.writer()
        new = writer.start_run(project="bench", name="new", save_dir=str(folder / "new"))
        session = writer.start_session(new.id)
        writer.append(new.id, session, "training_started", {"trainArgs": {}, "epochs": 100}, "1")
        said_of = opened_at(page, shown.address, new.id)
        taken = []
        for epoch in range(count):
            said = said_of(epoch + 1)
            writer.append(new.id, session, "epoch_end", trainings.epoch_end(epoch), str(epoch))
            taken.append(seconds(said.wait_for))
        writer.end_session(session, "complete")
        writer.close()
    return taken, sizes
