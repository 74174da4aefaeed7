"""The heads of runs that nodes have signed come into a shared journal, whose drains tell them to platforms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.journals import rows, url_of
from support.machines import Run, machines
from support.platform_api import Api
from support.recordings import KEY, Recordings, Training, recordings

from journal.collecting.collecting import Collecting
from journal.opening import open_shared
from uploader.proof.signed_notes import Note
from uploader.proving.key_files import public_key
from uploader.server.running import RunningServer, running


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with machines(tmp_path) as runs:
        yield runs


class Lab(NamedTuple):
    """A node's journal, the shared one and the platform."""

    node: Recordings
    shared: Recordings
    platform: RunningServer


@pytest.fixture
def lab(node: Recordings, shared: Recordings, platform: RunningServer) -> Lab:
    return Lab(node, shared, platform)


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    monkeypatch.setattr("uploader.delivery.sender.HEADS_PATIENCE", 50.0)  # on a busy machine
    with running(tmp_path / "platform", api_key=KEY) as server:
        yield server


KeyOf = Callable[[str], Path]
"""Goes on with the key of a machine; returns its file."""


@pytest.fixture
def key_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyOf:
    def use(machine: str) -> Path:
        file = tmp_path / "keys" / machine / "proof-key"
        monkeypatch.setenv("UPLOADER_PROOF_KEY", str(file))
        return file

    return use


def record(node: Recordings, run_id: str | None = None) -> Training:
    training = node.begin(run_id=run_id)
    [session] = rows(
        node.journal.path, "SELECT uuid, generation, parent FROM sessions WHERE id = ?", training.session_id
    )
    told = dict(zip(("uuid", "generation", "parent"), session, strict=True))
    environment = {"uploaderRun": training.run.id, "uploaderSession": told, "uploaderProofKey": public_key()}
    training.started(epochs=2, environment=environment)
    for number in range(2):
        training.epoch(number)
    training.complete()
    training.end()
    return training


def sizes(platform: RunningServer, run_id: str) -> list[int]:
    """Return how many events were countersigned of each session of a run."""
    found = Api(platform.url, KEY).get(f"/api/proof/heads/{run_id}")["heads"]
    return sorted(int(Note.parse(each).text.split("\n")[1]) for each in found)


def told(platform: RunningServer) -> str:
    return str(Api(platform.url, KEY).model()["metadata"]["offlineUploader"]["head"])


def test_a_drain_tells_what_the_node_has_signed_and_its_proofs_hold_what_was_countersigned(
    lab: Lab, key_of: KeyOf, run: Run, tmp_path: Path
) -> None:
    key_of("node")
    key, training, url = public_key(), record(lab.node), url_of(lab.shared.journal)
    code, _, said = run("node", "collect", lab.node.journal.path, "--into", url)
    assert code == 0, said

    key_of_drain = key_of("drain")
    assert lab.shared.drain(lab.platform.url).exit_code == 0
    assert sizes(lab.platform, training.run.id) == [4]
    assert f"key {key}" in told(lab.platform)
    assert not key_of_drain.exists()  # whoever drains vouches for nothing
    assert rows(lab.shared.journal.path, "SELECT name FROM facts WHERE name LIKE 'heads due%%'") == []

    key_of("node")
    assert run("node", "collect", lab.node.journal.path, "--into", url)[0] == 0
    proof, witness = tmp_path / "run.proof", tmp_path / "platform" / "witness-key.pub"
    assert run("node", "prove", "train", "-o", proof, "--journal", lab.node.journal.path)[0] == 0
    code, printed, said = run("node", "check", proof, "--witness", witness)
    assert (code, "Countersigned, 4 of 4 events" in printed) == (0, True), printed + said


def test_heads_that_come_in_after_all_has_arrived_are_told_by_the_next_drain(
    lab: Lab, key_of: KeyOf, run: Run, tmp_path: Path
) -> None:
    key_of("node")
    training = record(lab.node)
    Collecting(lab.node.journal, lab.shared.journal).step(is_last=True)  # as by a collector that was killed then
    assert lab.shared.drain(lab.platform.url).exit_code == 0
    assert sizes(lab.platform, training.run.id) == []

    assert run("node", "collect", lab.node.journal.path, "--into", url_of(lab.shared.journal))[0] == 0
    assert lab.shared.drain(lab.platform.url).exit_code == 0
    assert sizes(lab.platform, training.run.id) == [4]


def test_of_a_run_that_went_on_elsewhere_each_node_has_its_own_session_countersigned(
    lab: Lab, key_of: KeyOf, run: Run, tmp_path: Path
) -> None:
    key_of("node")
    training, url, mirror = record(lab.node), url_of(lab.shared.journal), tmp_path / "drive"
    assert run("node", "mirror", mirror, "--journal", lab.node.journal.path)[0] == 0
    assert run("node", "collect", lab.node.journal.path, "--into", url)[0] == 0
    assert run("other", "restore", mirror, "--journal", tmp_path / "other")[0] == 0
    key_of("other")
    with recordings(tmp_path / "other") as other:
        record(other, training.run.id)
    assert run("other", "collect", tmp_path / "other", "--into", url)[0] == 0
    assert lab.shared.drain(lab.platform.url).exit_code == 0
    assert sizes(lab.platform, training.run.id) == [4, 4]
    assert told(lab.platform).count("\nsession ") == 2  # the head of who has more of the run


def test_heads_that_the_events_here_do_not_grow_out_of_are_not_told(
    lab: Lab, key_of: KeyOf, run: Run, tmp_path: Path
) -> None:
    key_of("node")
    training = record(lab.node)
    assert run("node", "collect", lab.node.journal.path, "--into", url_of(lab.shared.journal))[0] == 0
    with open_shared(url_of(lab.shared.journal)) as opened, opened.begin() as connection:
        connection.exec_driver_sql("UPDATE events SET payload = replace(payload, '0.5', '0.01')")
    assert lab.shared.drain(lab.platform.url).exit_code == 0
    assert sizes(lab.platform, training.run.id) == []
