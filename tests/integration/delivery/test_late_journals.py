"""A run's sessions have a journal each, as on changing machines, and are not delivered in their order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.platform_api import Api
from support.recordings import KEY, recordings

from journal.checkpoints.salvage import RUN_FILE
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.server.rules import registration
from uploader.server.running import running

SESSIONS = 4


def train(journal: Path, run: Path, number: int) -> Recorder:
    """Train two epochs in a folder that is kept; the last session completes the run."""
    resume = number > 1
    options = JournalOptions(str(journal), durability="process")
    recorder = Recorder.start(options, project="demo", name="train", save_dir=run, resume=resume)
    told = {"uploaderRun": recorder.run_id, "uploaderSession": recorder.session.facts()}
    args = {"resume": str(resume), "save_dir": str(run)}
    recorder.event("training_started", {"trainArgs": args, "environment": told}, str(recorder.session_number))
    for epoch in (2 * number - 2, 2 * number - 1):
        recorder.event("epoch_end", {"epoch": epoch, "metrics": {"loss": float(number)}}, str(epoch))
    if number == SESSIONS:
        recorder.event("training_complete", {"results": {}})
    recorder.finish("exited")
    return recorder


@pytest.mark.parametrize("who_knows", ["the folder", "the platform"])
@pytest.mark.parametrize("order", [[1, 3, 4, 2], [4, 1, 2, 3], [4, 3, 2, 1]], ids=str)
def test_all_are_one_model_in_the_state_of_the_last(
    tmp_path: Path, order: list[int], who_knows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for number in range(1, SESSIONS + 1):
        train(tmp_path / f"journal{number}", run, number)
    if who_knows == "the platform":
        (run / RUN_FILE).unlink()
    else:  # as the public one
        monkeypatch.setattr(registration, "_model_of_later_sessions", lambda *_: None)
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as server:
        for number in order:
            with recordings(tmp_path / f"journal{number}") as opened:
                assert opened.drain(server.url).exit_code == 0
        (model,) = Api(server.url, KEY).get("/api/models/local/demo")["models"]
    assert (model["model"], model["status"]) == ("train", "completed")
    assert [each["metrics"]["loss"] for each in model["trainResults"]] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_of_very_many_sessions_the_newest_are_told(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    first = train(tmp_path / "journal1", run, 1)
    told = json.loads((run / RUN_FILE).read_text("utf-8"))
    earlier = [f"00000000-0000-0000-0000-{number:012}" for number in range(100)]
    (run / RUN_FILE).write_text(json.dumps({**told, "ancestors": earlier}), "utf-8")
    second = train(tmp_path / "journal2", run, 2)
    assert second.session.facts()["ancestors"] == [*earlier[1:], first.session.uuid]
