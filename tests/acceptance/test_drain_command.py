"""`uploader drain` and `uploader status` as people and scripts run them: real processes, exit codes, signals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.disks import make_read_only, small_disk
from support.journals import rows
from support.recordings import KEY, Recordings, recordings
from support.results import killed
from support.scripted_server import (
    Reply,
    Request,
    ScriptedServer,
    free_port,
    hearing,
    hub_received,
    received,
    scripted_server,
)

from journal.writing.fallback import FallbackFile

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        yield opened


@pytest.fixture
def environment(server: ScriptedServer, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ULTRALYTICS_PLATFORM_URL": server.url,
        "ULTRALYTICS_API_KEY": KEY,
        "UPLOADER_JOURNAL": str(tmp_path / "journal"),
        "UPLOADER_FALLBACK": str(tmp_path / "fallback"),
    }


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "uploader", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)  # type: ignore[call-overload,no-any-return]


def run(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Run a command to its end; return exit code, standard output and standard error."""
    process = start(environment, *arguments)
    out, error = process.communicate(timeout=100)
    assert "Traceback" not in error
    return process.returncode, out, error


def drained(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Run a drain and return what it printed as JSON, which has the process's exit code."""
    code, out, _ = run(environment, "drain", "--json", *arguments)
    summary: dict[str, Any] = json.loads(out)
    assert summary["exit_code"] == code
    return summary


# --- exit codes


def test_0_everything_is_delivered(journals: Recordings, environment: dict[str, str], server: ScriptedServer) -> None:
    journals.whole()
    code, out, error = run(environment, "drain")
    assert code == 0
    assert re.search(
        r"9 deliveries made in \d+\.\d s: 3 epochs, 3 console chunks, 1 checkpoint, 2 others; \d+ B\n", out
    )
    assert f"{server.url}: up to date: it has confirmed everything\n" in out
    assert error == ""
    assert drained(environment)["destinations"][0]["delivered"] == 0


def test_it_tells_where_the_models_are_that_were_registered(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    def reply(request: Request) -> Reply:
        answer = received(request)
        is_start = isinstance(answer.body, dict) and "modelId" in answer.body
        return Reply(body={**answer.body, "modelUrl": "https://example.com/m"}) if is_start else answer

    server.script = reply
    journals.whole()
    code, out, _ = run(environment, "drain")
    assert (code, out.count("View model at https://example.com/m")) == (0, 1)
    assert "View model" not in run(environment, "drain")[1]


def test_of_many_models_it_lists_the_last_and_counts_the_others(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    def reply(request: Request) -> Reply:
        answer = received(request)
        is_start = isinstance(answer.body, dict) and "modelId" in answer.body
        url = f"https://example.com/{request.json()['name']}" if is_start else ""
        return Reply(body={**answer.body, "modelUrl": url}) if is_start else answer

    server.script = reply
    for number in range(7):
        journals.begin(f"a{number}").started()
    (there,) = drained(environment)["destinations"]
    assert sorted(there["models"]) == [f"https://example.com/a{number}" for number in range(7)]
    for number in range(7):
        journals.begin(f"b{number}").started()
    code, out, _ = run(environment, "drain")
    assert (code, out.count("View model at https://example.com/b")) == (0, 5)
    assert "2 models before these; `python -m uploader status --json` has the address of each run's\n" in out
    pages = {
        target["page"]
        for each in json.loads(run(environment, "status", "--json")[1])["runs"]
        for target in each["targets"]
    }
    assert {f"https://example.com/{run}{number}" for run in "ab" for number in range(7)} == pages


def test_0_nothing_was_recorded(journals: Recordings, environment: dict[str, str]) -> None:
    code, out, _ = run(environment, "drain")
    assert code == 0
    assert "no runs to deliver" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--run", "nothing"],
        ["--to", "nowhere"],
        ["--parallel", "0"],
        ["--max-time", "-1"],
        ["--max-time", "nan"],
        ["--max-time", "inf"],
        ["--what"],
    ],
)
def test_2_usage(journals: Recordings, environment: dict[str, str], arguments: list[str]) -> None:
    journals.whole()
    code, _, error = run(environment, "drain", *arguments)
    assert code == 2
    assert error


def test_2_settings(journals: Recordings, environment: dict[str, str]) -> None:
    journals.whole()
    summary = drained({**environment, "ULTRALYTICS_PLATFORM_URL": "nowhere"})
    assert (summary["exit_code"], "https://host" in summary["error"]) == (2, True)


def test_2_certificates_that_are_not_there(journals: Recordings, environment: dict[str, str], tmp_path: Path) -> None:
    journals.whole()
    summary = drained({**environment, "REQUESTS_CA_BUNDLE": str(tmp_path / "mistyped.pem")})
    assert (summary["exit_code"], "REQUESTS_CA_BUNDLE" in summary["error"]) == (2, True)


def test_3_the_platform_is_away(journals: Recordings, environment: dict[str, str]) -> None:
    journals.whole()
    away = f"http://127.0.0.1:{free_port()}"
    code, out, _ = run({**environment, "ULTRALYTICS_PLATFORM_URL": away}, "drain")
    assert code == 3
    assert f"{away}: unreachable" in out
    assert "Connection refused" in out
    assert "next attempt from" in out


def test_4_dead_letters(journals: Recordings, environment: dict[str, str], server: ScriptedServer) -> None:
    journals.whole()

    def script(request: Request) -> Reply:
        is_complete = request.method == "POST" and request.json().get("event") == "training_complete"
        return Reply(422, {"error": "no"}) if is_complete else received(request)

    server.script = script
    code, out, _ = run(environment, "drain")
    assert code == 4
    assert f"{server.url}: refused in part\n  1 dead letter: 9 (training_complete)" in out


def test_4_is_about_the_chosen_runs(journals: Recordings, environment: dict[str, str], server: ScriptedServer) -> None:
    journals.whole("bad")
    good = journals.whole("good")

    def script(request: Request) -> Reply:
        is_bad = request.method == "POST" and request.json().get("name") == "bad"
        return Reply(422) if is_bad else received(request)

    server.script = script
    assert drained(environment)["exit_code"] == 4
    assert drained(environment, "--run", good.run.id)["exit_code"] == 0


def test_5_the_key_is_missing(journals: Recordings, environment: dict[str, str], server: ScriptedServer) -> None:
    journals.whole()
    del environment["ULTRALYTICS_API_KEY"]
    code, out, _ = run(environment, "drain")
    assert code == 5
    assert f"{server.url}: no key" in out
    assert "set ULTRALYTICS_API_KEY" in out
    assert server.requests == []


def test_5_a_journal_from_elsewhere_gets_no_key(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    ours, theirs = journals.whole("ours"), journals.whole("theirs")
    with scripted_server() as other:
        journals.writer.route(ours.run.id, "ultralytics", server.url)
        journals.writer.route(theirs.run.id, "ultralytics", other.url)
        summary = drained(environment)
        states = {one["url"]: (one["state"], one["delivered"]) for one in summary["destinations"]}
        assert states == {server.url: ("up to date", 9), other.url: ("paused: no key for it here", 0)}
        assert summary["exit_code"] == 5
        _, out, _ = run(environment, "drain")
        assert f"set ULTRALYTICS_PLATFORM_URL={other.url}" in out
        assert f"drain --to {other.url}`" in out
        assert other.requests == []

        assert drained(environment, "--to", other.url, "--run", theirs.run.id)["exit_code"] == 0
        assert {each.headers.get("authorization") for each in other.requests} == {f"Bearer {KEY}", None}


@pytest.mark.parametrize("address", ["https://{host}\\@{ours}", "http://{ours}@{host}", "http://{host}/#{ours}"])
def test_an_address_that_only_looks_like_ours_gets_no_key(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer, address: str
) -> None:
    training = journals.whole()
    with scripted_server() as other:
        url = address.format(host=other.url.rpartition("/")[2], ours=server.url.rpartition("/")[2])
        journals.writer.route(training.run.id, "ultralytics", url)
        assert drained(environment)["destinations"][0]["state"] == "paused: no key for it here"
        assert other.requests == server.requests == []


def test_hub_is_named_with_its_own_kind(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    training = journals.begin()
    training.started(trainArgs={"model": "yolo11n.pt", "epochs": "3", "data": "coco8.yaml"}, epochs=3)
    training.end()
    server.script = hub_received
    hub_only = {**environment, "HUB_API_KEY": "hub_key"}
    del hub_only["ULTRALYTICS_PLATFORM_URL"], hub_only["ULTRALYTICS_API_KEY"]
    journals.writer.route(training.run.id, "hub", server.url)
    assert drained(hub_only)["destinations"][0]["state"] == "paused: no key for it here"
    assert f"{server.url} (hub): paused" in run(hub_only, "drain")[1]
    assert drained(hub_only, "--to", server.url, "--platform", "hub")["exit_code"] == 0
    assert f"{server.url} (hub): " in run(hub_only, "status")[1]
    assert {each.headers["x-api-key"] for each in server.requests} == {"hub_key"}


def test_2_a_kind_without_an_address(journals: Recordings, environment: dict[str, str]) -> None:
    code, _, error = run(environment, "drain", "--platform", "hub")
    assert (code, "give --to" in error) == (2, True)


def test_5_without_a_key_and_an_address_nothing_is_decided(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer, tmp_path: Path
) -> None:
    journals.whole()
    home = {"HOME": str(tmp_path), "YOLO_CONFIG_DIR": str(tmp_path)}
    nothing = {name: value for name, value in environment.items() if not name.startswith(("ULTRALYTICS_", "HUB_"))}
    code, _, error = run({**nothing, **home}, "drain")
    assert code == 5
    assert "set ULTRALYTICS_API_KEY" in error

    assert [one["url"] for one in drained(environment)["destinations"]] == [server.url]


def test_5_a_platform_chosen_by_name_waits_for_the_first_drain_that_knows_where_it_is(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    training = journals.whole()
    journals.writer.route(training.run.id, "ultralytics", "")
    nowhere = without_addresses(environment)
    assert (
        drained(nowhere)["destinations"][0]["state"]
        == drained(nowhere, "--watch", "--max-time", "0.1")["destinations"][0]["state"]
    )
    code, out, _ = run(nowhere, "drain")
    assert (code, "ultralytics (chosen by name): paused: its address is not known" in out) == (5, True)
    assert "set ULTRALYTICS_PLATFORM_URL" in out
    assert "paused: set ULTRALYTICS_PLATFORM_URL" in run(nowhere, "status")[1]
    assert "paused" not in run(environment, "status")[1]

    [there] = drained(environment)["destinations"]
    assert (there["url"], there["state"]) == (server.url, "up to date")
    other = {**environment, "ULTRALYTICS_PLATFORM_URL": f"http://127.0.0.1:{free_port()}"}
    journals.writer.route(training.run.id, "ultralytics", "")  # as a resumed training does
    assert [one["url"] for one in drained(other)["destinations"]] == [server.url]


def test_to_says_where_a_platform_chosen_by_name_is(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    training = journals.begin()
    training.started(trainArgs={"model": "yolo11n.pt", "epochs": "3", "data": "coco8.yaml"}, epochs=3)
    training.end()
    server.script = hub_received
    for platform in ("hub", "ultralytics"):
        journals.writer.route(training.run.id, platform, "")
    there = ("--to", server.url, "--platform", "hub")
    summary = drained({**without_addresses(environment), "HUB_API_KEY": "hub_key"}, *there)
    assert {(one["platform"], one["url"], one["state"]) for one in summary["destinations"]} == {
        ("hub", server.url, "up to date"),
        ("ultralytics", "", "paused: its address is not known"),
    }
    assert run(environment, "drop", "--to", "ultralytics", "--yes")[0] == 0
    assert [one["platform"] for one in drained(environment)["destinations"]] == ["hub"]


def without_addresses(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(("ULTRALYTICS_", "HUB_"))}


def test_a_platform_that_no_run_goes_to_is_named(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    training = journals.whole()
    assert run(environment, "drain")[::2] == (0, "")
    other = f"http://127.0.0.1:{free_port()}"
    code, out, error = run({**environment, "ULTRALYTICS_PLATFORM_URL": other}, "drain", "--json")
    assert (code, json.loads(out)["exit_code"]) == (0, 0)
    assert f"--to {other}" in error
    hub_too = {**environment, "ULTRALYTICS_HUB_API": other}
    assert run(hub_too, "drain")[2] == ""  # no run chose a HUB
    journals.writer.route(training.run.id, "hub", server.url)
    assert f"--to {other} --platform hub`" in run(hub_too, "drain")[2]


def test_5_the_key_is_wrong(journals: Recordings, environment: dict[str, str], server: ScriptedServer) -> None:
    journals.whole()
    server.script = lambda _: Reply(401)
    code, out, error = run(environment, "drain")
    assert code == 5
    assert "credentials refused" in out
    assert KEY not in out + error


def test_that_a_key_was_refused_is_told_by_all_who_tell_of_a_journal(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    journals.whole("one")
    journals.whole("two")
    server.script = lambda _: Reply(401, {"error": "no such key"})
    assert run(environment, "drain")[0] == 5
    code, status, _ = run(environment, "status")
    assert code == 0
    assert "2 in trouble" in status
    assert len(re.findall(r"key refused, \d+ pending", status)) == 2
    assert "the key is refused (for " in status
    assert "set a key that it accepts (ULTRALYTICS_API_KEY), then `python -m uploader drain`" in status
    told = json.loads(run(environment, "status", "--json")[1])["runs"]
    assert {(one["standing"], one["targets"][0]["obstacle"]["cause"]) for one in told} == {("trouble", "key refused")}
    assert "the key is refused (for " in run(environment, "show", "one")[1].partition("deliveries: ")[2]
    code, examined, _ = run(environment, "doctor")
    assert code == 1
    assert f"trouble: 2 runs wait for {server.url}: key refused since " in examined


def test_1_a_damaged_journal_is_left_as_it_is(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    (folder / "journal.db").write_bytes(b"no database" * 1000)
    for command in ("drain", "status"):
        code, _, error = run(environment, command)
        assert code == 1
        assert "is damaged" in error
        assert "It was left as it is" in error
    assert (folder / "journal.db").read_bytes() == b"no database" * 1000


def test_1_a_newer_journal_is_left_as_it_is(journals: Recordings, environment: dict[str, str]) -> None:
    with closing(sqlite3.connect(journals.journal.database)) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    code, _, error = run(environment, "drain")
    assert code == 1
    assert "upgrade" in error


def test_on_a_terminal_there_are_bars(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    journals.whole(content=b"x" * 2_500_000)
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    command = [sys.executable, "-m", "uploader", "drain"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=terminal) as process:
        os.close(terminal)
        shown = b"".join(iter(lambda: _read_terminal(screen), b"")).decode()
    os.close(screen)
    assert process.returncode == 0
    assert re.search(
        r"deliveries: +(9 \[|100%\|.*\| 9/9 \[)", shown
    )  # how many are to be is counted on a slow way only
    assert "train/final.pt" in shown
    assert "2.50M" in shown


def _read_terminal(screen: int) -> bytes:
    """Return what is shown next; nothing when the other side has closed, which Linux reports as an error."""
    try:
        return os.read(screen, 4096)
    except OSError:
        return b""


# --- a second drain, and signals


def test_3_a_second_drain_says_who_the_first_is(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    journals.whole()
    begun, over = threading.Event(), threading.Event()

    def script(request: Request) -> Reply:
        begun.set()
        over.wait(60)
        return received(request)

    server.script = script
    first = start(environment, "drain", "--json")
    assert begun.wait(60)
    summary = drained(environment)
    assert summary["exit_code"] == 3
    assert f"process {first.pid} on {os.uname().nodename}" in summary["error"]
    over.set()
    first.communicate(timeout=100)
    assert first.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_is_under_way(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer, number: signal.Signals
) -> None:
    journals.whole(epochs=100)
    begun, over, ended = threading.Event(), threading.Event(), threading.Event()

    def script(request: Request) -> Reply:
        if request.json().get("event") == "epoch_end":
            begun.set()
            (ended if over.is_set() else over).wait(60)  # what is sent when the first are answered gets no answer
        return received(request)

    server.script = script
    process = start(environment, "drain", "--json", "--parallel", "2")
    assert begun.wait(60)
    process.send_signal(number)
    threading.Timer(0.5, over.set).start()  # at any other time the outcome is the same, five seconds later
    out, _ = process.communicate(timeout=100)
    ended.set()
    summary = json.loads(out)
    assert (process.returncode, summary["exit_code"], summary["interrupted"]) == (3, 3, True)
    states = dict(rows(journals.journal.path, "SELECT state, count(*) FROM deliveries GROUP BY state"))
    assert set(states) == {"pending", "delivered"}
    server.script = received
    assert drained(environment)["exit_code"] == 0


def test_a_signal_ends_a_watching_drain(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    server.script, complete = hearing("training_complete")
    process = start(environment, "drain", "--watch", "--json")
    journals.whole()
    assert complete.wait(60)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=100)
    assert (process.returncode, json.loads(out)["interrupted"]) == (0, True)


def test_a_killed_drain_loses_and_doubles_nothing(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    journals.whole(epochs=200)
    begun = threading.Event()

    def script(request: Request) -> Reply:
        if len(server.requests) > 50:
            begun.set()
        return received(request)

    server.script = script
    process = start(environment, "drain")
    assert begun.wait(60)
    process.kill()
    process.communicate()
    assert drained(environment)["exit_code"] == 0
    keys: dict[str, set[bytes]] = {}
    for request in server.requests:
        if key := request.headers.get("idempotency-key"):
            keys.setdefault(key, set()).add(request.body)
    assert all(len(bodies) == 1 for bodies in keys.values())
    epochs = {body["data"]["epoch"] for body in server.bodies() if body.get("event") == "epoch_end"}
    assert epochs == set(range(200))


# --- status


def test_status_tells_whether_a_drain_is_at_work(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    journals.whole()
    assert "no drain is at work" in run(environment, "status")[1]
    server.script, complete = hearing("training_complete")
    process = start(environment, "drain", "--watch")
    assert complete.wait(60)
    assert f"\na drain is at work: process {process.pid} on " in run(environment, "status")[1]
    told = json.loads(run(environment, "status", "--json")[1])["drain"]
    assert (told["pid"], told["is_background"], told["log"]) == (process.pid, False, None)
    process.kill()
    process.communicate()
    assert json.loads(run(environment, "status", "--json")[1])["drain"] is None


def test_status_tells_what_is_where(journals: Recordings, environment: dict[str, str], server: ScriptedServer) -> None:
    finished = journals.whole("first", content=b"x" * 2_500_000)
    drained(environment)
    running = journals.begin("second")
    running.started()
    code, out, _ = run(environment, "status")
    assert code == 0
    assert f"demo/first  {finished.run.id}" in out
    assert "finished, 3 epochs" in out
    assert "9 delivered" in out
    assert "running, 0 epochs" in out
    assert "goes nowhere yet" in out
    runs = json.loads(run(environment, "status", "--json")[1])["runs"]
    assert [one["state"] for one in runs] == ["finished", "running"]
    assert runs[0]["targets"][0]["delivered"] == 9


def test_status_tells_which_epochs_are_missing_and_that_an_end_is_unknown(
    journals: Recordings, environment: dict[str, str]
) -> None:
    training = killed(journals, 0, 1, 4, trained=4)
    _, out, _ = run(environment, "status")
    assert "interrupted, 3 epochs" in out
    assert "its end is unknown: its process recorded none, and is gone or silent" in out
    assert "epochs 3-4 missing here, but in results.csv: the next drain takes them in" in out
    assert "in no results.csv" not in out
    Path(training.run.save_dir, "results.csv").unlink()
    _, out, _ = run(environment, "status")
    assert "epochs 3-4 missing, and in no results.csv of the run that can be read here" in out
    (told,) = json.loads(run(environment, "status", "--json")[1])["runs"]
    known = {"end_unknown": True, "missing_epochs": [2, 3], "salvageable_epochs": []}
    assert {name: told[name] for name in known} == known


def test_status_tells_where_the_epochs_of_a_finished_run_and_of_a_running_one_are(
    journals: Recordings, environment: dict[str, str]
) -> None:
    finished = killed(journals, 0, 1, 4, trained=4)
    finished.complete()
    finished.end("complete")
    drained(environment, "--to", environment["ULTRALYTICS_PLATFORM_URL"])
    with closing(sqlite3.connect(journals.journal.database)) as connection, connection:
        connection.execute("DELETE FROM events WHERE key IN ('2', '3') AND kind = 'epoch_end'")
    running = journals.begin("running")
    for number in (0, 1, 4):
        running.epoch(number)
    _, out, _ = run(environment, "status")
    assert "epochs 3-4 missing here, but in results.csv: `doctor --repair` takes them in" in out
    assert "epochs 3-4 missing so far; the training looks for them when it ends" in out


def test_status_tells_what_is_pending_and_why(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    journals.whole(content=b"x" * 2_500_000)
    server.script = lambda _: Reply(429, {"error": "slow down"}, {"Retry-After": "600"})
    drained(environment)
    _, out, _ = run(environment, "status")
    assert "9 pending (3 MB)" in out
    assert "last error: 127.0.0.1" in out
    assert "429: slow down" in out


def test_status_tells_that_a_checkpoint_keeps_its_distance(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer
) -> None:
    training = journals.begin()
    training.started()
    training.checkpoint(b"weights", "best")
    drained(environment)
    assert "waits: the next checkpoint goes in 14 min" in run(environment, "status")[1]
    training.end()
    assert "next attempt with the next drain" in run(environment, "status")[1]


@pytest.mark.parametrize("folded", [True, False])
def test_status_looks_at_what_cannot_be_written(tmp_path: Path, environment: dict[str, str], folded: bool) -> None:
    folder = tmp_path / "disk" / "journal"
    environment["UPLOADER_JOURNAL"] = str(folder)
    with small_disk(tmp_path / "disk", "16m") as disk:
        with recordings(folder) as recorded:
            training = recorded.whole()
            if folded:
                recorded.journal.fold_wal()
        beside = FallbackFile([tmp_path / "fallback"], folder, training.run)
        beside.append("training_started", {"epochs": 1}, "1")
        beside.close()
        make_read_only(disk)
        code, out, error = run(environment, "status")
        assert (code, error) == (0, "")
        assert f"journal {folder}: 1 run" in out
        assert "finished, 3 epochs" in out
        assert "of another journal" not in out
        assert "events for it wait in 1 fallback file; `python -m uploader drain` takes them in" in out
        assert json.loads(run(environment, "status", "--json")[1])["journal"] == str(folder)


def test_a_drain_of_a_journal_on_a_read_only_disk_says_so(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "disk" / "journal"
    environment["UPLOADER_JOURNAL"] = str(folder)
    with small_disk(tmp_path / "disk", "16m") as disk:
        with recordings(folder) as recorded:
            recorded.whole()
        make_read_only(disk)
        code, _, error = run(environment, "drain")
    assert code == 1
    assert "(Read-only file system): mount the disk for writing, or copy the folder" in error


def test_a_limit_that_is_no_size_hides_nothing(journals: Recordings, environment: dict[str, str]) -> None:
    journals.whole()
    environment["UPLOADER_MAX_SIZE"] = "plenty"
    code, out, error = run(environment, "status")
    assert (code, "finished, 3 epochs" in out) == (0, True)
    assert error.startswith("uploader status: UPLOADER_MAX_SIZE: 'plenty' is not a size")
    code, out, _ = run(environment, "status", "--json")
    assert (code, json.loads(out)["max_bytes"], len(json.loads(out)["runs"])) == (0, None, 1)
    assert drained(environment)["exit_code"] == 0


def test_status_stays_lean(journals: Recordings, environment: dict[str, str]) -> None:
    journals.whole()
    code = "import sys; sys.argv = ['uploader', 'status']\n"
    code += "from uploader.__main__ import main\n"
    code += "try: main()\nfinally: print(sorted({'requests', 'urllib3', 'tqdm', 'torch', 'numpy'} & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert process.stdout.splitlines()[-1] == "[]"


def test_help_documents_exit_codes_and_variables(environment: dict[str, str]) -> None:
    _, out, _ = run(environment, "drain", "--help")
    assert "Exit codes" in out
    assert "UPLOADER_JOURNAL" in out
    for code in ("0  everything", "2  the arguments", "3  work remains", "4  dead letters", "5  the API key"):
        assert code in out
