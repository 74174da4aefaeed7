"""An imported run is delivered like any other, with the times of its files, and once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.journals import later
from support.platform_api import Api
from support.recordings import KEY, recordings
from support.run_folders import run_folder

from journal.checkpoints.blobs import digest
from uploader.server.running import running

Imports = Any


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key=KEY) as server:
        yield Api(server.url, server.api_key)


def delivered(imports: Imports, api: Api) -> dict[str, Any]:
    with recordings(imports.journal) as journals:
        assert journals.drain(api.url, project="demo").exit_code == 0
    assert len(api.get("/api/models/local/demo")["models"]) == 1
    return api.model("first")


def test_an_imported_run_is_shown_as_it_was_trained(imports: Imports, api: Api, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    [told] = imports(folder)
    model = delivered(imports, api)
    assert model["status"] == "completed"
    assert model["environment"]["uploaderRun"] == told["run"]
    assert [result["epoch"] for result in model["trainResults"]] == [0, 1, 2]
    assert model["file"]["sha256"] == digest(folder / "weights" / "best.pt")
    assert model["startedAt"].startswith("2024-05-01T10:00:00")
    assert model["completedAt"].startswith("2024-05-01T10:03:00")


def test_what_a_later_import_adds_arrives_at_the_same_model(imports: Imports, api: Api, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", epochs=2, total=4)
    imports(folder)
    assert delivered(imports, api)["status"] == "failed"  # it was interrupted, as far as is known
    run_folder(folder, epochs=4)
    imports(folder)
    model = delivered(imports, api)
    assert model["status"] == "completed"
    assert [result["epoch"] for result in model["trainResults"]] == [0, 1, 2, 3]


def test_a_run_that_has_arrived_and_was_pruned_is_not_sent_again(imports: Imports, api: Api, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    imports(folder)
    delivered(imports, api)
    with recordings(imports.journal) as journals:
        assert journals.journal.prune(later(1)).runs == 1
    assert [told["how"] for told in imports(folder)] == ["known"]
    assert imports.rows("SELECT count(*) FROM events") == [(0,)]
