"""The local platform's trainings on its own pages, in a browser: the store, the routes and the scripts together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browsers import visited
from support.platform_api import Api

from uploader.server.running import RunningServer, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "platform", api_key="k") as started:
        yield started


def epoch(api: Api, run: dict[str, Any], number: int) -> None:
    metrics = {"train/loss": 3.0 - number, "val/loss": 1.0, "metrics/mAP50-95(B)": 0.25 * number}
    api.event("epoch_end", {"epoch": number, "metrics": metrics, "fitness": number}, modelId=run["modelId"])


def test_a_training_is_found_in_the_list_and_followed_on_its_page(browser: Any, server: RunningServer) -> None:
    api = Api(server.url, "k")
    run = api.start("night", epochs=3)
    epoch(api, run, 0)
    with visited(browser, server.url) as page:
        page.get_by_role("link", name="night", exact=True).first.click()
        page.wait_for_url(f"{server.url}/runs/local/demo/night")
        page.get_by_text("1 of 3 epochs").wait_for()
        epoch(api, run, 1)
        page.get_by_text("2 of 3 epochs").wait_for()
        api.event("console_output", {"chunkId": 1, "content": "half of it"}, modelId=run["modelId"])
        page.get_by_text("half of it").wait_for()
        api.event("training_failed", {"error": "CUDA out of memory"}, modelId=run["modelId"])
        page.get_by_text("CUDA out of memory").first.wait_for()


def test_a_model_of_hub_is_shown_at_the_address_that_clients_print(browser: Any, server: RunningServer) -> None:
    api = Api(server.url, "k")
    wanted = {"meta": {"name": "<b>exp</b>"}, "config": {"epochs": 3}}
    model = api.post("/v1/models", wanted).json()["data"]["id"]
    metrics = {"type": "metrics", "metrics": {"0": '{"train/box_loss": 2.5}'}}
    assert api.post(f"/v1/models/{model}", metrics).ok
    with visited(browser, server.url, f"/models/{model}") as page:
        page.get_by_role("heading", name="<b>exp</b>").wait_for()
        page.get_by_text("1 of 3 epochs").wait_for()
