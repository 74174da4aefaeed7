"""`ULTRALYTICS_PLATFORM_URL` was mistyped when a training was recorded, and is right when it is drained."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.platform_api import Api
from support.recordings import recordings
from support.scripted_server import free_port

from uploader.server.running import running

KEY = "ul_key"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def command(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ULTRALYTICS_PLATFORM_URL": url, "ULTRALYTICS_API_KEY": KEY}
    environment["UPLOADER_JOURNAL"] = str(folder)
    words = [sys.executable, "-m", "uploader", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment)


def test_what_the_drain_says_sends_the_run_to_the_right_one(folder: Path, tmp_path: Path) -> None:
    wrong = f"http://127.0.0.1:{free_port()}"
    with running(tmp_path / "platform", api_key=KEY) as platform, recordings(folder) as journals:
        for name, url in (("mistyped", wrong), ("other", platform.url)):
            run = journals.whole(name).run
            with closing(journals.journal.outbox()) as outbox:
                outbox.routes.add(run.id, outbox.routes.add_destination("ultralytics", url).id)
        assert command(folder, wrong, "drain", "--run", "mistyped").returncode == 3
        for name in ("drain", "status", "doctor"):
            told = command(folder, platform.url, name)
            cure, *others = re.findall(r"`python -m uploader (route [^`]+)`", told.stdout)
            assert all(f"--from {wrong} " in each for each in (cure, *others))
        moved = command(folder, platform.url, *shlex.split(cure.replace("URL", platform.url)))
        assert "sends 1 run to" in moved.stdout
        drained = command(folder, platform.url, "drain")
        assert (drained.returncode, "up to date" in drained.stdout, wrong in drained.stdout) == (0, True, False)
        assert len(Api(platform.url, KEY).get("/api/models/local/demo")["models"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--to", "http://a"),
        ("t", "--from", "http://a"),
        ("t", "--to", "http://a", "--name", "n"),
        ("t", "--to", "no-url"),
        ("--from", "http://a", "--project", "p"),
        ("t",),
    ],
)
def test_what_cannot_be_meant_is_refused(folder: Path, arguments: tuple[str, ...]) -> None:
    done = command(folder, "http://127.0.0.1:9", "route", *arguments)
    assert (done.returncode, done.stderr.startswith("Usage:")) == (2, True)
