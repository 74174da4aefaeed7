"""Mirrors that are drained on a machine which has nothing else, and what the platform has then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.journals import until
from support.machines import Run, machines
from support.mirrors import divide
from support.platform_api import Api
from support.recordings import KEY, recordings
from support.scripted_server import Reply, Request, ScriptedServer, received, scripted_server

from journal.mirror.mirroring import Mirroring
from journal.mirror.stores import FolderStore
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder
from uploader.server.running import running


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running_server:
        yield running_server


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "drive" / "mirror"


@pytest.fixture
def uploader(tmp_path: Path) -> Iterator[Run]:
    with machines(tmp_path) as run:
        yield run


@pytest.fixture
def recorded(uploader: Run, tmp_path: Path, mirror: Path) -> Path:
    """A journal with a whole training, and its mirror."""
    with recordings(tmp_path / "journal") as journals:
        journals.whole()
    assert uploader("gpu", "mirror", mirror, "--journal", tmp_path / "journal")[0] == 0
    return tmp_path / "journal"


def test_a_mirror_is_delivered_whole_by_a_machine_that_has_nothing_else(
    uploader: Run, recorded: Path, mirror: Path, tmp_path: Path
) -> None:
    shutil.rmtree(recorded)
    with running(tmp_path / "platform", api_key=KEY) as platform:
        assert uploader("desk", "drain", mirror, url=platform.url)[0] == 0
        model = Api(platform.url, KEY).model()
        assert [each["epoch"] for each in model["trainResults"]] == [0, 1, 2]
        assert (model["status"], model["hasWeights"]) == ("completed", True)


@pytest.mark.parametrize("machine", ["desk", "another"])
def test_what_was_delivered_once_is_not_sent_again_by_any_machine(
    uploader: Run, recorded: Path, mirror: Path, server: ScriptedServer, machine: str
) -> None:
    """The mirror is told what has arrived."""
    assert uploader("desk", "drain", mirror, url=server.url)[0] == 0
    sent = len(server.requests)
    code, out, _ = uploader(machine, "drain", mirror, "--json", url=server.url)
    assert (code, len([one for one in server.requests[sent:] if one.method == "POST"])) == (0, 0)
    assert sum(one["delivered"] for one in json.loads(out)["destinations"]) == 0


def test_a_drain_of_the_journal_tells_the_mirror_what_has_arrived(
    uploader: Run, recorded: Path, mirror: Path, server: ScriptedServer
) -> None:
    assert uploader("gpu", "drain", recorded, url=server.url)[0] == 0
    sent = len(server.requests)
    assert uploader("desk", "drain", mirror, url=server.url)[0] == 0
    assert [one for one in server.requests[sent:] if one.method == "POST"] == []


def test_the_mirror_knows_the_model_before_anything_else_is_sent(
    uploader: Run, recorded: Path, mirror: Path, server: ScriptedServer
) -> None:
    """So a machine that is killed in the middle of its drain leaves no second model to the next one."""
    known: list[bool] = []

    def script(request: Request) -> Reply:
        if request.method == "POST" and b"training_started" not in request.body:
            known.append(any(b"m-1" in path.read_bytes() for path in mirror.glob("runs/*/results/*.json")))
        return received(request)

    server.script = script
    assert uploader("desk", "drain", mirror, url=server.url)[0] == 0
    assert known
    assert all(known)


@pytest.fixture
def models(server: ScriptedServer) -> list[str]:
    """The models of a server that makes one of each registration, as it knows no idempotency keys."""
    made: list[str] = []

    def script(request: Request) -> Reply:
        reply = received(request)
        if request.method != "POST" or b"training_started" not in request.body or b"modelId" in request.body:
            return reply
        made.append(f"m-{len(made) + 1}")
        return Reply(200, {"received": True, "modelId": made[-1]})

    server.script = script
    return made


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_machine_that_comes_back_learns_from_the_mirror_which_model_another_one_made(
    uploader: Run, recorded: Path, mirror: Path, server: ScriptedServer, models: list[str], *, is_resumed: bool
) -> None:
    assert uploader("desk", "drain", mirror, url=server.url)[0] == 0
    if is_resumed:
        with recordings(recorded) as journals:
            training = journals.begin(run_id=journals.journal.report()[0].id)
            training.started()
            training.epoch(3)
            training.end()
    assert uploader("gpu", "drain", recorded, url=server.url)[0] == 0
    assert models == ["m-1"]


def test_a_run_that_became_two_models_is_told_and_is_not_up_to_date(
    uploader: Run,
    recorded: Path,
    mirror: Path,
    server: ScriptedServer,
    models: list[str],
    *,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The mirror could not be asked when the second machine drained, which said so."""
    assert uploader("desk", "drain", mirror, url=server.url)[0] == 0
    away = mirror.rename(mirror.with_name("away"))
    uploader("gpu", "drain", recorded, url=server.url)
    assert f"The mirror {mirror} cannot be asked what became of 1 run" in caplog.text
    assert models == ["m-1", "m-2"]
    away.rename(mirror)
    uploader("gpu", "mirror", mirror, "--journal", recorded)
    code, out, _ = uploader("desk", "drain", mirror, url=server.url)
    assert (code, "two models: run " in out, "up to date" in out) == (4, True, False)


@pytest.mark.parametrize("is_silent", [False, True])
def test_only_a_silent_training_is_called_interrupted_where_its_mirror_is_drained(
    uploader: Run, mirror: Path, server: ScriptedServer, tmp_path: Path, is_silent: bool
) -> None:
    """It began days ago; of its signs of life only its events come into the mirror."""
    long_ago = "2020-01-01T00:00:00.000Z"
    with recordings(tmp_path / "journal") as journals:
        training = journals.begin()
        training.started()
        training.epoch(0)
        with journals.journal.begin() as connection:
            connection.exec_driver_sql("UPDATE sessions SET host = 'gpu', boot_id = 'x', started_at = ?", (long_ago,))
            if is_silent:
                connection.exec_driver_sql("UPDATE events SET created_at = ?", (long_ago,))
        Mirroring(journals.journal, FolderStore(mirror)).step()
    assert uploader("desk", "drain", mirror, url=server.url)[0] == 0
    sent = [each["event"] for each in server.bodies("/training/metrics")]
    assert ("training_failed" in sent) == is_silent


@pytest.mark.parametrize("is_behind", [False, True])
def test_a_training_that_a_new_machine_continues_is_one_model_with_every_epoch(
    uploader: Run, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_behind: bool
) -> None:
    """Also where the lost machine had delivered an epoch that its mirror had not got yet."""
    monkeypatch.setattr("journal.mirror.mirroring.STEP_SECONDS", 0.01)
    save_dir = tmp_path / "drive" / "train"
    save_dir.mkdir(parents=True)
    with running(tmp_path / "platform", api_key=KEY) as platform:
        api = Api(platform.url, KEY)
        train(tmp_path / "lost", save_dir, mirror, platform.url, range(3))
        uploader("lost", "drain", tmp_path / "lost", url=platform.url)
        assert [each["epoch"] for each in api.model()["trainResults"]] == [0, 1, 2]
        shutil.rmtree(tmp_path / "lost")
        if is_behind:
            newest = max(mirror.rglob("*.jsonl.gz"), key=lambda path: int(path.name.split("-")[1]))
            newest.unlink()
        train(tmp_path / "new", save_dir, mirror, platform.url, range(2 if is_behind else 3, 5), ends=True)
        assert uploader("new", "drain", tmp_path / "new", url=platform.url)[0] == 0
        model = api.model()
        assert len(api.get("/api/models/local/demo")["models"]) == 1
        assert [each["epoch"] for each in model["trainResults"]] == [0, 1, 2, 3, 4]
        assert (model["status"], model["hasWeights"]) == ("completed", True)


def train(journal: Path, save_dir: Path, mirror: Path, url: str, epochs: range, *, ends: bool = False) -> None:
    """Record epochs of a training that began, or goes on, on a machine; each epoch is mirrored by itself."""
    options = JournalOptions(str(journal), "full", (("ultralytics", url),), mirror=str(mirror))
    recorder = Recorder.start(options, project="demo", name="train", save_dir=save_dir, resume=epochs.start > 0)
    environment = {"uploaderRun": recorder.run_id, "uploaderSession": recorder.session.facts()}
    recorder.event("training_started", {"epochs": 5, "environment": environment}, str(recorder.session_number))
    for number in epochs:
        before = len(list(mirror.rglob("*.jsonl.gz")))
        recorder.event("epoch_end", {"epoch": number, "metrics": {"loss": 1 / (number + 1)}}, str(number))
        until(lambda before=before: len(list(mirror.rglob("*.jsonl.gz"))) > before)
    if ends:
        (save_dir / "best.pt").write_bytes(b"weights")
        recorder.checkpoint(save_dir / "best.pt", role="final", epoch=4, publish=True, is_best=True)
        recorder.wait_for_snapshots()
        recorder.event("training_complete", {"results": {"bestEpoch": 0}, "classNames": ["box"], "plots": []})
    recorder.finish("complete" if ends else "exited")


def test_a_mirror_whose_drive_is_not_mounted_is_said_and_not_made_anew(
    uploader: Run, recorded: Path, mirror: Path, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(mirror.parent)
    code, _, _ = uploader("gpu", "drain", recorded, url=server.url)
    assert (code, "is the drive mounted?" in caplog.messages[-1]) == (0, True)
    assert not mirror.parent.exists()


@pytest.mark.parametrize(("address", "ended"), [("ftp://host/x", 2), ("s3://key:s3cret@bucket/x", 1)])
def test_an_address_that_cannot_be_a_mirrors_is_told(uploader: Run, address: str, ended: int) -> None:
    code, _, err = uploader("desk", "drain", address)
    assert code == ended
    assert "a mirror" in err


def test_several_mirrors_are_drained_by_one_command(
    uploader: Run, mirror: Path, server: ScriptedServer, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        with recordings(tmp_path / name) as journals:
            journals.whole(name)
        uploader("gpu", "mirror", mirror / name, "--journal", tmp_path / name)
    assert uploader("desk", "drain", mirror / "a", mirror / "b", url=server.url)[0] == 0
    events = [each["event"] for each in server.bodies("/training/metrics")]
    assert events.count("training_complete") == 2


def _lose(segment: Path) -> str:
    segment.unlink()
    return "events 3 to 3 of session"


def _tear(segment: Path) -> str:
    segment.write_bytes(segment.read_bytes()[:-4])
    return "is damaged"


@pytest.mark.parametrize("harm", [_lose, _tear])
def test_a_part_of_a_mirror_that_is_missing_or_damaged_is_told_until_it_is_there(
    uploader: Run, recorded: Path, mirror: Path, server: ScriptedServer, tmp_path: Path, *, harm: Callable[[Path], str]
) -> None:
    divide(FolderStore(mirror))
    shutil.copytree(mirror, tmp_path / "whole")
    (segment,) = mirror.rglob("3-3-*.gz")
    expected = harm(segment)
    for number, arguments in enumerate(
        [("restore", mirror, "--journal"), ("unpack", mirror, "--into")],
    ):
        for options in ([], ["--json"]):
            code, out, _ = uploader("desk", *arguments, tmp_path / f"{number}{len(options)}", *options)
            assert code == 4
            assert expected in out
    code, out, _ = uploader("desk", "drain", mirror, url=server.url)
    assert (code, expected in out, "up to date" in out) == (3, True, False)
    code, out, _ = uploader("desk", "drain", mirror, "--json", url=server.url)
    told = json.loads(out)
    assert (code, told["exit_code"], expected in str(told["not_in_mirror"])) == (3, 3, True)
    shutil.copytree(tmp_path / "whole", mirror, dirs_exist_ok=True)
    code, out, _ = uploader("desk", "drain", mirror, url=server.url)
    assert (code, "up to date" in out) == (0, True)


def test_results_of_a_mirror_that_are_damaged_are_told(
    uploader: Run, recorded: Path, mirror: Path, server: ScriptedServer, tmp_path: Path
) -> None:
    assert uploader("desk", "drain", mirror, url=server.url)[0] == 0
    results = min(mirror.glob("runs/*/results/*.json"))
    results.write_bytes(results.read_bytes()[:-4])
    code, out, _ = uploader("other", "restore", mirror, "--journal", tmp_path / "new", "--json")
    assert (code, results.name in str(json.loads(out)["damaged"])) == (4, True)
    code, out, _ = uploader("desk", "drain", mirror, url=server.url)
    assert (code, results.name in out, "up to date" in out) == (3, True, False)
