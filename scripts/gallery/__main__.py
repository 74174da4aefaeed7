"""Make the pictures of the README and of docs/: python -m gallery [--out FOLDER]."""

from __future__ import annotations

import argparse
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uploader
from gallery import trainings
from gallery.camera import Camera, camera
from gallery.stage import HOME, Clock, told
from gallery.terminal import page, said
from journal.clock import to_text
from uploader.platforms.registry import DEFAULT
from uploader.server.running import running
from uploader.viewing.journal_source import JournalSource
from uploader.viewing.panel_html import panel_html
from uploader.viewing.serving import serving

ROOT = Path(__file__).parents[2]
JOURNAL = Path("uploader-journal")
KEY, PORT = "k" * 40, 8765
COLUMNS = 100
_PANEL = '<meta charset="utf-8"><body style="margin: 0"><main style="display: inline-block; padding: 12px">{}</main>'


@dataclass(frozen=True)
class Places:
    """Where there is something to take pictures of.

    Attributes:
        view: The address of `view`, with its token.
        keys: What the runs are called by `view`, by their names.
        panel: The panel of a notebook, as HTML.
    """

    view: str
    keys: dict[str, str]
    panel: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures", metavar="FOLDER")
    folder = parser.parse_args().out.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock(trainings.NOW)
    with tempfile.TemporaryDirectory(prefix="pictures-") as place, told(clock):
        os.chdir(place)
        with recorded(clock, Path(place)) as places, camera(folder, trainings.NOW) as taking:
            take_all(taking, places)
        os.chdir(ROOT)
    print("".join(f"{each.stat().st_size:>8,}  {each.name}\n" for each in sorted(folder.glob("*.png"))), end="")


@contextmanager
def recorded(clock: Clock, place: Path) -> Iterator[Places]:
    """Record the trainings, deliver those that are to be, and serve what there is to see."""
    trainings.be_killed(trainings.KILLED, clock, JOURNAL)
    with running(place / "platform", port=PORT, api_key=KEY, clock=clock.unix) as platform:
        os.environ[DEFAULT.url_variable], os.environ[DEFAULT.key_variable] = platform.url, KEY
        for training in trainings.DELIVERED:
            trainings.end(trainings.record(training, clock, JOURNAL), training, clock)
            uploader.drain(JOURNAL)
        for training in trainings.WAITING:
            trainings.end(trainings.record(training, clock, JOURNAL), training, clock)
        uploader.verify(trainings.VERIFIED, journal=JOURNAL)
        run = trainings.record(trainings.GOES_ON, clock, JOURNAL)
        clock.now = trainings.NOW
        _settle(place, clock)
        source = JournalSource(JOURNAL)
        with serving(source, "token") as address:
            keys = {f"{one.project}/{one.name}": one.key for one in source.runs().runs}
            panel = panel_html(source.news(run.id), source.title)
            yield Places(address, keys, panel)
        run.finish()


def _settle(place: Path, clock: Clock) -> None:
    """Have the runs be in a folder that is nobody's, and the one that goes on be heard of now, by no slow heartbeat."""
    with closing(sqlite3.connect(JOURNAL / "journal.db")) as database, database:
        database.execute("UPDATE runs SET save_dir = replace(save_dir, ?, ?)", (str(place), HOME))
        alive = (to_text(clock.now), os.getpid())
        database.execute("UPDATE sessions SET heartbeat_at = ? WHERE ended_at IS NULL AND pid = ?", alive)


def take_all(taking: Camera, places: Places) -> None:
    """Take every picture."""
    view = places.view.partition("?")[0]
    main_run = places.keys[f"warehouse/{trainings.MAIN}"]
    for dark in (False, True):
        tone = "dark" if dark else "light"
        with taking.page(places.view, 1280, 874, dark=dark) as seen:
            seen.locator("tr[data-key] svg.spark").nth(len(places.keys) - 1).wait_for()
            taking.take(seen, f"runs-{tone}")
        with taking.page(f"{view}runs/{main_run}", 1200, 1112, dark=dark, past=places.view) as seen:
            seen.wait_for_selector("#curves canvas")
            taking.take(seen, f"run-{tone}")
    with taking.page(f"{view}runs/{main_run}", 1200, 900, past=places.view) as seen:
        seen.locator("#pictures").scroll_into_view_if_needed()
        seen.wait_for_selector("#pictures img")
        taking.take(seen, "images", of="#pictures", margin=16)
    chosen = "&".join(f"run={places.keys[f'warehouse/{name}']}" for name in trainings.COMPARED)
    with taking.page(f"{view}compare?{chosen}", 1200, 892, past=places.view) as seen:
        seen.wait_for_selector("#curves canvas")
        taking.take(seen, "compare")
    with taking.page(uploader.open(JOURNAL).run(f"warehouse/{trainings.MAIN}").times().models[0], 1200, 785) as seen:
        seen.wait_for_selector("#curves canvas")
        taking.take(seen, "platform")
    for words in ("status", "show"):
        said_there = said([words, "--journal", str(JOURNAL)], COLUMNS, 40).replace(str(Path.cwd()), HOME)
        with taking.page("about:blank", 1200, 1000) as seen:
            seen.set_content(page(f"python -m uploader {words}", said_there, COLUMNS))
            taking.take(seen, f"terminal-{words}", of="main", omit_background=True)
    with taking.page("about:blank", 760, 400) as seen:
        seen.set_content(_PANEL.format(places.panel))
        taking.take(seen, "panel", of="main")


if __name__ == "__main__":
    main()
