"""The page of a run: what it tells is what its source tells, what is new appears in place, and what a person does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.browsers import visited
from support.shown_runs import ShownRuns, shown, values_of

from uploader.dashboard.run_source import UnknownRun
from uploader.dashboard.shown import (
    CheckpointLine,
    Columns,
    DeliveryLine,
    DestinationLine,
    Fact,
    Picture,
    Progress,
    RunFacts,
    RunNews,
    ValueLine,
)

KEY = "local/demo/run-0"
HASH = "ab12" * 16
CONSOLE = "one\n\x1b[31mred\x1b[0m\nhalf\rdone 50%\r\x1b[Kdone 100%\n" + "".join(f"line {n}\n" for n in range(200))


DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAP8AAP8AACwAAAAAAQABAAACAkQBADs="


class ToldRun(ShownRuns):
    """A run of three epochs that tells more when a test says so."""

    def __init__(self):
        super().__init__(runs=1, epochs=3)
        self.later = []
        self.is_gone = False

    def tell(self, **values):
        self.later.append(values)

    def news(self, key, since=None):
        if self.is_gone:
            raise UnknownRun(key)
        if since is not None:
            at = int(since)
            return RunNews(str(at + 1), **self.later[at]) if at < len(self.later) else RunNews(since)
        found = super().news(key)
        return replace(found, cursor=str(len(self.later)), facts=self.facts(), console=CONSOLE)

    def facts(self):
        values = {"model": {"depth": 0.33, "name": "<b>yolo</b>"}, "lr0": 0.01, "classes": [1, 2]}
        return RunFacts(
            facts=[Fact("Shop", "javascript:alert(1)", "link"), Fact("Took", 83_000, "milliseconds")],
            description="<img src=x onerror=alert(1)>",
            arguments=values,
            checkpoints=[
                CheckpointLine("best.pt", 5_400_000, HASH, 1, "final", download="/data/checkpoint?sha256=" + HASH)
            ],
            destinations=[DestinationLine("https://platform.example", "arriving", 4, 2, "https://platform.example/m")],
            deliveries=[DeliveryLine("epoch 2", "https://platform.example", "refused", "the server answered 413")],
            best=1,
            evaluation={"metrics/mAP50(B)": 0.75},
            others=[ValueLine(1, "val/box_loss", "NaN")],
            pictures=4,
            actions=["stop", "rename", "tags", "note", "delete"],
        )

    def pictures(self, key):
        curves = {
            "x": [0, 0.5, 1],
            "y": [[1, 0.9, 0], [1, 0.5, 0]],
            "ap": [[0.8, 0.5], [0.6, 0.4]],
            "names": ["cat", "dog"],
        }
        matrix = {"matrix": [[9, 1, 2], [1, 7, 1], [0, 0, 0]], "names": ["cat", "dog"]}
        logged = [{"x": [0, 1], "y": {"left": [step, step + 1]}} for step in (2, 1)]
        return [
            Picture("pr_curve", plot=curves),
            Picture("confusion_matrix", plot=matrix),
            *[Picture("loss by place", step, plot) for step, plot in zip((2, 1), logged, strict=True)],
            *[Picture("sample", step, image=DOT) for step in (1, 2)],
        ]


@pytest.fixture
def run():
    return ToldRun()


@pytest.fixture
def page(browser, run):
    with shown(run) as address, visited(browser, address, f"/runs/{KEY}") as found:
        found.locator("#values tbody tr").first.wait_for()
        yield found


@pytest.fixture(scope="module")
def still(browser):
    """A page for tests that change nothing of the run, and of the page only their own part."""
    with shown(ToldRun()) as address, visited(browser, address, f"/runs/{KEY}") as found:
        found.locator("#values tbody tr").first.wait_for()
        yield found


def rows(page, part):
    return [row.locator("th, td").all_inner_texts() for row in page.locator(f"#{part} tbody").first.locator("tr").all()]


def test_the_values_are_those_of_the_source(still):
    told = {**ToldRun().news(KEY).epochs.values, "epoch time (s)": [10] * 3}
    best = {name: (min if "loss" in name else max)(values) for name, values in told.items()}
    expected = {
        name: [f"{values[-1]:.4g}", f"{best[name]:.4g}", str(values.index(best[name]) + 1)]
        for name, values in told.items()
    }
    for name in ("lr", "epoch time (s)"):  # nothing is better about them
        expected[name][1:] = ["", ""]
    found = {row[0]: row[1:] for row in rows(still, "values")}
    assert {name: row[:3] for name, row in found.items()} == expected
    assert {name: row[3] for name, row in found.items() if row[3]} == {"metrics/mAP50(B)": "0.75"}


def test_what_is_new_appears_in_place_and_the_page_stays_as_it_was(page, run):
    page.locator("#console > summary").click()
    page.evaluate("document.querySelector('#values tbody tr').kept = true")
    again = {name: [value, value] for name, value in values_of(0, 9).items()}
    run.tell(epochs=Columns([2, 3], ["2026-11-01T00:00:40Z", "2026-11-01T00:00:50Z"], again))
    run.tell(progress=Progress([Fact("Took", 95_000, "milliseconds")], others=[ValueLine(2, "loss", "inf")]))
    run.tell(line=replace(run.runs().runs[0], trouble="The disk is full", tags=["night"]))
    page.get_by_text("The disk is full").wait_for()
    assert page.locator("dl.facts dd").all_inner_texts() == ["javascript:alert(1)", "1 min 35 s"]
    assert page.locator("#others tbody tr").all_text_contents() == ["3lossinf", "2val/box_lossNaN"]
    last = {row[0]: row[1] for row in rows(page, "values")}
    assert {name: last[name] for name in again} == {name: f"{values[1]:.4g}" for name, values in again.items()}
    assert page.evaluate("document.querySelector('#values tbody tr').kept")
    assert page.locator("#console").get_attribute("open") is None
    page.reload()
    page.locator("#values tbody tr").first.wait_for()
    assert page.locator("#console").get_attribute("open") is None


def test_a_value_that_is_no_number_is_the_last_one_and_one_of_another_epoch_says_of_which(page, run):
    known = {"train/x": [1.0] * 40, "val/x": [None] * 38 + [5.0, None], "loss": [0.5] * 39 + [None]}
    run.tell(epochs=Columns([*range(3, 43)], [None] * 40, known, gaps={"loss": [42]}))
    page.locator("#values tr:has-text('loss') td:text-is('no number')").wait_for()
    page.get_by_role("region", name="loss", exact=True).locator("b:text-is('\u2013')").wait_for()
    chart = page.get_by_role("region", name="x", exact=True)
    chart.get_by_role("slider").press("End")
    chart.get_by_text("5 (epoch 42)").wait_for()
    assert chart.locator("b").all_inner_texts() == ["1", "5 (epoch 42)"]


def test_a_source_that_begins_anew_replaces_what_the_page_shows(page, run):
    run.tell(epochs=Columns([0], ["2026-11-01T00:00:00Z"], {"loss": [0.5]}), console="again\n", is_whole=True)
    page.locator("pre.console").get_by_text("again").wait_for()
    assert {row[0]: row[1] for row in rows(page, "values")} == {"loss": "0.5", "metrics/mAP50(B)": ""}
    assert page.locator("pre.console").inner_text() == "again"


def test_what_is_no_number_is_listed(still):
    still.locator("#others > summary").click()
    assert rows(still, "others") == [["2", "val/box_loss", "NaN"]]


def test_a_console_shows_what_a_terminal_does_and_follows_the_end_unless_somebody_reads(page, run):
    text = page.locator("pre.console")
    assert text.inner_text().splitlines()[:4] == ["one", "red", "done 100%", "line 0"]
    assert text.locator(".c1").inner_text() == "red"
    run.tell(console="the newest\n")
    text.get_by_text("the newest").wait_for()
    assert text.evaluate("each => each.scrollHeight - each.scrollTop - each.clientHeight") < 2
    text.evaluate("each => { each.scrollTop = 100 }")
    page.wait_for_selector("button[aria-pressed=false]:text('Follow')")
    end = "".join(f"line {n}\n" for n in range(120, 200))
    run.tell(console=f"{end}another end\n", console_is_whole_tail=True)
    text.get_by_text("another end").wait_for()
    assert text.evaluate("each => each.scrollTop") == 100
    assert text.inner_text().splitlines()[-3:] == ["line 198", "line 199", "another end"]


def test_a_console_is_searched(still):
    search = still.get_by_label("Search what the run printed")
    search.fill("LINE 19")
    told = still.locator("#console [role=status]")
    assert told.inner_text() == "11 of 11"
    search.press("Enter")
    assert told.inner_text() == "1 of 11"
    assert still.locator(".hit.now").inner_text() == "line 19"
    box, hit = (still.locator(each).bounding_box() for each in ("pre.console", ".hit.now"))
    assert box["y"] < hit["y"] < box["y"] + box["height"] - hit["height"]


def test_plots_are_drawn_from_their_data(still):
    still.locator("#pictures").scroll_into_view_if_needed()
    curves = still.get_by_role("region", name="Precision over recall")
    curves.locator("canvas").wait_for()
    labels = curves.locator(".legend button span:not(.swatch)").all_inner_texts()
    assert labels == ["cat, AP50 0.8", "dog, AP50 0.6", "all classes, AP50 0.7"]
    matrix = still.get_by_role("region", name="Confusion matrix", exact=True)
    table = [row.locator("th, td").all_inner_texts() for row in matrix.locator("tbody tr").all()]
    assert table == [["cat", "0.90", "0.13", "0.67"], ["dog", "0.10", "0.88", "0.33"], ["background", "", "", ""]]
    matrix.locator("td:has-text('0.67')").hover()
    assert matrix.get_by_role("status").inner_text() == "True background, predicted cat: 2, 66.7 % of background"
    assert matrix.get_by_role("status").bounding_box()["y"] > matrix.locator("tbody tr").last.bounding_box()["y"]
    matrix.get_by_label("Counts").check()
    assert matrix.locator("tbody td").first.inner_text() == "9"


def test_what_was_logged_has_a_slider_for_its_steps(still):
    still.locator("#pictures").scroll_into_view_if_needed()
    card = still.get_by_role("region", name="loss by place")
    assert card.locator("output").inner_text() == "epoch 3"
    slider = card.get_by_label("Step of loss by place")
    slider.focus()
    for key, told, last in (("ArrowLeft", "epoch 2", "2"), ("ArrowRight", "epoch 3", "3")):
        still.keyboard.press(key)  # to what has the focus, also after a step
        assert card.locator("output").inner_text() == told
        card.locator(f".legend b:text('{last}')").wait_for()
    card.locator("canvas").wait_for()
    still.keyboard.press("ArrowLeft")
    card.get_by_role("button", name="loss by place larger").click()
    assert card.locator(".plot").bounding_box()["height"] > 300
    slider.press("ArrowRight")
    card.locator("[aria-pressed=true]:text('⤢')").wait_for()
    assert card.locator(".plot").bounding_box()["height"] > 300
    slider.press("ArrowLeft")
    assert still.locator("#pictures figure:has(img)").inner_text().count("epoch 3") == 1


def test_checkpoints_and_what_has_not_arrived_are_told_with_their_reasons(still):
    assert rows(still, "checkpoints")[0][:4] == ["best.pt", "2", "5.4 MB", "final"]
    assert still.locator("#checkpoints code").get_attribute("title") == HASH
    assert still.get_by_role("link", name="Download", exact=True).get_attribute("href").endswith(HASH)
    assert "the server answered 413" in still.locator("#destinations").inner_text()
    view = still.get_by_role("link", name="View at platform.example")
    assert (view.get_attribute("href"), view.get_attribute("rel")) == (
        "https://platform.example/m",
        "noopener noreferrer",
    )


def test_arguments_are_searched_by_path_and_value_and_are_never_markup(still):
    still.locator("#arguments > summary").click()
    assert rows(still, "arguments") == [
        ["model.depth", "0.33"],
        ["model.name", "<b>yolo</b>"],
        ["lr0", "0.01"],
        ["classes", "1, 2"],
    ]
    still.get_by_label("Search Arguments").fill("model YOLO")
    assert still.locator("#arguments tr:visible th").all_inner_texts() == ["model.name"]
    assert still.get_by_text("<img src=x onerror=alert(1)>").is_visible()
    assert still.get_by_role("link", name="javascript:alert(1)").count() == 0


def with_key(page, wanted):
    """Let the server do nothing without a key; returns the keys that it was given."""
    given = []

    def guard(route):
        given.append(route.request.headers.get("authorization"))
        if given[-1] == f"Bearer {wanted}":
            return route.continue_()
        return route.fulfill(status=401, json={"error": "a key is needed"})

    page.route("**/data/act", guard)
    return given


def test_the_key_is_asked_for_once_and_kept_for_the_tab(browser, run):
    with shown(run) as address, visited(browser, address, f"/runs/{KEY}", refusing="/data/act") as page:
        given = with_key(page, "right")
        page.get_by_role("button", name="Rename").click()
        page.get_by_label("Name", exact=True).fill("better")
        page.get_by_role("dialog").get_by_role("button", name="Rename").click()
        for key in ("wrong", "right"):
            page.get_by_label("Key", exact=True).and_(page.locator("input")).fill(key)
            with page.expect_response("**/data/act"):
                page.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name="Tags").click()
        page.get_by_label("Tags", exact=True).and_(page.locator("textarea")).fill("a, b\nc\n")
        with page.expect_response("**/data/act"):
            page.get_by_role("button", name="Save").click()
    assert given == [None, "Bearer wrong", "Bearer right", "Bearer right"]
    assert run.done == [(KEY, "rename", "better"), (KEY, "tags", ["a, b", "c"])]


def test_a_deletion_names_what_goes_and_wants_the_name_typed(page, run):
    page.get_by_role("button", name="Delete…").click()
    dialog = page.get_by_role("dialog")
    told = dialog.inner_text()
    assert "3 epochs" in told
    assert "best.pt (5.4 MB)" in told
    button = dialog.get_by_role("button", name="Delete")
    assert button.is_disabled()
    dialog.get_by_label("The run's name").fill("run-0")
    button.click()
    page.wait_for_url(lambda url: "/runs/" not in url)
    assert run.done == [(KEY, "delete", None)]


def test_what_is_refused_is_told(browser, run):
    with shown(run) as address, visited(browser, address, f"/runs/{KEY}", refusing="/data/act") as page:
        page.get_by_role("button", name="Rename").click()
        page.get_by_label("Name", exact=True).fill("")
        page.get_by_role("dialog").get_by_role("button", name="Rename").click()
        page.get_by_text("A name has at least one letter").wait_for()
        name = page.get_by_label("Name", exact=True)
        assert name.input_value() == ""
        name.fill("almost")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Rename").click()
        assert name.input_value() == "almost"
        assert page.get_by_text("A name has at least one letter").count() == 0
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Rename").click()
        assert name.input_value() == "run-0"
        name.fill("better")
        page.keyboard.press("Enter")
        run.tell(line=replace(run.runs().runs[0], name="better"), facts=replace(run.facts(), note="new"))
        page.get_by_role("heading", name="better").wait_for()
        page.get_by_text("new", exact=True).wait_for()
        assert page.evaluate("document.activeElement.textContent") == "Rename"


def test_what_is_not_there_takes_no_room_and_a_long_word_is_not_wider_than_the_page(page, run):
    assert page.get_by_role("columnheader", name="Final evaluation").is_visible()
    facts = replace(run.facts(), evaluation={})
    run.tell(line=replace(run.runs().runs[0], project="p" * 120, epochs_done=1, epochs_planned=None), facts=facts)
    page.get_by_text("1 epoch", exact=True).wait_for()
    assert page.get_by_role("columnheader", name="Final evaluation").count() == 0
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("h1").bounding_box()["width"] > 300
    assert page.locator("#curves").is_visible()
    run.tell(epochs=Columns([2], ["2026-11-01T00:00:40Z"], {"m" * 120: [0.5]}))
    long = page.locator(f"#values tr:has([title={'m' * 120}])")
    last = long.locator("td").first
    assert last.inner_text() == "0.5"
    assert last.bounding_box()["x"] + last.bounding_box()["width"] < 390
    checkpoint = replace(facts.checkpoints[0], epoch=9999)
    run.tell(is_whole=True, facts=replace(facts, checkpoints=[checkpoint]))
    page.locator("#checkpoints").get_by_text("10,000", exact=True).wait_for()
    page.locator("#curves").wait_for(state="hidden")
    assert page.locator("#values").is_hidden()


def test_a_run_that_was_deleted_says_so(page, run):
    run.is_gone = True
    page.get_by_text("This run was deleted").wait_for()


SAID = {
    "lines('a\\rbc\\n\\rd')": ["bc", "d"],
    "lines('0%\\n50%\\u001b[A\\r\\u001b[K10%\\n60%')": ["10%", "60%"],
    "lines('\\u001b]0;title\\u0007\\u001b[?25lx\\u001b[2K')": ["x"],
    "lines('a', '\\r', '\\n', 'b\\n')": ["a", "b", ""],
    "parts('\\u001b[1m\\u001b[94mblue\\u001b[0m plain')": [["blue", "bold c4"], [" plain", ""]],
    "timeLeft({state:'running',epochs_done:3,epochs_planned:5},['2026-01-01T00:00:00Z','2026-01-01T00:01:00Z',null])": (
        "about 2 min left"
    ),
    """timeLeft({state:'running',epochs_done:3,epochs_planned:5},
        ['2026-01-01T00:00:00Z','2026-01-01T00:01:00Z','2026-01-02T00:00:00Z'])""": "about 2 min left",
    "timeLeft({state:'completed',epochs_done:3,epochs_planned:5},[])": "",
}


def test_text_is_taken_as_a_terminal_takes_it(still):
    told = still.evaluate(
        "Promise.all(['terminal', 'run_head'].map((each) => import(`/assets/${each}.js`))).then(([{ Terminal, parts },"
        " { timeLeft }]) => { const lines = (...texts) => { const made = new Terminal();"
        f" texts.forEach((text) => made.feed(text)); return made.lines; }}; return [{', '.join(SAID)}] }})"
    )
    assert dict(zip(SAID, told, strict=True)) == SAID
