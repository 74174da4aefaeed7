"""`uploader serve` as a process."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from support.journals import ROOT
from support.platform_api import Api

from uploader.__main__ import main
from uploader.commands.serve import _for_others

COMMAND = [sys.executable, "-m", "uploader", "serve"]


@contextmanager
def serving(data: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start the command and yield it with its output until it was ready."""
    command = [*COMMAND, "--data", str(data), "--port", "0", *arguments]
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, _until_ready(process)
        finally:
            process.kill()


def _until_ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith("Serving on "):
            break
    return lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_exits_cleanly(tmp_path: Path, number: int) -> None:
    with serving(tmp_path, UPLOADER_SERVE_API_KEY="k") as (process, lines):
        (ready,) = lines
        assert Api(ready.removeprefix("Serving on "), "k").start()["received"] is True
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with serving(tmp_path / "one") as (_, lines):
        port = lines[-1].rpartition(":")[2]
        other = subprocess.run(
            [*COMMAND, "--data", str(tmp_path / "two"), "--port", port], capture_output=True, text=True, check=False
        )
    assert other.returncode == 1
    assert f"Error: 127.0.0.1, port {port}: " in other.stderr
    assert "--port" in other.stderr


def _as_a_shell_reads(lines: list[str]) -> list[str]:
    """Return URL and key as pasting the exports sets them."""
    show = 'echo "$ULTRALYTICS_PLATFORM_URL"; echo "$ULTRALYTICS_API_KEY"'
    script = "\n".join([*(line for line in lines if line.startswith("export ")), show])
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_a_generated_key_is_shown_once_and_always_ready_to_use(tmp_path: Path) -> None:
    data = tmp_path / "my data"
    with serving(data) as (_, first):
        url, key = _as_a_shell_reads(first)
        assert Api(url, key).start()["received"] is True
    with serving(data) as (_, second):
        url, same = _as_a_shell_reads(second)
        assert Api(url, same).start()["received"] is True
    assert (same, key in "".join(first), key in "".join(second)) == (key, True, False)


def test_a_server_on_all_addresses_names_the_machine(tmp_path: Path) -> None:
    assert _for_others("http://[::]:80") == f"http://{socket.gethostname()}:80"
    assert _for_others("http://[::1]:80") == "http://[::1]:80"
    with serving(tmp_path, "--host", "0.0.0.0") as (_, lines):
        url, _ = _as_a_shell_reads(lines)
    assert re.fullmatch(rf"http://{re.escape(socket.gethostname())}:\d+", url)
    assert lines[-1] == f"Serving on {url}"


def test_it_says_what_to_open_in_a_browser(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, lines):
        assert process.stdout is not None
        url = lines[-1].removeprefix("Serving on ")
        assert process.stdout.readline() == f"Open this in a browser: {url}/\n"
        page = requests.get(f"{url}/", timeout=60)
    assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")


@pytest.mark.parametrize(("name", "what"), [("journal.db", "journal"), ("uploader-mirror.json", "mirror")])
def test_a_folder_of_trainings_is_refused(tmp_path: Path, name: str, what: str) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / name).write_bytes(b"")
    done = subprocess.run([*COMMAND, "--data", str(folder), "--port", "0"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        f"{folder} is a {what}; the platform needs a folder of its own, such as {tmp_path}/platform-data" in done.stderr
    )
    assert [each.name for each in folder.iterdir()] == [name]


@pytest.mark.parametrize("below", ["blobs", "new/one", "../link"])
@pytest.mark.parametrize(("name", "what"), [("journal.db", "journal"), ("uploader-mirror.json", "mirror")])
def test_a_folder_in_one_is_refused(tmp_path: Path, name: str, what: str, below: str) -> None:
    """The keys of the platform would be copied along with the trainings."""
    folder = tmp_path / "kept"
    (folder / "blobs").mkdir(parents=True)
    (folder / name).write_bytes(b"")
    (tmp_path / "link").symlink_to(folder / "blobs")
    elsewhere = ["--host", "192.0.2.1"]  # no machine has it, so nothing is served in any case
    done = CliRunner().invoke(main, ["serve", "--data", f"{folder}/{below}", *elsewhere])
    assert done.exit_code == 2
    said = f"is in the {what} {folder}; the platform needs a folder of its own, such as {tmp_path}/platform-data"
    assert said in " ".join(done.output.split())
    assert sorted(each.name for each in folder.rglob("*")) == sorted(["blobs", name])


def test_a_folder_with_a_journal_in_it_may_be_the_platforms(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "journal.db").write_bytes(b"")
    with serving(tmp_path) as (_, lines):
        assert lines[-1].startswith("Serving on")
    assert [each.name for each in (tmp_path / "journal").iterdir()] == ["journal.db"]


KEEP = """
import quickstart
def only_the_platform(demo, *, keep):
    with demo.platform() as server:
        quickstart.keep_open(demo, server)
quickstart.run = only_the_platform
quickstart.main()
"""


@pytest.mark.upstream
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_quickstart_leaves_the_platform_open_until_it_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    path = os.pathsep.join(str(ROOT / folder) for folder in ("scripts/training", ""))
    command = [sys.executable, "-c", KEEP, "--keep"]
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        start = "Open this in a browser: "
        url = next(line for line in process.stdout if line.startswith(start)).removeprefix(start).strip()
        next(line for line in process.stdout if "until you press Ctrl-C" in line)
        assert requests.get(url, timeout=60).status_code == 200
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        process.wait(timeout=60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail("the platform went on without the quickstart")
    assert process.returncode == (0 if number == signal.SIGINT else 128 + number)
    assert [*tmp_path.iterdir()] == []


def test_behind_a_proxy_it_says_where_it_listens_and_where_it_is_reached(tmp_path: Path) -> None:
    with serving(tmp_path, "--url", "https://host.example/yolo") as (process, lines):
        assert process.stdout is not None
        assert process.stdout.readline() == "Open this in a browser: https://host.example/yolo/\n"
        url, key = _as_a_shell_reads(lines)
        assert url == "https://host.example/yolo"
        here = lines[-1].removeprefix("Serving on ")
        for path in ("/yolo", "/yolo/", "/"):  # as proxies pass it on
            page = requests.get(f"{here}{path}", headers={"Authorization": f"Bearer {key}"}, timeout=60)
            assert (page.status_code, 'href="/yolo/assets/' in page.text) == (200, True)


def test_options_reach_the_server(tmp_path: Path) -> None:
    with serving(tmp_path, "--contract", "2025", "--api-key", "k", "--no-idempotency") as (_, lines):
        api = Api(lines[-1].removeprefix("Serving on "), "k")
        assert api.start() == {"received": True}


def test_listening_to_other_machines_is_warned_about(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", UPLOADER_SERVE_API_KEY="k") as (process, _):
        process.terminate()
        assert "Warning: other machines" in process.communicate(timeout=60)[1]


def test_a_folder_in_use_and_a_port_in_use_are_reported(tmp_path: Path) -> None:
    with serving(tmp_path, UPLOADER_SERVE_API_KEY="k") as (_, lines):
        second = subprocess.run(
            [*COMMAND, "--data", str(tmp_path), "--port", "0"], capture_output=True, text=True, timeout=60, check=False
        )
        assert (second.returncode, "in use" in second.stderr) == (1, True)
        port = lines[-1].rsplit(":", 1)[1]
        third = subprocess.run(
            [*COMMAND, "--data", str(tmp_path / "b"), "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (third.returncode, "in use" in third.stderr) == (1, True)


def test_the_help_names_each_variable() -> None:
    shown = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
    for option in ("DATA", "HOST", "PORT", "API_KEY", "IDEMPOTENCY", "CONTRACT"):
        assert f"UPLOADER_SERVE_{option}" in "".join(shown.split())
