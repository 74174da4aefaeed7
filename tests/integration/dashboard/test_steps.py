"""A loop that counts steps: they are called so, and by their own numbers, beside runs that count epochs from 1."""

from __future__ import annotations

import pytest
from support.browsers import visited
from support.shown_runs import ShownRuns, shown

STEPS, EPOCHS = "local/demo/run-1", "local/demo/run-0"


@pytest.fixture
def runs():
    found = ShownRuns(runs=2, epochs=12)
    found.tell(STEPS, step=11)
    return found


@pytest.fixture
def address(runs):
    with shown(runs) as found:
        yield found


def test_the_list_tells_the_last_step(browser, address):
    with visited(browser, address, "/") as page:
        cells = page.locator("[data-column=progress]")
        assert page.locator(f"tr[data-key='{STEPS}']").locator(cells).inner_text() == "step 11"
        assert page.locator(f"tr[data-key='{EPOCHS}']").locator(cells).inner_text() == "12 / 100"


def test_a_run_s_page_names_steps_in_its_head_tables_charts_and_pictures(browser, address):
    with visited(browser, address, f"/runs/{STEPS}") as page:
        page.get_by_text("12 of 100 steps").wait_for()
        page.wait_for_selector(".plot[aria-valuetext^='step 11:']")
        assert page.locator("option[value=epoch]").inner_text() == "Steps"
        assert page.get_by_role("columnheader", name="At step").count() == 1
        assert page.locator("#checkpoints tbody td").first.inner_text() == "11"
        page.locator("#pictures").scroll_into_view_if_needed()
        page.get_by_text("step 3", exact=True).first.wait_for()  # of an image
        assert page.get_by_text("epoch 4", exact=True).count() == 0


def test_a_comparison_counts_the_steps_of_loops_beside_epochs(browser, address):
    with visited(browser, address, f"/compare?run={STEPS}&run={EPOCHS}") as page:
        page.wait_for_selector(".plot[aria-valuetext^='epoch 12:']")  # which the axis goes up to
        page.locator("#results").get_by_text("12 / 100").wait_for(state="attached")  # the same of both
    with visited(browser, address, f"/compare?run={STEPS}") as page:
        page.wait_for_selector(".plot[aria-valuetext^='step 11:']")


def test_a_page_that_was_open_before_the_first_step_counts_steps_from_then_on(browser, address, runs):
    with visited(browser, address, f"/runs/{EPOCHS}") as page:
        page.wait_for_selector(".plot[aria-valuetext^='epoch 12:']")
        runs.tell(EPOCHS, step=11)
        page.wait_for_selector(".plot[aria-valuetext^='step 11:']")
