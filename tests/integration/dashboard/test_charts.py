"""Charts of runs: what they draw, what they tell below the cursor, and how they are zoomed, smoothed and filtered."""

from __future__ import annotations

import pytest
from support.browsers import visited
from support.shown_runs import ShownRuns, shown, values_of

EPOCHS = 40
PAGE = "/runs/local/demo/run-2"


@pytest.fixture(scope="module")
def runs():
    return ShownRuns(runs=3, epochs=EPOCHS)


@pytest.fixture(scope="module")
def address(runs):
    with shown(runs) as found:
        yield found


@pytest.fixture
def page(browser, address):
    with visited(browser, address, PAGE, viewport={"width": 1280, "height": 900}) as found:
        found.wait_for_selector("section.chart canvas")
        yield found


@pytest.fixture(scope="module")
def still(browser, address):
    """A page for tests that move neither its cursor nor its zoom, and hide no chart."""
    with visited(browser, address, PAGE, viewport={"width": 1280, "height": 900}) as found:
        found.wait_for_selector("section.chart canvas")
        yield found


def chart(page, title):
    return page.get_by_role("region", name=title, exact=True)


def legend(page, title):
    """What a chart's legend says: the value of each line, by its name."""
    found = chart(page, title).locator(".legend button")
    return {one.locator("span:not(.swatch)").inner_text(): one.locator("b").inner_text() for one in found.all()}


def told(value):
    """A number as pages write it."""
    return f"{value:.4g}"


def test_training_and_validation_loss_share_a_chart_and_results_come_first(still):
    titles = still.locator("#curves section.chart h3").all_inner_texts()
    assert titles[:2] == ["metrics/precision(B)", "metrics/recall(B)"]
    over, box = (chart(still, "lr").locator(each).bounding_box() for each in (".u-over", ".plot"))
    assert box["x"] + box["width"] - over["x"] - over["width"] >= 20  # half of "100000", the last tick
    assert titles[4:] == ["box_loss", "cls_loss", "dfl_loss", "lr", "epoch time (s)"]
    assert list(legend(still, "box_loss")) == ["train/box_loss", "val/box_loss"]


def test_a_legend_tells_the_last_values_of_the_source_and_the_final_evaluation_apart(still):
    last = values_of(2, EPOCHS - 1)
    assert legend(still, "box_loss") == {name: told(last[name]) for name in ("train/box_loss", "val/box_loss")}
    assert f"final {told(values_of(0, 0)['train/box_loss'])}" in chart(still, "box_loss").inner_text()
    assert chart(still, "box_loss").get_by_role("slider").get_attribute("aria-valuemax") == str(EPOCHS)


def test_keys_move_one_cursor_over_all_charts_and_each_tells_its_values_there(page):
    plot = chart(page, "box_loss").get_by_role("slider")
    plot.focus()
    page.keyboard.press("Home")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    expected = values_of(2, 6)
    assert plot.get_attribute("aria-valuetext").startswith("epoch 7: train/box_loss: ")
    for title, name in (("box_loss", "val/box_loss"), ("metrics/mAP50(B)", "metrics/mAP50(B)")):
        chart(page, title).get_by_text("epoch 7", exact=True).wait_for()
        assert legend(page, title)[name] == told(expected[name])


def drag(page, title):
    box = chart(page, title).locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60, steps=3)
    page.mouse.up()


def test_a_drag_zooms_all_charts_the_address_keeps_it_and_a_double_click_shows_all_again(page):
    drag(page, "box_loss")
    page.wait_for_url("**/*zoom=*")
    page.reload()
    out = page.get_by_role("button", name="Zoom out")
    out.wait_for()
    chart(page, "metrics/recall(B)").locator(".u-over").dblclick()
    out.wait_for(state="hidden")
    assert "zoom" not in page.url


def test_a_finger_that_goes_sideways_zooms_and_one_that_goes_down_scrolls(browser, address):
    with visited(browser, address, PAGE, viewport={"width": 390, "height": 844}, has_touch=True) as page:
        page.wait_for_selector("section.chart canvas")
        touch = page.context.new_cdp_session(page)
        over = chart(page, "metrics/precision(B)").locator(".u-over")
        over.scroll_into_view_if_needed()
        [x, y], before = middle_of(over), page.evaluate("scrollY")
        swipe(touch, [(x + step, y - 10 * step) for step in (0, 4, 8, 12)])
        page.wait_for_function("before => scrollY > before", arg=before)
        assert "zoom" not in page.url
        assert over.locator(".u-select").evaluate("each => each.offsetWidth") == 0
        x, y = middle_of(over)
        swipe(touch, [(x + step, y) for step in (0, 40, 80)])
        page.wait_for_url("**/*zoom=*")
        # No tap, which so soon after a swipe only stops what Chromium still scrolls, and is no click.
        page.get_by_role("button", name="Zoom out").click()
        page.get_by_role("button", name="Zoom out").wait_for(state="hidden")


def middle_of(element):
    box = element.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def swipe(touch, places):
    """Touch the first of some places, and go over the others."""
    for number, (x, y) in enumerate(places):
        said = {"type": "touchMove" if number else "touchStart", "touchPoints": [{"x": x, "y": y}]}
        touch.send("Input.dispatchTouchEvent", said)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_keys_zoom_around_the_cursor_and_a_chart_takes_no_other(page):
    plot = chart(page, "box_loss").get_by_role("slider")
    page.evaluate("taken = []; addEventListener('keydown', (event) => taken.push(event.defaultPrevented))")
    for key in ("PageDown", "Control+=", "Shift+Tab", "Tab"):
        plot.focus()
        page.keyboard.press(key)
        assert plot.evaluate("each => each !== document.activeElement") == ("Tab" in key)
    assert page.evaluate("taken") == [False] * 6  # Control and Shift are keys, too
    plot.focus()
    page.keyboard.press("+")
    page.wait_for_url("**/*zoom=*")
    page.keyboard.press("0")
    page.get_by_role("button", name="Zoom out").wait_for(state="hidden")


def test_a_line_is_switched_off_in_the_legend(page):
    button = chart(page, "box_loss").get_by_role("button", name="val/box_loss")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert "val/box_loss" not in chart(page, "box_loss").get_by_role("slider").get_attribute("aria-valuetext")


def test_a_legend_keeps_the_focus_while_the_cursor_moves(page):
    button = chart(page, "box_loss").get_by_role("button", name="val/box_loss")
    button.focus()
    chart(page, "box_loss").locator(".u-over").hover()
    chart(page, "box_loss").locator(".where:not(:empty)").wait_for()
    assert button.evaluate("each => each === document.activeElement")


def test_charts_are_over_time_if_somebody_wants_that(page):
    page.get_by_label("Across").select_option("time")
    chart(page, "box_loss").get_by_role("slider").press("Home")
    chart(page, "box_loss").get_by_role("slider").press("ArrowRight")
    chart(page, "lr").get_by_text("0:10", exact=True).wait_for()
    assert legend(page, "box_loss")["val/box_loss"] == told(values_of(2, 1)["val/box_loss"])
    assert "x=time" in page.url


def test_on_a_phone_nothing_overflows_and_only_charts_near_the_screen_are_built(browser, address):
    with visited(browser, address, PAGE, viewport={"width": 390, "height": 500}) as page:
        chart(page, "metrics/precision(B)").locator("canvas").wait_for()
        assert chart(page, "lr").locator("canvas").count() == 0
        page.locator("#environment").scroll_into_view_if_needed()
        chart(page, "metrics/precision(B)").locator("canvas").wait_for(state="detached")
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_charts_are_filtered_by_words_and_the_address_keeps_them(page):
    page.get_by_label("Filter charts").fill("LOSS val")
    assert page.locator("#curves section.chart:visible h3").all_inner_texts() == ["box_loss", "cls_loss", "dfl_loss"]
    page.reload()
    page.get_by_text("3 of 9 charts").wait_for()


def test_many_charts_stand_in_rooms_by_the_beginnings_of_their_names_and_the_address_keeps_which_are_open(browser):
    names = [f"{kind}/{number}" for kind in ("grad", "weight") for number in range(150)]
    with shown(ShownRuns(runs=3, epochs=3, more=names)) as address, visited(browser, address, PAGE) as page:
        rooms = page.locator("#curves .room > summary")
        rooms.nth(4).wait_for()
        told = ["metrics (4)", "train, val (3)", "others (2)", "grad (150)", "weight (150)"]
        assert rooms.all_inner_texts() == told
        assert page.locator("#curves .room[open] > summary").all_inner_texts() == told[:1]
        assert page.locator("#curves canvas").count() == 4  # of what is open
        rooms.nth(3).click()
        rooms.nth(0).click()
        page.locator("section[aria-label='grad/0'] canvas").wait_for()
        page.reload()
        page.locator("section[aria-label='grad/0'] canvas").wait_for()
        assert page.locator("#curves .room[open] > summary").all_inner_texts() == ["grad (150)"]
        page.get_by_label("Filter charts by name").fill("weight/149")
        page.locator("section[aria-label='weight/149'] canvas").wait_for()
        assert page.locator("#curves .room:not([hidden]) > summary").all_inner_texts() == ["weight (1)"]


def test_smoothing_leaves_the_values_that_are_told_as_they_are(still):
    still.get_by_label("Smoothing").fill("80")
    assert still.locator(".controls output").inner_text() == "0.996"
    assert legend(still, "box_loss")["val/box_loss"] == told(values_of(2, EPOCHS - 1)["val/box_loss"])


def test_a_new_epoch_is_told_without_losing_the_zoom(browser, address, runs):
    key = "local/demo/run-1"
    with visited(browser, address, f"/runs/{key}", viewport={"width": 1280, "height": 900}) as page:
        page.wait_for_selector("section.chart canvas")
        drag(page, "box_loss")
        page.wait_for_url("**/*zoom=*")
        page.mouse.move(0, 0)
        runs.train(key)
        value = told(values_of(1, len(runs.news(key).epochs.at) - 1)["val/box_loss"])
        chart(page, "box_loss").get_by_text(value, exact=True).wait_for()
        assert page.get_by_role("button", name="Zoom out").is_visible()


SAID = {
    "timed({ values: { m: [1, 2] }, took: [1500, null] }).values": {"m": [1, 2], "epoch time (s)": [1.5, None]},
    # Rows that come later, again, and in between; a name that is new.
    """(() => { const columns = { at: [0, 2], times: ["a", "c"], values: { m: [1, 3] } };
        upsert(columns, { at: [1, 2, 3], times: ["b", "C", "d"], values: { m: [2, 30, 4], n: [5, 6, 7] } });
        return columns; })()""": {
        "at": [0, 1, 2, 3],
        "times": ["a", "b", "C", "d"],
        "values": {"m": [1, 2, 30, 4], "n": [None, 5, 6, 7]},
        "gaps": {},
    },
    "smoothed([1, null, 2, 4], 0.5)": [1, None, 5 / 3, 3],
    "smoothed([1, 2], 0)": [1, 2],
    "alone([null, 1, null, 2, 3, null, 4])": [1, 6],
    "alone([1, undefined, null, undefined, 2, undefined, 3])": [0],
    # Undefined is gone across, null is a gap: what is told and no number, and 0 on a logarithmic axis.
    "valuesOf([1, null, 0], [0, 2, 3], 4, true).map(String)": ["1", None, None, "null"],
    "valuesOf([1, null, 2, null, 3], [0, 1, 2, 3, 4], 5, false, [0, 3]).map(String)": ["1", None, "2", "null", "3"],
    "alone(valuesOf([1, null, 2, null, 3], [0, 1, 2, 3, 4], 5, false, [3]))": [4],
    "[...groupsOf([{ columns: { values: { 'train/a': [], 'metrics/b': [], 'val/a': [] } } }])]": [
        ["metrics/b", ["metrics/b"]],
        ["a", ["train/a", "val/a"]],
    ],
    """[[0, 1], [2]].reduce((all, at) => (upsert(all, { at, values: { m: at.map(() => null) }, gaps: { m: at } }), all),
        { at: [], values: {} }).gaps""": {"m": [0, 1, 2]},
    "endsOf([[2, 3, null], [null, 1], [null]])": [1, 3],
    "distinct(['1e+15', '1e+15', '2e+15'])": ["1e+15", "", "2e+15"],
    "new Set(Array.from({ length: 8 }, (_, at) => String(dashOf(at)))).size": 8,
    "titleOf('val/seg_loss')": "seg_loss",
    "titleOf('lr/pg2')": "lr",
    "titleOf('metrics/mAP50(M)')": "metrics/mAP50(M)",
    "axisOf([{ columns: { at: [0, 2] } }, { columns: { at: [1, 2] } }], 'epoch')": {
        "xs": [1, 2, 3],
        "rows": [[0, 2], [1, 2]],
    },
    """axisOf([{ began: "2026-01-01T00:00:00Z", columns: { at: [0, 1], times: ["2026-01-01T00:00:09Z", null] } }],
        'time')""": {"xs": [9], "rows": [[0, None]]},
}


def test_rows_become_lines(still):
    answers = still.evaluate(
        "Promise.all(['series', 'chart_axes'].map((each) => import(`/assets/${each}.js`)))"
        ".then(([series, { distinct }]) => {"
        "const { dashOf, endsOf, groupsOf, timed, upsert, smoothed, alone, valuesOf, titleOf, axisOf } = series;"
        f"return [{', '.join(SAID)}] }})"
    )
    assert dict(zip(SAID, answers, strict=True)) == SAID
