"""A run's heads go to its model and are countersigned, beside delivery; rewritten ones are not."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.journals import rows
from support.platform_api import Api
from support.proofs import RUN, SIGNERS, WITNESS, request, tree
from support.recordings import KEY, Recordings, Training, recordings
from support.scripted_server import Reply, Request, ScriptedServer, received

from uploader.__main__ import main
from uploader.delivery import head_sending
from uploader.errors import Unreachable
from uploader.proof.signed_notes import Note, VerifierKey
from uploader.proving.key_files import public_key
from uploader.server.running import RunningServer, running


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "keys" / "proof-key"
    monkeypatch.setenv("UPLOADER_PROOF_KEY", str(file))
    return file


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uploader.delivery.sender.HEADS_PATIENCE", 50.0)  # on a busy machine


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "platform", api_key=KEY) as server:
        yield server


def record(journals: Recordings, run_id: str | None = None) -> Training:
    """Record a training whose start announces the key."""
    training = journals.begin(run_id=run_id)
    training.started(epochs=2, environment={"uploaderRun": training.run.id, "uploaderProofKey": public_key()})
    for number in range(2):
        training.epoch(number)
    training.complete()
    training.end()
    return training


def heads(platform: RunningServer, run: str) -> list[Note]:
    found = Api(platform.url, KEY).get(f"/api/proof/heads/{run}")
    return [Note.parse(each) for each in found["heads"]]


def checked(tmp_path: Path, journals: Recordings, platform: RunningServer) -> tuple[int, str]:
    """Prove a run and check it against the platform that has countersigned it."""
    proof, witness = tmp_path / "run.proof", tmp_path / "platform" / "witness-key.pub"
    made = CliRunner().invoke(
        main, ["prove", "train", "-o", str(proof), "--force", "--journal", str(journals.journal.path)]
    )
    assert made.exit_code == 0, made.output
    done = CliRunner().invoke(main, ["check", str(proof), "--witness", str(witness)])
    return done.exit_code, done.output


def rewrite(journal: Path) -> None:
    with closing(sqlite3.connect(journal / "journal.db")) as connection, connection:
        connection.execute("UPDATE events SET payload = replace(payload, '0.5', '0.01') WHERE kind = 'epoch_end'")


def test_a_model_gets_the_head_beside_what_it_has_and_it_is_countersigned(
    tmp_path: Path, journals: Recordings, platform: RunningServer
) -> None:
    training = journals.begin()
    training.started(epochs=2, environment={"uploaderRun": training.run.id, "uploaderProofKey": public_key()})
    journals.drain(platform.url)
    api = Api(platform.url, KEY)
    api.request("PATCH", "/api/models/local/demo/train", json={"metadata": {"mine": 1}})
    training.complete()
    training.end()
    assert journals.drain(platform.url).exit_code == 0
    metadata = api.model()["metadata"]
    assert metadata["mine"] == 1
    assert f"run {training.run.id}\nkey {public_key()}\nsession" in metadata["offlineUploader"]["head"]
    assert [note.text.split("\n")[1] for note in heads(platform, training.run.id)] == ["2"]
    assert checked(tmp_path, journals, platform)[0] == 0


def shown(journals: Recordings, name: str = "train") -> tuple[list[str], list[dict[str, Any]]]:
    """Return what `show` tells a person of proof, without the time, and what it tells a program."""
    told = ["show", name, "--journal", str(journals.journal.path)]
    done = CliRunner().invoke(main, told, env={"COLUMNS": "250"})
    lines = [line.partition(": ")[2] for line in done.output.splitlines() if line.startswith("proof ")]
    return lines, json.loads(CliRunner().invoke(main, [*told, "--json"]).output)["signed_heads"]


def test_show_tells_how_much_of_a_run_is_signed_and_who_has_countersigned_it(
    journals: Recordings, platform: RunningServer
) -> None:
    first = record(journals)
    assert shown(journals) == ([], [])
    journals.drain(platform.url)
    signed, witness = public_key(), Api(platform.url, KEY).get("/api/proof/key")["key"]
    [line], [told] = shown(journals)
    us, them = ("+".join(each.split("+")[:2]) for each in (str(signed), witness))
    assert line == f"head of 4 events, signed by {us}, countersigned by {them}"
    facts = {"events": 4, "key": signed, "witness": witness, "countersigned": 4, "base_url": platform.url}
    assert told.items() >= facts.items()
    rewrite(journals.journal.path)
    record(journals, first.run.id)
    journals.drain(platform.url)
    assert shown(journals)[0] == [f"head of 8 events, signed by {us}, countersigned for 4 of them by {them}"]


def test_show_tells_of_a_head_that_nobody_countersigns_and_of_none_that_nobody_keeps(
    journals: Recordings, server: ScriptedServer
) -> None:
    for name, status in (("kept", 200), ("refused", 403)):
        server.script = refusing(status)
        journals.whole(name)
        journals.drain(server.url)
    [line], [told] = shown(journals, "kept")
    assert line.endswith(", countersigned by nobody")
    assert (told["witness"], told["countersigned"]) == (None, 0)
    assert shown(journals, "refused") == ([], [])


def test_show_needs_no_cryptography(journals: Recordings, platform: RunningServer) -> None:
    record(journals)
    journals.drain(platform.url)
    command = (
        "import sys; from uploader.__main__ import main; main(['show'], standalone_mode=False); "
        "print([name for name in sys.modules if name.startswith('cryptography')], flush=True)"
    )
    environment = {**os.environ, "UPLOADER_JOURNAL": str(journals.journal.path)}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert "proof " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_head_is_told_again_when_the_run_goes_on(
    tmp_path: Path, journals: Recordings, platform: RunningServer
) -> None:
    first = record(journals)
    journals.drain(platform.url)
    second = record(journals, first.run.id)
    journals.drain(platform.url)
    assert len(heads(platform, first.run.id)) == 2
    code, output = checked(tmp_path, journals, platform)
    assert (code, "Countersigned, 8 of 8 events" in output) == (0, True)
    assert second.run.id == first.run.id


@pytest.mark.parametrize("has_key", [True, False])
def test_a_journal_and_key_that_were_rewritten_are_detected(
    tmp_path: Path, journals: Recordings, platform: RunningServer, caplog: pytest.LogCaptureFixture, *, has_key: bool
) -> None:
    """Somebody rewrites the journal, signs it with the key or with a new one, and delivers it again."""
    training = record(journals)
    journals.drain(platform.url)
    assert checked(tmp_path, journals, platform)[0] == 0
    before = heads(platform, training.run.id)
    rewrite(journals.journal.path)
    if not has_key:
        (tmp_path / "keys" / "proof-key").unlink()
    code, output = checked(tmp_path, journals, platform)
    assert (code, "has countersigned 0 of its 4 events" in output) == (1, True)
    (destination,) = rows(journals.journal.path, "SELECT id FROM destinations")[0]
    journals.journal.resend(training.run.id, destination)
    with caplog.at_level(logging.WARNING):
        journals.drain(platform.url)
    assert ("does not countersign run train" in caplog.text) == has_key
    assert ("they were changed" in caplog.text) == has_key
    assert heads(platform, training.run.id) == before
    assert checked(tmp_path, journals, platform)[0] == 1


def test_a_deleted_model_does_not_let_its_run_begin_anew(
    tmp_path: Path, journals: Recordings, platform: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    training = record(journals)
    journals.drain(platform.url)
    Api(platform.url, KEY).request("DELETE", "/api/models/local/demo/train")
    rewrite(journals.journal.path)
    with closing(sqlite3.connect(journals.journal.path / "journal.db")) as connection, connection:
        connection.execute("UPDATE targets SET ids = '{}', state = 'new'")
    (destination,) = rows(journals.journal.path, "SELECT id FROM destinations")[0]
    journals.journal.resend(training.run.id, destination)
    with caplog.at_level(logging.WARNING):
        journals.drain(platform.url)
    assert "they were changed" in caplog.text


def test_a_run_restored_on_another_machine_keeps_its_countersignature(
    tmp_path: Path, journals: Recordings, platform: RunningServer, key: Path
) -> None:
    training = record(journals)
    journals.drain(platform.url)
    mirror, other = str(tmp_path / "drive"), str(tmp_path / "other")
    for command in (
        ["mirror", mirror, "--journal", str(journals.journal.path)],
        ["restore", mirror, "--journal", other],
    ):
        assert CliRunner().invoke(main, command).exit_code == 0
    key.unlink()  # the machine and its key are lost
    with recordings(Path(other)) as restored:
        record(restored, training.run.id)
        restored.drain(platform.url)
        code, output = checked(tmp_path, restored, platform)
    assert (code, "8 of 8 events" in output) == (0, True), output


def test_who_drains_what_another_machine_has_trained_is_not_warned(
    tmp_path: Path, journals: Recordings, platform: RunningServer, key: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training = record(journals)
    mirror, other = str(tmp_path / "drive"), str(tmp_path / "other")
    for command in (
        ["mirror", mirror, "--journal", str(journals.journal.path)],
        ["restore", mirror, "--journal", other],
    ):
        assert CliRunner().invoke(main, command).exit_code == 0
    key.rename(tmp_path / "key-of-the-trainer")
    with recordings(Path(other)) as restored, caplog.at_level(logging.WARNING):
        assert restored.drain(platform.url).exit_code == 0
    assert caplog.messages == []
    assert heads(platform, training.run.id) == []
    assert f"key {public_key()}" in Api(platform.url, KEY).model()["metadata"]["offlineUploader"]["head"]


def test_a_run_that_announces_no_key_is_countersigned_by_the_first_that_signs(
    tmp_path: Path, journals: Recordings, platform: RunningServer
) -> None:
    journals.whole()
    journals.drain(platform.url)
    assert checked(tmp_path, journals, platform)[0] == 0


def test_a_person_may_have_a_run_countersigned_that_no_drain_has_told(
    tmp_path: Path, journals: Recordings, platform: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = tmp_path / "run.proof"

    def prove() -> str:
        path = str(journals.journal.path)
        done = CliRunner().invoke(
            main, ["prove", "train", "-o", str(proof), "--force", "--countersign", "--journal", path]
        )
        assert done.exit_code == 0, done.output
        return done.output

    record(journals)
    assert "no platform knows the run yet" in prove()
    with monkeypatch.context() as patched:
        patched.setattr("uploader.delivery.sender.HEADS_AFTER", frozenset())  # as if each drain were killed before
        journals.drain(platform.url)
    assert "not countersigned: http" in prove()
    monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", platform.url)
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    assert "  countersigned: 4 events" in prove()
    assert checked(tmp_path, journals, platform)[0] == 0


def refusing(status: int) -> Any:
    """Return a script that gives the model a name, and refuses whatever is about heads."""

    def script(request: Request) -> Reply:
        if request.method == "POST" and request.path.startswith("/api/proof"):
            return Reply(404, b"<html>not found</html>", {"Content-Type": "text/html"})
        if request.method == "PATCH":
            return Reply(status, {"error": "metadata is not for you"})
        if request.path == "/api/account/summary":
            return Reply(body={"username": "me"})
        if request.method == "GET" and "/api/models/me/demo/t" in request.path:
            return Reply(body={"model": {"id": "m-1", "model": "t"}})
        reply = received(request)
        if isinstance(reply.body, dict) and "modelId" in reply.body:
            return Reply(body={**reply.body, "modelSlug": "t"})
        return reply

    return script


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_platform_that_refuses_it_keeps_no_delivery_and_is_said_once(
    journals: Recordings,
    server: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    status: int,
) -> None:
    monkeypatch.setattr(head_sending, "_PAUSE_SECONDS", 0.0)
    server.script = refusing(status)
    with caplog.at_level(logging.WARNING):
        for name in ("one", "two"):
            journals.whole(name)
            assert journals.drain(server.url).exit_code == 0
    assert "PATCH" in [request.method for request in server.requests]
    assert caplog.text.count("does not keep the heads") == (0 if status == 500 else 1)
    assert [line for line in caplog.messages if "heads" not in line] == []


@pytest.mark.timeout(60)  # of 100 s that a drain would wait for
def test_a_platform_that_does_not_answer_keeps_no_drain(
    journals: Recordings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploader.delivery.sender.HEADS_PATIENCE", 0.1)
    over, usual = threading.Event(), refusing(403)

    def script(request: Request) -> Reply:
        if request.method == "PATCH":
            over.wait()
        return usual(request)

    server.script = script
    journals.whole()
    try:
        assert journals.drain(server.url).exit_code == 0
    finally:
        over.set()
        for thread in threading.enumerate():
            if thread.name.endswith("-heads"):
                thread.join()


def test_what_one_drain_does_not_come_to_the_next_one_does(
    tmp_path: Path, journals: Recordings, platform: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise Unreachable("the network is gone")

    first = record(journals)
    with monkeypatch.context() as patched:
        patched.setattr(head_sending, "_PAUSE_SECONDS", 0.0)
        patched.setattr(head_sending, "tell_heads", unreachable)
        assert journals.drain(platform.url).exit_code == 0
    assert heads(platform, first.run.id) == []
    journals.whole("another")
    journals.drain(platform.url)
    assert len(heads(platform, first.run.id)) == 1
    assert rows(journals.journal.path, "SELECT name FROM facts WHERE name LIKE 'heads due%'") == []


def test_without_the_extra_heads_are_unsigned_which_is_said_once(
    journals: Recordings, platform: RunningServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploader.proof.ed25519.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        for name in ("one", "two"):
            journals.whole(name)
            assert journals.drain(platform.url).exit_code == 0
    assert caplog.text.count("pip install 'offline-uploader[proof]'") == 1
    head = Api(platform.url, KEY).model("one")["metadata"]["offlineUploader"]["head"]
    assert Note.parse(head).signatures == ()


def test_a_witness_speaks_the_protocol_of_witnesses(platform: RunningServer) -> None:
    """Status codes and forms of c2sp.org/tlog-witness; what is right and wrong is in tests/unit/server."""
    api = Api(platform.url, KEY)

    def add(content: bytes) -> Any:
        return api.request("POST", "/api/proof/add-checkpoint", data=content)

    assert add(request(tree(3))).status_code == 404
    api.start(environment={"uploaderRun": RUN, "uploaderProofKey": str(SIGNERS.key)})
    assert add(b"nonsense").status_code == 400
    done = add(request(tree(3)))
    line, end = done.text.split("\n")
    assert (done.status_code, line[:2], end) == (200, "— ", "")
    conflict = add(request(tree(5)))
    assert (conflict.status_code, conflict.text, conflict.headers["content-type"]) == (409, "3\n", "text/x.tlog.size")
    assert add(request(tree(3, last=b"x"), 3)).status_code == 422
    public = VerifierKey.parse(api.get("/api/proof/key")["key"])
    assert (public.kind, public.name.endswith("/offline-uploader")) == (WITNESS.kind, True)
