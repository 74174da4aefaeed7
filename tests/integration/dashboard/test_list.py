"""The list of runs, as a person in a browser sees and uses it."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from support.browsers import visited
from support.shown_runs import ShownRuns, shown

MAP = "metrics/mAP50-95(B)"
KEYS = [f"local/demo/run-{number}" for number in range(5)]


@pytest.fixture
def runs():
    """Five runs: the newest one running, the oldest but one in trouble."""
    found = ShownRuns(runs=5, epochs=8)
    found.tell(KEYS[1], state="failed", trouble="CUDA out of memory", project="other", tags=["night", "big"])
    return found


@pytest.fixture
def address(runs):
    with shown(runs) as found:
        yield found


@pytest.fixture
def page(browser, address):
    with visited(browser, address, "/") as found:
        found.wait_for_selector("tr[data-key]")
        yield found


def names(page):
    return page.locator("tr[data-key] a").all_inner_texts()


def query(page):
    return dict(parse_qsl(urlsplit(page.url).query))


def test_runs_that_are_chosen_are_read_before_somebody_compares_them(page):
    def is_for(key):
        return lambda each: each.method == "HEAD" and each.url.endswith(f"/data/curves?key={quote(key, safe='')}")

    with page.expect_request(is_for(KEYS[0])):
        page.get_by_label("Compare run-0").check()
    with page.expect_request(is_for(KEYS[0])):  # since its address names it
        page.reload()


def test_trouble_comes_first_then_what_runs_then_the_newest(page):
    assert names(page) == ["run-1", "run-4", "run-3", "run-2", "run-0"]
    assert "other" in page.locator("tr[data-key] .under").first.inner_text()
    assert "CUDA out of memory" in page.locator("tr[data-key] .under").first.inner_text()
    assert page.locator(".newest").get_attribute("href") == "/runs/local/demo/run-4"


def test_of_thousands_of_runs_only_those_in_view_are_in_the_page_and_each_can_be_reached(browser):
    with shown(ShownRuns(runs=2000, epochs=3)) as address, visited(browser, address) as page:
        page.wait_for_selector("tr[data-key]")
        assert page.locator("table").get_attribute("aria-rowcount") == "2001"
        assert page.locator("tr[data-key]").count() < 60
        page.locator(".runs-scroll").evaluate("all => { all.scrollTop = all.scrollHeight; }")
        page.wait_for_selector("tr[aria-rowindex='2001']")
        assert page.locator("tr[data-key]").count() < 60
        assert page.locator("tr[aria-rowindex='2001'] a").inner_text() == "run-0"
        page.get_by_label("Search runs").fill("run-1234")
        assert names(page) == ["run-1234"]


def test_any_column_sorts_the_best_first_and_the_address_shows_the_same_again(browser, address, page):
    page.get_by_role("button", name="mAP50-95(B)").click()
    values = [float(each.strip("★ ")) for each in page.locator(f"td[data-column='m:{MAP}']").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    assert query(page) == {"sort": f"-m:{MAP}"}
    found = names(page)
    with visited(browser, address, page.url.removeprefix(address)) as again:
        again.wait_for_selector("tr[data-key]")
        assert names(again) == found
    page.get_by_role("button", name="mAP50-95(B)").click()
    assert names(page) == found[::-1]
    page.get_by_role("button", name="val/box_loss").click()
    losses = [float(each.strip("★ ")) for each in page.locator("td[data-column='m:val/box_loss']").all_inner_texts()]
    assert losses == sorted(losses)
    page.get_by_label("Order").select_option("")
    assert names(page)[0] == "run-1"
    assert query(page) == {}


def test_the_best_value_of_a_metric_is_marked_and_of_a_loss_the_lowest(page, runs):
    lines = runs.runs().runs
    for metric, choice in ((MAP, max), ("val/box_loss", min)):
        best = choice(lines, key=lambda line: line.metrics[metric])
        marked = page.locator(f"td[data-column='m:{metric}']:has(.best)")
        assert marked.count() == 1
        assert marked.locator("xpath=..").get_attribute("data-key") == best.key


def test_words_are_found_in_names_tags_arguments_and_trouble(page):
    search = page.get_by_label("Search runs")
    for words, found in {
        "run-3": ["run-3"],
        "big night": ["run-1"],
        "lr0=0.03": ["run-2"],
        "memory": ["run-1"],
        "imgsz=640 run-3": ["run-3"],
    }.items():
        search.fill(words)
        assert names(page) == found
    search.fill("nothing like it")
    assert page.get_by_text("No run fits").is_visible()
    assert page.get_by_role("status").filter(has_text="0 of 5 runs").count() == 1
    page.get_by_role("button", name="Clear filters").click()
    assert len(names(page)) == 5


def test_states_projects_tags_and_dates_filter_and_stand_in_the_address(page, runs):
    page.get_by_role("button", name="completed 3").click()
    assert names(page) == ["run-3", "run-2", "run-0"]
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Tag").select_option("night")
    assert names(page) == ["run-3", "run-0"]
    runs.tell(KEYS[3], started_at="2020-05-05T12:00:00+00:00")
    page.get_by_label("Started from").fill("2020-05-01")
    page.get_by_label("until").fill("2020-05-31")
    page.wait_for_selector("tr[data-key]")
    assert names(page) == ["run-3"]
    assert set(query(page)) == {"state", "tag", "from", "to"}
    page.get_by_label("Project").select_option("other")
    assert names(page) == []


def test_columns_and_counts_are_those_of_the_runs_that_are_found(page, runs):
    for key in KEYS[:4]:
        runs.tell(key, project="loops", metrics={"loss": 0.5}, arguments={"lr": 0.1})
    page.wait_for_selector("th[data-column='m:loss']")
    page.wait_for_selector(f"th[data-column='m:{MAP}']", state="detached")  # which one of five has
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Project").select_option("demo")
    page.wait_for_selector(f"th[data-column='m:{MAP}']")
    assert page.locator("th[data-column='m:loss']").count() == 0
    assert page.locator(".states button").all_inner_texts() == ["All\n1", "running\n1"]


def test_columns_are_chosen_and_stand_in_the_address(browser, page, address, runs):
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Find a column").fill("box")
    page.get_by_label("train/box_loss").check()
    page.get_by_label("Find a column").fill("imgsz")
    page.get_by_label("imgsz").check()
    page.get_by_label("Find a column").fill("took")
    page.get_by_label("Took").check()
    page.keyboard.press("Escape")
    assert page.locator("tr[data-key$=run-3] td[data-column='took']").inner_text() == "1 min 20 s"
    runs.tell(KEYS[3], seconds=7200)  # however long ago it began
    page.wait_for_selector("tr[data-key$=run-3] td[data-column='took']:text('2 h')")
    assert page.locator("tr[data-key] td[data-column='a:imgsz']").all_inner_texts() == ["640"] * 5
    with visited(browser, address, page.url.removeprefix(address)) as again:
        again.wait_for_selector("th[data-column='a:imgsz']")
        assert again.locator("th[data-column='m:train/box_loss']").count() == 1


def test_an_epoch_moves_only_what_it_changed_while_a_person_types(page, runs):
    trends = []
    page.wait_for_selector("tr[data-key] .spark")
    page.on("request", lambda asked: trends.append(asked.url) if "/data/" in asked.url else None)
    page.evaluate("for (const line of document.querySelectorAll('tr[data-key]')) line.known = true")
    search = page.get_by_label("Search runs")
    search.press_sequentially("run")
    runs.train(KEYS[4])
    page.wait_for_selector("tr[data-key$=run-4] [data-column=progress]:has-text('9')")
    search.press_sequentially("-")
    assert search.input_value() == "run-"
    assert search.evaluate("input => input === document.activeElement")
    assert page.evaluate("[...document.querySelectorAll('tr[data-key]')].every(line => line.known)")
    assert page.locator("tr[data-key$=run-4] .spark").get_attribute("data-points") == "9"
    assert trends == []  # neither the list nor a curve is asked for again


def test_runs_come_go_and_are_told_anew(page, runs):
    runs.tell("local/demo/fresh", started_at="2040-01-01T00:00:00+00:00")
    page.wait_for_selector("tr[data-key='local/demo/fresh']")
    assert page.locator(".newest").inner_text() == "Newest: fresh"
    runs.remove(KEYS[0])
    page.wait_for_selector(f"tr[data-key='{KEYS[0]}']", state="detached")
    runs.remove(KEYS[2])
    runs.begin_anew()
    page.wait_for_selector(f"tr[data-key='{KEYS[2]}']", state="detached")
    assert len(names(page)) == 4


def test_a_small_curve_is_asked_for_once_and_only_for_runs_in_view(browser):
    asked = []
    with shown(ShownRuns(runs=300, epochs=4)) as address, visited(browser, address, "/?sort=started") as page:
        page.on("request", lambda each: asked.append(each.url) if "/data/trends" in each.url else None)
        page.wait_for_selector("tr[data-key] .spark")
        page.get_by_label("Search runs").fill("run-29")
        page.wait_for_selector("tr[data-key$=run-299] .spark")
        page.get_by_label("Search runs").fill("")
        page.wait_for_selector("tr[data-key$=run-0] .spark")
    keys = [value for url in asked for _, value in parse_qsl(urlsplit(url).query)]
    assert len(keys) == len(set(keys))
    assert len(keys) < 60


def test_two_chosen_runs_lead_to_their_comparison_and_the_choice_stands_in_the_address(page):
    page.get_by_label("Compare run-3").check()
    compare = page.get_by_role("link", name="Compare", exact=False).filter(has_text="Compare 1")
    assert compare.get_attribute("href") is None
    page.get_by_label("Compare run-1").check()
    link = page.get_by_role("link", name="Compare 2")
    assert parse_qsl(urlsplit(link.get_attribute("href")).query) == [("run", KEYS[3]), ("run", KEYS[1])]
    page.reload()
    page.wait_for_selector("tr[data-key]")
    assert page.get_by_label("Compare run-3").is_checked()
    page.get_by_label("Compare run-3").uncheck()
    assert query(page) == {"pick": KEYS[1]}


def test_the_keyboard_reaches_every_run(page):
    page.keyboard.press("/")
    page.keyboard.type("run")
    assert page.get_by_label("Search runs").input_value() == "run"
    page.get_by_role("link", name="run-1", exact=True).focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "run-4"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert page.get_by_label("Compare run-1").is_checked()
    assert page.evaluate("document.activeElement.ariaLabel") == "Compare run-1"


def test_an_empty_list_says_what_to_do_and_the_first_run_appears_by_itself(browser):
    runs = ShownRuns(runs=0)
    with shown(runs) as address, visited(browser, address) as page:
        page.wait_for_selector("text=No run yet")
        assert "uploader exec" in page.locator("pre").inner_text()
        assert page.locator("h1").inner_text() == "Runs"
        runs.tell("local/demo/run-0", metrics={MAP: 0.5})
        page.wait_for_selector("tr[data-key]")
        assert page.locator(f"th[data-column='m:{MAP}']").count() == 1


def test_nothing_is_wider_than_the_page_and_what_matters_is_in_view(page):
    for width in (320, 390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        line = page.locator("tr[data-key]").first
        for column in ("state", "progress", f"m:{MAP}"):
            box = line.locator(f"[data-column='{column}']").bounding_box()
            assert box["x"] + box["width"] <= width
        for part in ("[data-column='progress']", ".project"):
            assert line.locator(part).evaluate("part => part.scrollWidth <= part.clientWidth")
        assert page.get_by_label("Order").bounding_box()["width"] > 125  # room for "Trouble first"
