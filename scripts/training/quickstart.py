"""The main use from end to end: a real training without a reachable platform, killed and resumed, then delivered once.

Every step is a separate process, as a person would run it. The last step reads the platform back and compares it with
the journal; the exit code is 0 only if everything has arrived exactly once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from dataset import make_dataset

SCRIPTS = Path(__file__).parent
EPOCHS = 3


class Demo:
    """A folder, a key, and the platform's future address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.run = folder / "runs" / "t1"
        self.key = secrets.token_hex(20)
        self._address = _free_address()
        self.url = f"http://127.0.0.1:{self._address.getsockname()[1]}"
        self.environment = {
            **os.environ,
            "UPLOADER_JOURNAL": str(self.journal),
            "UPLOADER_FALLBACK": str(folder / "fallback"),
            "ULTRALYTICS_PLATFORM_URL": self.url,
            "ULTRALYTICS_API_KEY": self.key,
            "YOLO_CONFIG_DIR": str(folder / "config"),
        }

    def train(self, *arguments: str) -> int:
        """Run the training script and return its exit code; a negative one is the signal that ended it."""
        command = [sys.executable, str(SCRIPTS / "train.py"), "--journal", str(self.journal), *arguments]
        return self._run(command)

    def uploader(self, *arguments: str) -> int:
        """Run `python -m uploader …` and return its exit code."""
        return self._run([sys.executable, "-m", "uploader", *arguments])

    @contextmanager
    def platform(self) -> Iterator[subprocess.Popen[str]]:
        """Run the platform until the context ends; return its process."""
        port = self.url.rsplit(":", 1)[1]
        options = ["--data", str(self.folder / "platform"), "--port", port, "--api-key", self.key]
        command = [sys.executable, "-m", "uploader", "serve", *options]
        server = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            ready = next((line for line in server.stdout if line.startswith("Serving on")), None)
            assert ready, "the local platform did not start"
            print(ready, end="")
            yield server
        finally:
            server.terminate()
            server.wait()

    def read_back(self) -> dict[str, Any]:
        """Return the run as the platform's own API shows it."""
        with sqlite3.connect(self.journal / "journal.db") as database:
            ids = json.loads(database.execute("SELECT ids FROM targets").fetchone()[0])
        path = "/".join(ids["modelUrl"].split("/")[-3:])  # owner, project and model
        headers = {"Authorization": f"Bearer {self.key}"}
        listing = requests.get(f"{self.url}/api/models/{path.rsplit('/', 1)[0]}", headers=headers, timeout=30).json()
        model = requests.get(f"{self.url}/api/models/{path}", headers=headers, timeout=30).json()["model"]
        return {**model, "models": len(listing["models"])}

    def _run(self, command: list[str]) -> int:
        print(f"$ {' '.join(Path(part).name if os.sep in part else part for part in command)}", flush=True)
        return subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, check=False).returncode


def main() -> None:
    """Run the demo in its own folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="work here and keep everything; by default a temporary folder")
    parser.add_argument("--keep", action="store_true", help="leave the platform open to look at, until Ctrl-C")
    options = parser.parse_args()
    end_by_signals()
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        run(Demo(options.folder.resolve()), keep=options.keep)
        return
    with tempfile.TemporaryDirectory(prefix="uploader-quickstart-") as temporary:
        run(Demo(Path(temporary).resolve()), keep=options.keep)


def end_by_signals() -> None:
    """Have SIGTERM and SIGHUP end the demo as an error would: with its processes, and its temporary folder."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))


def run(demo: Demo, *, keep: bool = False) -> None:
    """Run the steps, and check each; then leave the platform open, if that is wanted."""
    data = str(make_dataset(demo.folder / "data"))
    step("1. Train with the platform out of reach; the process is killed in its second epoch")
    train = ("--data", data, "--epochs", str(EPOCHS), "--project", "demo", "--name", "t1", "--save-dir", str(demo.run))
    expect(demo.train(*train, "--kill-after-epoch", "1"), -signal.SIGKILL)
    expect(demo.uploader("status"), 0)

    step("2. Resume it in a new process; still no network")
    expect(demo.train("--resume", str(demo.run / "weights" / "last.pt")), 0)
    expect(demo.uploader("drain"), 3)  # nothing can be sent, everything is kept

    step("3. Reconnect, and drain the journal")
    with demo.platform() as server:
        expect(demo.uploader("drain"), 0)
        expect(demo.uploader("status"), 0)

        step("4. Read the platform back")
        check(demo)
        expect(demo.uploader("verify", "--deep"), 0)

        step("5. Drain again: there is nothing left, and nothing doubles")
        expect(demo.uploader("drain"), 0)
        check(demo)
        print("\nEverything arrived, once.")
        if keep:
            keep_open(demo, server)


def keep_open(demo: Demo, server: subprocess.Popen[str]) -> None:
    """Wait until a person ends it; Ctrl-C reaches the server as well."""
    print(f"\nOpen this in a browser: {demo.url}/\nThe platform runs until you press Ctrl-C.", flush=True)
    with suppress(KeyboardInterrupt):
        server.wait()


def check(demo: Demo) -> None:
    """Compare the platform with the journal and the trainer's folder."""
    shown = demo.read_back()
    with sqlite3.connect(demo.journal / "journal.db") as database:
        epochs = [row[0] for row in database.execute("SELECT DISTINCT epoch FROM metrics ORDER BY epoch")]
        text = "\n".join(row[0] for row in database.execute("SELECT content FROM console WHERE content != ''"))
    results = [row["epoch"] for row in shown["trainResults"]]
    best = (demo.run / "weights" / "best.pt").read_bytes()
    lines = "\n".join(chunk["content"] for chunk in shown["consoleChunks"] if chunk["content"])
    facts = {
        "one model": shown["models"] == 1,
        f"each of the {len(epochs) - 1} epochs and the final evaluation, once": results == epochs,
        "the console, every line": lines == text,
        "the training's end": shown["status"] == "completed",
        "the final checkpoint, byte for byte": shown["file"]["sha256"] == hashlib.sha256(best).hexdigest(),
    }
    for fact, holds in facts.items():
        print(f"  {'arrived' if holds else 'MISSING'}: {fact}")
    expect(all(facts.values()), True)


def step(title: str) -> None:
    """Print a heading."""
    print(f"\n=== {title}", flush=True)


def expect(found: object, wanted: object) -> None:
    """End the demo with a failure if a step had another result."""
    if found != wanted:
        sys.exit(f"This step should have ended with {wanted!r}, but ended with {found!r}.")


def _free_address() -> socket.socket:
    """Return what keeps a port while nothing listens there, so that the platform can later."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept


if __name__ == "__main__":
    main()
