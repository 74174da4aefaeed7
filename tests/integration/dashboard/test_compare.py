"""Runs beside each other, as a person in a browser sees and uses them."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from support.browsers import visited
from support.shown_runs import ShownRuns, shown

MAP = "metrics/mAP50-95(B)"
KEYS = [f"local/demo/run-{number}" for number in range(3)]
ALL = "/compare?" + "&".join(f"run={key}" for key in KEYS)

ALL_DRAWN = ".charts:not(:has(.chart:not(:has(.legend b)))):not(:has(.legend b:empty))"


@pytest.fixture
def runs():
    found = ShownRuns(runs=3, epochs=6)
    found.tell(KEYS[1], metrics={**found.runs().runs[1].metrics, "lr": 0.5})
    return found


@pytest.fixture
def address(runs):
    with shown(runs) as found:
        yield found


@pytest.fixture
def page(browser, address):
    with visited(browser, address, ALL) as found:
        found.wait_for_selector(".plot canvas")
        found.wait_for_selector("#head li:nth-child(3)")
        yield found


def row(page, section, name):
    cells = page.locator(f"#{section} > .scroll tr:has(th:text-is('{name}')) td")
    return [each.replace("★ ", "") for each in cells.all_inner_texts()]


def test_what_differs_is_shown_and_what_is_equal_is_folded_away(page):
    assert row(page, "differences", "lr0") == ["0.01", "0.02", "0.03"]
    assert page.locator("#differences > .scroll").get_by_text("imgsz").count() == 0
    page.get_by_text("6 the same").click()
    assert page.locator("#differences details").get_by_text("imgsz").is_visible()
    assert page.locator("#differences details").get_by_text("git.branch").is_visible()
    assert page.locator("#differences").get_by_text("uploader").count() == 0  # a run's own id differs always


def test_results_stand_beside_each_other_and_the_best_is_marked(page, runs):
    lines = {line.key: line for line in runs.runs().runs}
    for name, choice in (("mAP50-95(B)", max), ("val/box_loss", min)):
        values = [lines[key].metrics[MAP if "mAP" in name else name] for key in KEYS]
        assert row(page, "results", name) == [f"{value:.4f}" for value in values]
        best = page.locator(f"#results tr:has(th:text-is('{name}')) .best")
        assert best.all_inner_texts() == [f"{choice(values):.4f}"]
    assert page.locator("#results tr:has(th:text-is('lr')) .best").count() == 0  # nothing is better about a rate


def test_a_run_has_one_colour_in_its_name_its_tables_and_its_curves(page):
    read = "all => all.map(each => each.style.getPropertyValue('--run'))"
    colours = page.locator("#head .swatch").evaluate_all(read)
    assert len(set(colours)) == 3
    assert page.locator("#results thead .swatch").evaluate_all(read) == colours
    assert page.locator("section[aria-label='metrics/mAP50(B)'] .legend .swatch").evaluate_all(read) == colours


def test_a_run_is_taken_out_or_its_curves_hidden_and_the_address_shows_the_same(browser, address, page):
    page.get_by_role("button", name="Curves of run-1").click()
    assert page.locator("section[aria-label='metrics/mAP50(B)'] .legend li").count() == 2
    page.get_by_role("button", name="Take out run-0").click()
    assert parse_qsl(urlsplit(page.url).query) == [("run", KEYS[1]), ("run", KEYS[2]), ("hide", KEYS[1])]
    with visited(browser, address, page.url.removeprefix(address)) as again:
        again.wait_for_selector("#head li:nth-child(2)")
        assert again.get_by_role("button", name="Curves of run-1").get_attribute("aria-pressed") == "false"
        assert row(again, "differences", "lr0") == ["0.02", "0.03"]
        again.get_by_role("button", name="Take out run-1").click()
        assert again.get_by_text("One run has nothing to be compared with").is_visible()
        again.get_by_role("button", name="Take out run-2").click()
        assert again.get_by_text("No run is chosen").is_visible()


def test_an_epoch_comes_in_by_itself_and_nothing_is_asked_for_again(page, runs):
    page.locator("section[aria-label='lr']").scroll_into_view_if_needed()
    page.wait_for_selector("section[aria-label='lr'] .legend li:nth-child(3) b:has-text('0.00')")
    asked = []
    page.on("request", lambda each: asked.append(each.url))
    before = row(page, "results", "mAP50-95(B)")
    runs.train(KEYS[2])
    page.wait_for_selector("#results tr:has(th:text-is('Epochs')) td:nth-child(4):has-text('7 / 100')")
    after = row(page, "results", "mAP50-95(B)")
    assert after[:2] == before[:2]
    assert after[2] == f"{runs.runs().runs[0].metrics[MAP]:.4f}"
    assert asked == []
    page.get_by_role("button", name="Curves of run-2").click()  # an axis goes as far as those that are seen
    page.locator("section[aria-label='lr'] [role=slider]").press("End")
    assert page.locator("section[aria-label='lr'] [role=slider]").get_attribute("aria-valuetext").startswith("epoch 6:")


def test_what_has_not_come_in_yet_counts_and_is_chosen_among_others(browser, address):
    held = []
    with visited(browser, address, "/") as page:
        page.route("**/data/curves*", lambda route: held.append(route))
        page.goto(address + ALL)
        page.get_by_text("Loading 0 of 3 runs").wait_for()
        others = page.get_by_role("link", name="Choose others").get_attribute("href")
        assert sorted(parse_qsl(urlsplit(others).query)) == [("pick", key) for key in KEYS]
        held[0].continue_()
        page.get_by_text("3 runs", exact=True).wait_for()


def test_curves_are_asked_for_as_their_charts_come_into_view_and_once(browser, address):
    asked, held, is_free = [], [], False
    with visited(browser, address, "/", viewport={"width": 390, "height": 600}) as page:
        page.on("request", lambda each: asked.append(each.url) if "/data/curves" in each.url else None)
        page.goto(address + ALL)
        page.wait_for_selector(".plot canvas")
        assert not any("metric=" in url and "lr" in url for url in asked)
        page.route("**/data/curves*metric=*", lambda route: route.continue_() if is_free else held.append(route))
        page.locator("section[aria-label='lr']").scroll_into_view_if_needed()
        page.wait_for_selector("section[aria-label='lr'] .plot[data-none='Loading…']")
        assert page.locator("section[aria-label='lr'] canvas").count() == 0  # no axes of nothing
        is_free = True
        for route in held:
            route.continue_()
        for title in ("lr", "box_loss"):
            page.locator(f"section[aria-label='{title}']").scroll_into_view_if_needed()
            page.locator(f"section[aria-label='{title}'] canvas").wait_for()
            page.locator(f"section[aria-label='{title}'] .legend b:has-text('.')").first.wait_for()
        page.locator("h1").scroll_into_view_if_needed()
        page.locator("section[aria-label='metrics/precision(B)'] canvas").wait_for()
    wanted = [(key, name) for url in asked for key, name in _curves(url)]
    assert len(wanted) == len(set(wanted))


def _curves(url):
    told = parse_qsl(urlsplit(url).query)
    metrics = [value for name, value in told if name == "metric"] or ["the first"]
    return [(value, metric) for name, value in told if name == "key" for metric in metrics]


def test_the_first_curves_come_without_the_others(address):
    def asked(**query):
        return requests.get(f"{address}/data/curves", {"key": [*KEYS, "no such run"], **query}, timeout=60).json()

    told = asked()
    assert [*told] == KEYS
    one = told[KEYS[0]]
    assert len(one["names"]) == 11
    assert list(one["epochs"]["values"]) == [name for name in one["names"] if name.startswith("metrics/")][:3]
    assert set(one["facts"]) == {"arguments", "environment", "best", "evaluation"}
    some = asked(metric=["lr", "no such"])[KEYS[0]]
    assert list(some["values"]) == ["lr"]
    assert len(some["values"]["lr"]) == len(some["at"]) == 6
    assert "times" not in some
    assert len(asked(times=1)[KEYS[0]]["times"]) == 6


def test_times_come_when_curves_are_drawn_by_them(browser, address):
    with visited(browser, address, ALL) as page:
        page.wait_for_selector(".plot canvas")
        page.get_by_label("Across").select_option("time")
        page.wait_for_selector(".plot[aria-valuetext^='0:50']")
    with visited(browser, address, f"{ALL}&x=time") as page:
        page.wait_for_selector(".plot[aria-valuetext^='0:50']")


class Gapped(ShownRuns):
    """Epochs told a metric that is looked at first, and one that is not, but no number."""

    def _columns(self, key, epochs):
        return replace(super()._columns(key, epochs), gaps={"metrics/recall(B)": [2], "lr": [3]})


def test_a_line_does_not_go_across_what_was_told_and_is_no_number(browser):
    with shown(Gapped()) as address, visited(browser, address, ALL) as page:
        gaps = page.evaluate(
            "keys => import('/assets/compared.js').then(async ({ comparedRuns, askCurves }) => {"
            "const runs = await comparedRuns(keys); const first = { ...runs[0].epochs.gaps };"
            "await askCurves(runs, ['lr']); return [first, runs[0].epochs.gaps]; })",
            KEYS,
        )
    assert gaps == [{"metrics/recall(B)": [2]}, {"metrics/recall(B)": [2], "lr": [3]}]


def test_what_is_deleted_or_was_never_there_leaves_the_others(browser, address, runs):
    path = f"/compare?run={KEYS[0]}&run={KEYS[1]}"
    with visited(browser, address, path, viewport={"width": 1280, "height": 3000}) as page:
        page.wait_for_selector(ALL_DRAWN)  # else a curve of what is deleted would be asked for, which is an error
        runs.remove(KEYS[1])
        page.wait_for_selector("#head li:nth-child(2)", state="detached")
        assert page.locator("#head li").inner_text().startswith("run-0")


def test_a_dozen_runs_have_lines_of_their_own_and_a_legend(browser):
    with shown(ShownRuns(runs=12, epochs=2)) as address:
        path = "/compare?" + "&".join(f"run=local/demo/run-{number}" for number in range(12))
        with visited(browser, address, path) as page:
            swatches = page.locator("section[aria-label='metrics/mAP50(B)'] .legend .swatch")
            swatches.nth(11).wait_for()
            look = "all => all.map(({ style }) => style.getPropertyValue('--run') + style.getPropertyValue('--dash'))"
            looks = [swatches.evaluate_all(look), page.locator("#head .swatch").evaluate_all(look)]
    assert [len(set(each)) for each in looks] == [12, 12]


def test_nothing_is_wider_than_the_page(page):
    for width in (390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width
