"""No secret is left anywhere: a training and its delivery, with all that can go wrong, then everything is searched."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.scripted_server import Reply, Request, Script, free_port, hub_received, received, scripted_server

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[2]
PLATFORM_KEY, HUB_KEY = "ul_PlatformKeyZQ81", "hub_KeyOfHubZQ82"
SECRETS = {
    "the platform's key": PLATFORM_KEY,
    "HUB's key": HUB_KEY,
    "a key among the arguments": "ArgumentKeyZQ83",
    "a password in a URL": "UrlPasswordZQ84",
    "a token in a URL": "UrlTokenZQ85",
    "the proxy's password": "ProxyPasswordZQ86",
    "a signature": "SignatureZQ87",
    "a signed URL": "signature=",
}
ADDRESS = "https://somebody:UrlPasswordZQ84@data.example/set.zip?token=UrlTokenZQ85"
CHECKPOINT = b"PK"  # PyTorch writes zip archives
TRAIN = """
import os, sys
from offline import isolate_ultralytics
from torchvision_ops import ensure_torchvision_ops
isolate_ultralytics(os.environ["YOLO_CONFIG_DIR"])
ensure_torchvision_ops()
import uploader
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer

def tell(trainer):
    print("in use:", os.environ["ULTRALYTICS_API_KEY"], os.environ["HUB_API_KEY"], sys.argv)

small = dict(epochs=1, imgsz=32, batch=4, fraction=0.1, workers=0, device="cpu", plots=False, amp=False)
arguments = dict(data=sys.argv[1], source=sys.argv[2], **small)
hub_model = f"https://hub.ultralytics.com/models/m-1?api_key={os.environ['HUB_API_KEY']}"
model = uploader.attach(YOLO("yolo11n.yaml"), platform="ultralytics", hub_model=hub_model)
model.add_callback("on_train_epoch_end", tell)
model.train(save_dir=sys.argv[3], project="demo", name="t1", **arguments)

trainer = DetectionTrainer(overrides=dict(model="yolo11n.yaml", save_dir=sys.argv[3] + "-2", **arguments))
uploader.attach(trainer, journal=sys.argv[4])
"""
VERBOSE = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
from uploader.__main__ import main
main(prog_name="uploader")
"""


def indiscreet(status: int, **headers: str) -> Script:
    """Answer with a status, and with the key that came."""

    def script(request: Request) -> Reply:
        key = request.headers.get("authorization", "") + request.headers.get("x-api-key", "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(status, {"error": f"{key} at http://s.example/x?signature=SignatureZQ87"}, named)

    return script


@dataclass
class Stage:
    """Folders, an environment, and everything that our commands printed or showed of themselves."""

    folder: Path
    environment: dict[str, str]
    shown: list[str] = field(default_factory=list)

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    def uploader(self, *arguments: str, until: Sequence[threading.Event] = (), **variables: str) -> int:
        """Run a command with everything logged that can be, and take down what it prints and how `ps` shows it.

        Where there is something to wait for, the command is told to end once all of that has happened.
        """
        command = [sys.executable, "-c", VERBOSE, *arguments]
        with self.start(command, **variables) as process, ended_after(until, process):
            self.shown.append(Path(f"/proc/{process.pid}/cmdline").read_text())
            self.shown += process.communicate()
        return process.returncode

    def start(self, command: list[str], **variables: str) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "umask": 0, "cwd": ROOT}
        return subprocess.Popen(command, env={**self.environment, **variables}, **pipes)  # type: ignore[call-overload,no-any-return]

    def drain(self, *arguments: str, **variables: str) -> int:
        return self.uploader("drain", *arguments, **variables)

    def drain_until(self, *events: threading.Event) -> int:
        """Drain until all of this has happened; what is under way by then is finished."""
        return self.uploader("drain", "--watch", until=events)

    def drain_until_shown(self, word: str, *arguments: str) -> int:
        """Drain until the command has printed this among its errors."""
        with self.start(
            [sys.executable, "-c", VERBOSE, "drain", "--watch", "--max-time", "200", *arguments]
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            error = ""
            for line in process.stderr:
                if word in line and word not in error:
                    process.terminate()
                error += line
            self.shown += [process.stdout.read(), error]
        assert word in error
        return process.returncode

    @contextmanager
    def serving(self, port: int) -> Iterator[None]:
        """Run the local platform where the runs go, and take down what it prints."""
        command = [
            sys.executable,
            "-m",
            "uploader",
            "serve",
            "--data",
            str(self.folder / "platform"),
            "--port",
            str(port),
        ]
        with self.start(command, UPLOADER_SERVE_API_KEY=PLATFORM_KEY) as process:
            assert process.stdout is not None
            self.shown.append(next(line for line in process.stdout if line.startswith("Serving on")))
            self.shown.append(Path(f"/proc/{process.pid}/cmdline").read_text())
            try:
                yield
            finally:
                process.terminate()
                self.shown += process.communicate()


@contextmanager
def ended_after(events: Sequence[threading.Event], process: subprocess.Popen[str]) -> Iterator[None]:
    """Tell a process to end once all of this has happened, if anything; meanwhile the block reads what it prints."""

    def end() -> None:
        for event in events:
            event.wait(200)
        process.terminate()

    thread = threading.Thread(target=end)
    if events:
        thread.start()
    yield
    if events:
        thread.join()
    assert all(event.is_set() for event in events)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    search = os.pathsep.join([str(ROOT), str(ROOT / "scripts" / "training")])
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "PYTHONPATH": search,
        "UPLOADER_JOURNAL": str(tmp_path / "journal"),
        "UPLOADER_FALLBACK": str(tmp_path / "fallback"),
        "YOLO_CONFIG_DIR": str(tmp_path / "config"),
        "ULTRALYTICS_API_KEY": PLATFORM_KEY,
        "HUB_API_KEY": HUB_KEY,
    }
    return Stage(tmp_path, environment)


def train(stage: Stage, data: Path, blocked: Path) -> None:
    """Train once into the journal; begin once more with a journal that cannot be written."""
    blocked.parent.write_text("no folder")
    arguments = [str(data), ADDRESS, str(stage.folder / "runs" / "t1"), str(blocked), "--api-key", "ArgumentKeyZQ83"]
    with stage.start([sys.executable, "-c", TRAIN, *arguments]) as training:
        _, error = training.communicate()
    assert training.returncode == 0, error[-3000:]
    assert list((stage.folder / "fallback").glob("*.jsonl")), error[-3000:]
    assert open_to_others(stage.folder / "fallback") == []
    blocked.parent.unlink()


def noticing(script: Script, path: str = "") -> tuple[Script, threading.Event]:
    """Return a script that answers as the other does, and what is set once a request to a path with this end came."""
    came = threading.Event()

    def answer(request: Request) -> Reply:
        if request.path.endswith(path):
            came.set()
        return script(request)

    return answer, came


def bad_places(url: str) -> Iterator[Script]:
    """Yield the ways in which a storage goes wrong: expired, gone, unusable, elsewhere and not there."""
    for place in ("/storage/x", "//[", f"http://127.0.0.1:{free_port()}/x"):

        def script(request: Request, place: str = place) -> Reply:
            if request.path.endswith("/models/upload"):
                where = place if place.startswith("http") else f"{url if place[1] != '/' else 'http:'}{place}"
                return Reply(body={"uploadUrl": f"{where}?signature=SignatureZQ87", "gcsPath": "x"})
            expired = Reply(403, b"<Error>expired: /storage/x?signature=SignatureZQ87</Error>")
            return expired if request.method == "PUT" else received(request)

        yield script


def break_a_copy(stage: Stage) -> Path:
    """Copy the journal and put something into it that makes our own code fail."""
    copy = stage.folder / "broken"
    shutil.copytree(stage.journal, copy)
    with closing(sqlite3.connect(copy / "journal.db")) as database, database:
        broken = ('{"results": 1}',)
        database.execute("UPDATE deliveries SET body = ? WHERE kind = 'training_complete'", broken)
        database.execute("UPDATE events SET payload = ? WHERE kind = 'training_complete'", broken)
    return copy


def test_no_secret_is_left_anywhere(stage: Stage, training_data: Path) -> None:
    port, hub_port = free_port(), free_port()
    url, hub = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{hub_port}"
    stage.environment |= {"ULTRALYTICS_PLATFORM_URL": url, "ULTRALYTICS_HUB_API": hub}
    blocked = stage.folder / "nothing" / "journal"
    train(stage, training_data, blocked)
    fresh = shutil.copytree(stage.journal, stage.folder / "fresh")

    away = f"http://me:ProxyPasswordZQ86@127.0.0.1:{free_port()}"
    assert stage.drain(HTTP_PROXY=away) == 3
    with (
        scripted_server(port=port) as platform,
        scripted_server(hub_received, port=hub_port) as hub_server,
        scripted_server() as elsewhere,
    ):
        platform.script = hub_server.script = indiscreet(401)
        assert stage.drain() == 5
        moved = indiscreet(307, Location=f"{elsewhere.url}/login?token=UrlTokenZQ85")
        for answer in (indiscreet(500), moved, lambda _: Reply(reset=True), indiscreet(429, Retry_After="0")):
            platform.script, platform_asked = noticing(answer)
            hub_server.script, hub_asked = noticing(answer)
            assert stage.drain_until(platform_asked, hub_asked) == 3
        hub_server.script = hub_received
        for storage in bad_places(url):
            platform.script, place_asked = noticing(storage, "/models/upload")
            assert stage.drain_until(place_asked) == 3
        platform.script = received
        assert stage.drain_until_shown("Traceback", "--journal", str(break_a_copy(stage))) == 3
        assert elsewhere.requests == []
        keys = {each.headers.get("authorization") for each in platform.requests if each.method != "PUT"}
        assert keys == {f"Bearer {PLATFORM_KEY}"}
        assert {each.headers.get("authorization") for each in platform.requests if each.method == "PUT"} == {None}
        assert {each.headers["x-api-key"] for each in hub_server.requests} == {HUB_KEY}

    with scripted_server(hub_received, port=hub_port), stage.serving(port):
        stage.uploader("retry", "--all")
        stage.drain()
        assert stage.drain("--journal", str(blocked)) == stage.drain("--journal", str(fresh)) == 0
        assert stage.uploader("status") == stage.uploader("status", "--json") == 0
        assert stage.uploader("doctor") == 1  # there is a dead letter: this platform does not know the model
    assert [f"{name} in {where}" for name, secret in SECRETS.items() for where in holding(secret, stage)] == []
    assert open_to_others(stage.journal, stage.folder / "fallback", blocked) == []


def open_to_others(*folders: Path) -> list[Path]:
    """Return what in these folders other users may touch; our commands run with umask 0."""
    return [path for folder in folders for path in [folder, *folder.rglob("*")] if path.stat().st_mode & 0o077]


def holding(secret: str, stage: Stage) -> Iterator[str]:
    """Yield where a secret is: what our commands showed, and their files, those of the local platform included.

    Checkpoints stay as the trainer wrote them, its arguments included.
    """
    for text in stage.shown:
        if secret in text:
            yield text[max(0, text.find(secret) - 200) :][:300]
    for folder in ("journal", "broken", "fresh", "nothing", "fallback", "platform"):
        for path in (stage.folder / folder).rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            if not content.startswith(CHECKPOINT) and secret.encode() in content:
                yield str(path)
