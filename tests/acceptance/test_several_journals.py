"""`uploader drain` and `status` of several journals: all of them, with one exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.journals import ROOT, rows
from support.recordings import KEY, recordings
from support.scripted_server import Reply, Request, ScriptedServer, received, scripted_server


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two journals with a run each; one has a colon in its path."""
    places = [tmp_path / "one", tmp_path / "a:b" / "two"]
    for place in places:
        with recordings(place) as journals:
            journals.whole(place.name)
    return places


def environment(server: ScriptedServer, tmp_path: Path) -> dict[str, str]:
    chosen = {"ULTRALYTICS_PLATFORM_URL": server.url, "ULTRALYTICS_API_KEY": KEY}
    return {**os.environ, **chosen, "UPLOADER_FALLBACK": str(tmp_path / "fallback")}


def start(server: ScriptedServer, folders: list[Path], *arguments: str, **names: str) -> subprocess.Popen[str]:
    named = [word for folder in folders for word in ("--journal", str(folder))]
    command = [sys.executable, "-m", "uploader", *arguments, *named]
    chosen = {**environment(server, folders[0].parent if folders else ROOT), **names}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=chosen, **pipes)


def run(server: ScriptedServer, folders: list[Path], *arguments: str, **names: str) -> tuple[int, str, str]:
    process = start(server, folders, *arguments, **names)
    out, error = process.communicate(timeout=100)
    assert "Traceback" not in error
    return process.returncode, out, error


def states(folder: Path) -> set[str]:
    return {state for (state,) in rows(folder, "SELECT state FROM deliveries")}


def test_all_are_drained_and_told_together(folders: list[Path], server: ScriptedServer) -> None:
    code, out, _ = run(server, [*folders, folders[0]], "drain", "--json")
    summary = json.loads(out)
    assert (code, summary["exit_code"], summary["errors"]) == (0, 0, [])
    assert [(one["journal"], one["state"]) for one in summary["destinations"]] == [
        (str(folder), "up to date") for folder in folders
    ]
    assert [states(folder) for folder in folders] == [{"delivered"}] * 2
    _, text, _ = run(server, folders, "drain")
    assert all(f"{folder}: 0 deliveries made" in text for folder in folders)


def test_paths_alone_name_them_too(folders: list[Path], server: ScriptedServer, tmp_path: Path) -> None:
    """Also beside `--journal`, and the one in the environment is not among them."""
    other = tmp_path / "environment"
    with recordings(other) as journals:
        journals.whole("other")
    one, two = folders
    code, out, _ = run(server, [two], "drain", str(one), str(one), UPLOADER_JOURNAL=str(other))
    assert (code, out.splitlines()[-1]) == (0, "in all: 18 deliveries made; 2 of 2 journals delivered completely")
    assert [states(one), states(two), states(other)] == [{"delivered"}, {"delivered"}, set()]


def test_status_shows_all(folders: list[Path], server: ScriptedServer, tmp_path: Path) -> None:
    code, out, _ = run(server, [], "status", *map(str, folders))
    assert (code, [f"journal {folder}: 1 run" in out for folder in folders]) == (0, [True, True])
    code, out, _ = run(server, [], "status", str(tmp_path / "nowhere"), str(folders[0]), "--json")
    missing, shown = json.loads(out)
    assert (code, missing["journal"], "error" in missing) == (1, str(tmp_path / "nowhere"), True)
    assert (shown["journal"], len(shown["runs"])) == (str(folders[0]), 1)
    assert not (tmp_path / "nowhere").exists()
    alone = json.loads(run(server, [], "status", str(folders[0]), "--json")[1])
    assert alone["journal"] == str(folders[0])


def test_one_that_cannot_be_used_stops_no_other(folders: list[Path], server: ScriptedServer, tmp_path: Path) -> None:
    code, out, _ = run(server, [tmp_path / "nowhere", folders[0]], "drain", "--json")
    summary = json.loads(out)
    assert (code, summary["exit_code"]) == (1, 1)
    assert [(one["journal"], one["exit_code"]) for one in summary["errors"]] == [(str(tmp_path / "nowhere"), 1)]
    assert states(folders[0]) == {"delivered"}
    assert not (tmp_path / "nowhere").exists()


def test_the_worst_exit_code_is_that_of_all(folders: list[Path], server: ScriptedServer) -> None:
    def script(request: Request) -> Reply:
        is_refused = request.method == "POST" and request.json().get("name") == "one"
        return Reply(422, {"error": "no"}) if is_refused else received(request)

    server.script = script
    assert run(server, folders, "drain")[0] == 4
    assert states(folders[1]) == {"delivered"}


@pytest.mark.parametrize("arguments", [["prune"], ["doctor"], ["drain", "--run", "one"]])
def test_what_is_for_one_journal_takes_no_second(
    folders: list[Path], server: ScriptedServer, arguments: list[str]
) -> None:
    code, out, _ = run(server, folders, *arguments)
    assert (code, out) == (2, "")


def test_a_path_with_a_colon_in_the_environment_is_one(folders: list[Path], server: ScriptedServer) -> None:
    assert run(server, [], "drain", UPLOADER_JOURNAL=str(folders[1]))[0] == 0
    assert states(folders[1]) == {"delivered"}


def test_all_are_watched_until_they_are_told_to_stop(folders: list[Path], server: ScriptedServer) -> None:
    ends, both = [], threading.Event()

    def script(request: Request) -> Reply:
        if request.method == "POST" and request.json().get("event") == "training_complete":
            ends.append(request)
            if len(ends) == len(folders):
                both.set()
        return received(request)

    server.script = script
    watching = start(server, folders, "drain", "--watch", "--json")
    assert both.wait(60)
    watching.send_signal(signal.SIGTERM)
    out, _ = watching.communicate(timeout=60)
    assert (watching.returncode, json.loads(out)["interrupted"]) == (0, True)
