"""Pages for everybody: what axe, a checker of accessibility, finds on each of them, in light and dark."""

from __future__ import annotations

import pytest
from support.browsers import visited
from support.node import installed
from support.shown_runs import ShownRuns, shown

WAYS = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def axe(pytestconfig):
    """The checker, as a script."""
    return (installed(pytestconfig.cache.mkdir("interop")).folder / "node_modules/axe-core/axe.min.js").read_text(
        "utf-8"
    )


@pytest.fixture(scope="module")
def address():
    runs = ShownRuns(runs=8, epochs=5)
    runs.tell("local/demo/run-3", state="interrupted", trouble="CUDA out of memory", tags=["night", "big"])
    with shown(runs) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/?pick=local/demo/run-3", "tr[data-key] .spark"),
        ("/runs/local/demo/run-3", ".plot canvas"),
        ("/compare?run=local/demo/run-3&run=local/demo/run-7&hide=local/demo/run-7", ".plot canvas"),
    ],
)
def test_axe_finds_nothing_serious(browser, address, axe, path, there):
    with visited(browser, address, path, **WAYS) as page:
        page.wait_for_selector(there)
        page.evaluate(axe)
        assert serious(page) == []
        page.emulate_media(color_scheme="dark")
        assert serious(page, "color-contrast") == []


def test_axe_finds_nothing_serious_where_columns_are_chosen_and_on_a_phone(browser, address, axe):
    with visited(browser, address, **WAYS) as page:
        page.get_by_text("Columns", exact=True).click()
        page.get_by_label("Find a column").wait_for()
        page.evaluate(axe)
        assert serious(page) == []
        page.set_viewport_size({"width": 390, "height": 844})
        assert serious(page, "color-contrast") == []


def test_axe_finds_nothing_serious_in_any_part_of_a_run(browser, address, axe):
    with visited(browser, address, "/runs/local/demo/run-3?sections=system,arguments", **WAYS) as page:
        page.locator("#pictures").scroll_into_view_if_needed()
        page.wait_for_selector("#pictures .matrix")
        page.get_by_label("Search what the run printed").fill("epoch")
        page.evaluate(axe)
        assert serious(page) == []
        page.emulate_media(color_scheme="dark")
        assert serious(page, "color-contrast") == []
        page.get_by_role("button", name="Delete").click()
        assert serious(page) == []


def serious(page, *rules):
    """Return what axe finds that shuts somebody out, and where; by all of its rules, or by some."""
    found = page.evaluate("rules => axe.run(document, rules.length ? { runOnly: rules } : {})", list(rules))
    return [
        (each["id"], node["target"], node["failureSummary"])
        for each in found["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"][:3]
    ]
