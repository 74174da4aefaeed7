"""Pages for everybody: what axe, a checker of accessibility, finds on each of them, in light and dark."""

from __future__ import annotations

import pytest
from support.browsers import chromium, visited
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
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address():
    runs = ShownRuns(runs=8, epochs=5)
    runs.tell("local/demo/run-3", state="interrupted", trouble="CUDA out of memory", tags=["night", "big"])
    with shown(runs) as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_list(browser, address, axe, scheme):
    with visited(browser, address, "/?pick=local/demo/run-3", color_scheme=scheme, **WAYS) as page:
        page.wait_for_selector("tr[data-key] .spark")
        assert serious(page, axe) == []
        page.get_by_text("Columns", exact=True).click()
        page.get_by_label("Find a column").wait_for()
        assert serious(page, axe) == []
        page.set_viewport_size({"width": 390, "height": 844})
        assert serious(page, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_a_comparison(browser, address, axe, scheme):
    path = "/compare?run=local/demo/run-3&run=local/demo/run-7&hide=local/demo/run-7"
    with visited(browser, address, path, color_scheme=scheme, **WAYS) as page:
        page.wait_for_selector("#head li:nth-child(2)")
        page.wait_for_selector(".plot canvas")
        assert serious(page, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_a_run(browser, address, axe, scheme):
    with visited(browser, address, "/runs/local/demo/run-3", color_scheme=scheme, **WAYS) as page:
        page.wait_for_selector(".plot canvas")
        assert serious(page, axe) == []


def serious(page, axe):
    """Return what axe finds that shuts somebody out, and where."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)")
    return [
        (each["id"], node["target"], node["failureSummary"])
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"][:3]
    ]
