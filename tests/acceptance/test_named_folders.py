"""Folders that a person names and that can be none: each command says what is wrong and what to do, in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.disks import make_read_only, small_disk

from uploader.__main__ import main

pytestmark = pytest.mark.timeout(120)  # a server that begins after all would never end

COMMANDS = {
    "drain": (),
    "status": (),
    "doctor": (),
    "prune": (),
    "retry": ("--all",),
    "drop": ("1",),
    "resend": ("run",),
    "route": ("run", "--project", "p"),
}


def loop(place: Path) -> str:
    (place / "loop").symlink_to(place / "loop")
    return str(place / "loop")


def file(place: Path) -> str:
    (place / "file").touch()
    return str(place / "file")


NO_FOLDERS: dict[str, Callable[[Path], str]] = {
    "empty": lambda place: "",
    "file": file,
    "below-a-file": lambda place: f"{file(place)}/sub",
    "device": lambda place: "/dev/null",
    "loop": loop,
    "too-long": lambda place: str(place / ("x" * 300)),
}
UNMADE: dict[str, Callable[[Path], str]] = {
    "proc": lambda place: "/proc/x",
    "sys": lambda place: "/sys/x",
    "dangling": lambda place: str(dangling(place)),
}


def dangling(place: Path) -> Path:
    (place / "link").symlink_to("/proc/nothing/here")
    return place / "link"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    monkeypatch.delenv("UPLOADER_JOURNAL", raising=False)
    return tmp_path / "home"


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(main, list(arguments), prog_name="uploader")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def is_clear(done: Result, name: str) -> bool:
    """Return whether a message names the folder, gives no bare error of the system, and says what to do."""
    advised = any(
        word in done.output for word in ("name another folder", "name a folder", "name its folder", "Name the")
    )
    return name in done.output.replace("\n", "") and "Errno" not in done.output and advised


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", NO_FOLDERS)
def test_what_can_be_no_folder_is_refused(tmp_path: Path, command: str, kind: str) -> None:
    named = NO_FOLDERS[kind](tmp_path)
    done = run(command, *COMMANDS[command], "--journal", named)
    assert done.exit_code == 2
    assert is_clear(done, named)


@pytest.mark.parametrize("kind", sorted(set(NO_FOLDERS) - {"empty"}))
def test_the_variable_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    named = NO_FOLDERS[kind](tmp_path)
    monkeypatch.setenv("UPLOADER_JOURNAL", named)
    done = run("status")
    assert (done.exit_code, "UPLOADER_JOURNAL" in done.output) == (2, True)
    assert is_clear(done, named)


@pytest.mark.parametrize("command", ["drain", "status", "doctor"])
def test_a_home_that_is_too_long_a_path_is_named(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/" + "x" * 300)
    done = run(command)
    assert (done.exit_code, "File name too long" in done.output) == (1, True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", UNMADE)
def test_where_none_can_be_made_there_is_no_journal(tmp_path: Path, command: str, kind: str) -> None:
    named = UNMADE[kind](tmp_path)
    done = run(command, *COMMANDS[command], "--journal", named)
    assert done.exit_code == 1
    assert is_clear(done, named)


@pytest.mark.parametrize("kind", NO_FOLDERS | UNMADE)
def test_a_server_says_what_is_wrong_with_its_folder(tmp_path: Path, kind: str) -> None:
    named = (NO_FOLDERS | UNMADE)[kind](tmp_path)
    done = run("serve", "--port", "0", "--data", named)
    assert done.exit_code == (2 if kind in NO_FOLDERS else 1)
    assert is_clear(done, named)


def test_a_server_on_a_disk_that_is_mounted_read_only(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        make_read_only(disk)
        done = run("serve", "--port", "0", "--data", str(disk / "data"))
    assert (done.exit_code, "remount its disk read-write" in done.output) == (1, True)
    assert is_clear(done, str(disk / "data"))


def test_a_server_whose_store_is_damaged_leaves_it(tmp_path: Path) -> None:
    (tmp_path / "platform.db").write_bytes(b"no database, whatever its name says" * 100)
    before = (tmp_path / "platform.db").read_bytes()
    done = run("serve", "--port", "0", "--data", str(tmp_path))
    assert (done.exit_code, "restore a backup of it" in done.output) == (1, True)
    assert is_clear(done, "platform.db")
    assert (tmp_path / "platform.db").read_bytes() == before


def test_a_home_that_no_shell_has_resolved(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOADER_SERVE_DATA", "~/data")
    home.mkdir()
    (home / "data").touch()
    assert str(home / "data") in run("serve", "--port", "0").output.replace("\n", "")
    assert [one.name for one in tmp_path.iterdir()] == ["home"]
