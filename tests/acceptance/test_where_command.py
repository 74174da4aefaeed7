"""`where`: which machine this is, where the journal is, and what that outlasts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.disks import make_read_only, make_writable, small_disk
from support.passthrough import network_mount

import journal
from journal.locations import recording_folder
from uploader.__main__ import main
from uploader.errors import SettingsError
from uploader.live.recording_options import choose_options


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "temporary"


def where(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["where", *arguments])


def account(*arguments: str) -> Any:
    return json.loads(where("--json", *arguments).stdout)


def test_a_session_that_vanishes_is_described_with_its_source_and_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    printed = where().stdout
    assert "This is a Colab session (recognised by COLAB_RELEASE_TAG)." in printed
    assert "https://research.google.com/colaboratory/faq.html" in printed
    assert "outlasts a killed process: yes; the end of the session: no; the loss of the machine: no" in printed
    assert 'safer: mount Drive, and use attach(model, mirror="/content/drive/MyDrive/uploader-mirror")' in printed


def test_a_drive_that_is_mounted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    with network_mount(tmp_path, "drive") as drive:
        (kept,) = account()["kept_here"]
        asked = account("--journal", str(drive / "journal"))
        assert f"kept when the machine is lost: {drive / 'MyDrive'}, Google Drive" in where().stdout
        assert str(drive / "MyDrive" / "uploader-mirror") in account()["advice"]
        monkeypatch.setenv("UPLOADER_MIRROR", str(drive / "MyDrive" / "mirror"))
        assert f"mirror {drive / 'MyDrive' / 'mirror'}\n  Google Drive" in where().stdout
        mirrored = account()
    assert (kept["folder"], kept["file_system"]) == (str(drive / "MyDrive"), "fuse.drive")
    assert kept["outlasts"] == asked["journal"]["outlasts"] == {"process": True, "session": True, "machine": True}
    assert "own disk" in asked["advice"]
    assert (mirrored["mirror"]["outlasts"]["machine"], mirrored["advice"]) == (True, None)


def test_programs_are_told_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    told = account()
    assert (told["machine"]["name"], told["machine"]["recognised_by"]) == ("kaggle", ["KAGGLE_KERNEL_RUN_TYPE"])
    assert told["journal"]["folder"] == str(tmp_path / "home" / ".local" / "share" / "offline-uploader" / "journal")
    assert told["journal"]["outlasts"] == {"process": True, "session": False, "machine": False}
    assert told["journal"]["refused"] is None
    assert len(told["fallback_folders"]) == 2
    assert "save a version" in told["advice"]


@pytest.mark.parametrize(("by_option", "why"), [(True, "it was named"), (False, "UPLOADER_JOURNAL names it")])
def test_another_folder_can_be_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_option: bool, why: str
) -> None:
    with small_disk(tmp_path / "memory") as disk:
        if not by_option:
            monkeypatch.setenv("UPLOADER_JOURNAL", str(disk / "journal"))
        told = account(*(["--journal", str(disk / "journal")] if by_option else []))
    assert (told["journal"]["chosen"], told["journal"]["file_system"]) == (why, "tmpfs")
    assert told["journal"]["outlasts"]["session"] is False


def test_a_home_that_cannot_be_written_is_named_and_the_journal_beside_it_not_forgotten(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "other", size="64m") as home:
        monkeypatch.setenv("HOME", str(home))
        make_read_only(home)
        told = account()
        makeshift = told["journal"]["folder"]
        assert Path(makeshift).is_relative_to(temporary)
        assert "Read-only file system" in told["journal"]["chosen"]
        assert told["fallback_folders"][0]["refused"]
        journal.open(Path(makeshift)).close()
        make_writable(home)
        assert account()["earlier_journal"] == makeshift
        journal.open(Path(account()["journal"]["folder"])).close()
        said = f"is in {makeshift}; `python -m uploader drain --journal {makeshift}` delivers it"
        assert said in where().stdout
        assert said in CliRunner().invoke(main, ["status"]).stdout


def test_a_machine_that_can_keep_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "other") as disk:
        monkeypatch.setenv("HOME", str(disk))
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        assert where().exit_code == 0
        make_read_only(disk)
        result = where()
    assert result.exit_code == 1
    assert result.stdout.count("no file can be kept there") == 3


def test_an_object_store_as_the_mirror_is_answer_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    monkeypatch.setenv("UPLOADER_MIRROR", "s3://bucket/mirror")
    told = account()
    assert (told["mirror"]["is"], told["advice"]) == ("an object store", None)
    assert "mirror s3://bucket/mirror\n  an object store" in where().stdout


@pytest.mark.parametrize(
    "address", ["ftp://x", "s3://b@x", "s3://key:SECRET@b/x?token=SECRET", "{file}", "file://{file}"]
)
def test_a_mirror_that_attach_refuses_is_no_answer(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    named = address.format(file=tmp_path / "file")
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    before = account()["advice"]
    monkeypatch.setenv("UPLOADER_MIRROR", named)
    with pytest.raises(SettingsError) as raised:
        choose_options(None, "full", (), None)
    told, text = account(), where().stdout
    assert told["mirror"]["refused"] == str(raised.value)
    assert set(told["mirror"]["outlasts"].values()) == {False}
    assert told["advice"] == before
    assert f"no file can be kept there: {raised.value}" in text
    assert "SECRET" not in text + json.dumps(told)


def test_a_drain_beside_each_training_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "drain=True" in account()["advice"]
    monkeypatch.setenv("UPLOADER_DRAIN", "1")
    assert (account()["drain_beside_trainings"], account()["advice"]) == (True, None)
    monkeypatch.setenv("UPLOADER_DRAIN", "perhaps")
    assert "drain=True" in account()["advice"]


def test_of_a_shared_journal_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://lab:secret@db/runs"
    monkeypatch.setenv("UPLOADER_JOURNAL", url)
    found, printed = account(), where().stdout
    assert found["shared_journal"] == "postgresql://lab@db/runs"
    assert found["journal"]["folder"] == str(recording_folder(None))
    assert f"journal {recording_folder(None)}\n  chosen because trainings on this machine write to it" in printed
    assert "\nshared journal postgresql://lab@db/runs\n" in printed
    assert "secret" not in printed + json.dumps(found)
    monkeypatch.delenv("UPLOADER_JOURNAL")
    assert account("--journal", url)["journal"] == found["journal"]
