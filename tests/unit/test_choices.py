"""What `attach` is given, checked before the training begins."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from journal.next_steps import next_command
from uploader.callbacks import recorded_calls
from uploader.errors import SettingsError
from uploader.exec_variables import attach_options, export, is_wanted
from uploader.live.recording_options import check_texts, choose_options, choose_routes
from uploader.settings import Settings


@pytest.mark.parametrize("size", [0, -1, "0", "20 gb", 1.5, float("nan"), True, [], b"20GB"])
def test_what_is_no_size_is_refused_before_the_training(size: Any) -> None:
    with pytest.raises(SettingsError, match=r"^max_size: .* is not a size; write a "):
        choose_options(None, "full", (), size)


def test_a_size_is_bytes_or_text() -> None:
    assert [choose_options(None, "full", (), size).max_size for size in (1, "1.5 GiB")] == [1, 3 << 29]


@pytest.mark.parametrize("given", [3, 1.5, b"hub", [3], ["hub", None], {"hub": 1, 2: 3}, [["hub"]], object()])
def test_a_platform_is_a_name_or_several(given: Any) -> None:
    with pytest.raises(SettingsError, match=r"^platform must be one of ultralytics, hub, or a list of them; not "):
        choose_routes(Settings(), given, None)


@pytest.mark.parametrize("argument", ["project", "name", "base_url", "hub_model"])
def test_a_name_or_a_url_is_text(argument: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{argument} must be text; not 3 \(int\)"):
        check_texts(**{argument: 3})
    with pytest.raises(SettingsError, match="not a bytes") as caught:
        check_texts(**{argument: b"https://hub.example/models/m?api_key=s3cret"})
    assert "s3cret" not in str(caught.value)
    check_texts(**{argument: None})
    check_texts(**{argument: "text"})


def test_a_base_url_that_cannot_be_used_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^base_url: a platform URL must look like https://host"):
        choose_routes(Settings(), None, "nowhere")


@pytest.mark.parametrize("given", [3, b"journal", ["journal"]])
def test_a_journal_is_a_folder_by_its_path(given: Any) -> None:
    with pytest.raises(SettingsError, match=r"^journal must be the path of a folder; not "):
        choose_options(given, "full", (), None)


def test_a_journal_that_is_a_file_is_told_before_the_training(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    file.write_text("a file")
    with pytest.raises(SettingsError, match=r"^journal must be a folder, .*journal\.db is a file"):
        choose_options(str(file), "full", (), None)
    for folder in (tmp_path, tmp_path / "new", file / "below"):  # the last one is the fallback file's case
        assert choose_options(folder, "full", (), None).journal == str(folder)


def test_a_mirror_is_a_folder_here_or_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UPLOADER_MIRROR", raising=False)
    assert choose_options(None, "full", (), None).mirror is None
    assert choose_options(None, "full", (), None, "drive").mirror == str(tmp_path / "drive")
    monkeypatch.setenv("UPLOADER_MIRROR", "other")
    assert choose_options(None, "full", (), None).mirror == str(tmp_path / "other")
    assert choose_options(None, "full", (), None, f"file://{tmp_path}/drive").mirror == str(tmp_path / "drive")


@pytest.mark.parametrize("given", [3, b"mirror", [], "", "ftp://user:s3cret@host/x", "s3://key:s3cret@bucket/x"])
def test_what_is_no_mirror_is_refused_before_the_training(given: Any) -> None:
    with pytest.raises(SettingsError, match=r"^mirror") as caught:
        choose_options(None, "full", (), None, given)
    assert "s3cret" not in str(caught.value)


def test_a_mirror_that_is_a_file_is_told_before_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mirror"
    file.write_text("a file")
    monkeypatch.setenv("UPLOADER_MIRROR", str(file))
    with pytest.raises(SettingsError, match=r"^UPLOADER_MIRROR: a mirror is a folder, .*mirror is a file"):
        choose_options(None, "full", (), None)


def test_a_drain_beside_it_is_kept_only_if_asked_for() -> None:
    assert not choose_options(None, "full", (), None).drain
    assert choose_options(None, "full", (), None, drain=True).drain
    with pytest.raises(SettingsError, match="drain must be True or False"):
        choose_options(None, "full", (), None, drain="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "wanted"), [("1", True), ("True", True), ("on", True), ("0", False), (" ", False)])
def test_the_environment_asks_for_one(text: str, wanted: bool) -> None:
    assert Settings.load({"UPLOADER_DRAIN": text}).drain is wanted


def test_an_unclear_wish_for_one_is_refused() -> None:
    with pytest.raises(SettingsError, match="UPLOADER_DRAIN: write 1 for yes"):
        Settings.load({"UPLOADER_DRAIN": "maybe"})


@pytest.mark.parametrize(("text", "wanted"), [("", True), ("1", True), ("0", False), (" Off ", False)])
def test_what_no_script_attaches_to_is_recorded_unless_the_environment_says_no(
    monkeypatch: pytest.MonkeyPatch, text: str, wanted: bool
) -> None:
    monkeypatch.setenv("UPLOADER_ENABLED", text)
    assert is_wanted() is wanted


def test_it_is_recorded_where_the_environment_is_unclear(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UPLOADER_ENABLED", "maybe")
    monkeypatch.setattr(logging.getLogger("ultralytics"), "propagate", True)
    caplog.set_level(logging.WARNING, "ultralytics")
    assert not recorded_calls.is_left_out()
    assert "recorded (UPLOADER_ENABLED: write 1 for yes, or 0 for no)" in caplog.text


def test_paths_hold_in_whatever_folder_a_process_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {"UPLOADER_JOURNAL": "runs/journal", "UPLOADER_FALLBACK": "~/lost", "UPLOADER_MIRROR": "s3://bucket/name"}
    for name, value in {**given, "PYTHONPATH": "", "UPLOADER_EXEC_OPTIONS": "", "UPLOADER_ENABLED": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    exported = export({}, {}, None)
    assert {name: exported[name] for name in given} == {**given, "UPLOADER_JOURNAL": str(tmp_path / "runs/journal")}


def test_an_exec_below_another_changes_what_it_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "UPLOADER_ENABLED"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("UPLOADER_EXEC_OPTIONS", '{"project": "outer", "durability": "strict"}')
    export({}, {"project": "inner"}, None)
    assert attach_options() == {"project": "inner", "durability": "strict"}


def test_a_journal_that_exec_was_told_is_named_to_a_shell_that_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "UPLOADER_EXEC_OPTIONS", "UPLOADER_EXEC_JOURNAL", "UPLOADER_ENABLED"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("UPLOADER_JOURNAL", "/kept there")
    export({}, {}, None)
    assert next_command("drain", Path("/kept there")) == "python -m uploader drain"
    export({"UPLOADER_JOURNAL": "/told there"}, {}, None)
    export({}, {}, None)  # of one below
    assert next_command("drain", Path("/told there")) == "python -m uploader drain --journal '/told there'"


def test_a_search_path_is_kept_behind_the_folder_of_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty entry is the working directory; below another `exec` the folder is there once."""
    for name in ("UPLOADER_EXEC_OPTIONS", "UPLOADER_EXEC_NOTES", "UPLOADER_ENABLED"):
        monkeypatch.setenv(name, "")
    for before in (":src", "src::", "", "src"):
        monkeypatch.setenv("PYTHONPATH", before)
        once, twice = (export({}, {}, None)["PYTHONPATH"] for _ in range(2))
        assert once == twice
        assert once.partition(os.pathsep)[2] == before
