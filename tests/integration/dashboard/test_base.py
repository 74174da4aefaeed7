"""What every page has: its look, numbers and times in words, and whether it is live."""

from __future__ import annotations

import re

import pytest
import requests
from support.browsers import visited
from support.shown_runs import ShownRuns, shown

from uploader.dashboard.asset_files import ASSETS

LOADED = re.compile(r'(?:href|src)="(/assets/[^"]+)"')
IMPORTED = re.compile(r'from ?"\./([^"]+)"')


@pytest.fixture(scope="module")
def runs():
    return ShownRuns(runs=3, epochs=5)


@pytest.fixture(scope="module")
def address(runs):
    with shown(runs) as found:
        yield found


@pytest.mark.parametrize("path", ["/", "/runs/local/demo/run-1", "/compare?run=local/demo/run-1&run=local/demo/run-2"])
def test_a_page_names_its_source_and_loads_without_an_error(browser, address, path):
    with visited(browser, address, path) as page:
        assert page.title().endswith("· made up")
        assert page.locator("header .source").inner_text() == "made up"


def test_a_page_says_whether_it_is_live_and_asks_again_until_it_is_refused(browser, address):
    asked, answers = [], {"now": {"status": 502, "body": "a proxy's page"}}

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(**answers["now"]) if answers["now"] else route.abort()

    def wait_for_another():
        known = len(asked)
        while len(asked) == known:
            page.wait_for_timeout(20)

    page = browser.new_page()  # it logs the 502 as an error, rightly
    page.set_default_timeout(60_000)
    page.clock.install()
    page.route("**/data/events*", answer)
    page.goto(address)
    page.wait_for_selector("tr[data-key]")
    if not asked:
        wait_for_another()
    page.clock.fast_forward(3000)
    page.wait_for_selector("#connection[data-live=no]:has-text('Reconnecting')")
    stream = {"content_type": "text/event-stream", "body": "retry: 50\n\n"}
    answers["now"] = stream
    page.clock.fast_forward(4000)
    page.wait_for_selector("#connection[data-live=yes]:has-text('Live')")
    answers["now"] = None
    for _ in range(4):  # it fails again and again, sooner than a loss is told
        wait_for_another()
        page.clock.fast_forward(1000)
    page.wait_for_selector("#connection[data-live=no]:has-text('Reconnecting')")
    answers["now"] = stream
    page.wait_for_selector("#connection[data-live=yes]")
    assert len(set(asked)) == 1
    page.route("**/data/trends*", lambda route: route.fulfill(status=403))
    answers["now"] = {"status": 403}
    printed = "#connection[data-live=no]:has-text('open the address that it printed')"
    page.wait_for_selector(printed)
    known = len(asked)
    page.clock.fast_forward(30_000)
    page.evaluate("fetch('/data/trends').then(() => 0)")
    assert (len(asked), page.locator(printed).count()) == (known, 1)
    page.context.close()


def test_a_page_says_why_nothing_can_be_read_and_goes_on(browser, address, runs):
    with visited(browser, address) as page:
        page.wait_for_selector("#connection[data-live=yes]")
        page.wait_for_selector("tr[data-key] .spark")  # asked for a little later, which would be refused, too
        runs.trouble = "there is no journal in <b>here</b>"
        page.wait_for_selector("main > .notice:has-text('there is no journal in <b>here</b>')")
        assert page.locator("tr[data-key]").count()  # what was shown stays
        runs.trouble = ""
        page.wait_for_selector("main > .notice", state="detached")


def test_all_pages_together_load_no_more_than_150_kilobytes(address):
    session, sizes, waiting = requests.Session(), {}, set()
    for path in ("/", "/runs/local/demo/run-1", "/compare?run=local/demo/run-1&run=local/demo/run-2"):
        answer = session.get(address + path, timeout=60)
        sizes[path] = len(answer.content)
        waiting |= set(LOADED.findall(answer.text))
    while waiting:
        each = waiting.pop()
        content = session.get(address + each, timeout=60).content
        sizes[each] = len(content)
        if each.endswith(".js") and "/vendor/" not in each:
            imported = {f"/assets/{name}" for name in IMPORTED.findall(content.decode())}
            waiting |= imported - sizes.keys()
    assert {path.removeprefix("/assets/") for path in sizes} >= {
        each.name for each in ASSETS.iterdir() if each.is_file()
    }
    assert sum(sizes.values()) < 150_000, sizes


SAID = {
    "short(0.123456)": "0.1235",
    "short(12)": "12",
    "short(0.0000123456)": "1.235e-5",
    "short(null)": "",
    "short(true)": "yes",
    "bytes(5400000)": "5.4 MB",
    "bytes(999999)": "1 MB",
    "bytes(12)": "12 B",
    "duration(0.5)": "0.5 s",
    "duration(200)": "3 min 20 s",
    "duration(3600)": "1 h",
    "duration(2 * 86400 + 3 * 3600 + 59)": "2 d 3 h",
    "ago('2026-11-01T10:00:00Z', Date.parse('2026-11-01T10:05:00Z'))": "5 min ago",
    "ago('2026-11-01T10:00:00Z', Date.parse('2026-11-30T10:05:00Z'))": "2026-11-01",
    "kindOf('stopped early')": "warn",
    "kindOf('something new')": "idle",
    "lowerIsBetter('val/box_loss')": True,
    "lowerIsBetter('metrics/mAP50(B)')": False,
    "['Loss/train', 'valLoss', 'l1loss_2', 'top5 error', 'RMSE', 'time/epoch'].every(lowerIsBetter)": True,
    "['metric<img onerror', 'timestep reward', 'glossary', 'sentiment'].some(lowerIsBetter)": False,
    "['lr', 'lr/pg0', 'train/learning_rate', 'gradNorm/all', 'global_step', 'epoch'].some(isJudged)": False,
    "['metrics/mAP50(B)', 'val_loss', 'loss_step', 'clrs', 'grade'].every(isJudged)": True,
    "[...new Set(colours('abcdefghij').values())].length": 10,
    # Nor do three share one while another is had by one only: a, k and u would.
    "Object.values(Object.groupBy(colours('abcdefghijku').values(), (it) => it)).every((it) => !it[2])": True,
}


def test_numbers_times_and_states_are_put_in_words(browser, address):
    with visited(browser, address) as page:
        told = page.evaluate(
            "import('/assets/words.js').then((words) => {"
            "const { short, bytes, duration, ago, kindOf, isJudged, lowerIsBetter, colours } = words;"
            f"return [{', '.join(SAID)}] }})"
        )
    assert dict(zip(SAID, told, strict=True)) == SAID
