"""What a person who watches a drain is told, and that it goes on until something can be sent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.journals import until
from support.recordings import KEY, Recordings, recordings
from support.scripted_server import Reply, Request, ScriptedServer, free_port, received, scripted_server
from support.watching import watching

from journal.reading.drain_at_work import drain_at_work


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Recordings]:
    with recordings(tmp_path / "journal") as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without a key and an address, whose settings file is not there yet."""
    known = {name: text for name, text in os.environ.items() if not name.startswith(("ULTRALYTICS_", "HUB_"))}
    places = {"UPLOADER_JOURNAL": tmp_path / "journal", "UPLOADER_FALLBACK": tmp_path / "fallback"}
    return {**known, "YOLO_CONFIG_DIR": str(tmp_path), **{name: str(place) for name, place in places.items()}}


def log_in(folder: Path, key: str = KEY) -> None:
    """Save a key as `yolo login` does."""
    (folder / "Ultralytics").mkdir(exist_ok=True)
    (folder / "Ultralytics" / "settings.json").write_text(json.dumps({"api_key": key}), encoding="utf-8")


def test_without_a_key_it_says_so_before_anything_is_recorded_and_never_says_that_all_has_arrived(
    journals: Recordings, environment: dict[str, str]
) -> None:
    with watching(environment) as drain:
        assert "there is no API key" in drain.wait_for("Nothing is sent")
        journals.whole()
        assert drain.stop() == 5
    assert len([line for line in drain.error if "Nothing is sent" in line]) == 1
    assert "nowhere yet: no key" in "".join(drain.out)
    assert "up to date" not in "".join(drain.out)


def test_with_a_key_that_is_saved_meanwhile_it_goes_on_and_tells_what_arrives(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer, tmp_path: Path
) -> None:
    journals.whole(epochs=2)
    with watching({**environment, "ULTRALYTICS_PLATFORM_URL": server.url}) as drain:
        drain.wait_for("nothing is sent; there is no API key")
        assert not server.requests
        log_in(tmp_path)
        for what in ("its start", "epoch 1", "epoch 2", "final.pt (7 B)", "its end"):
            drain.wait_for(f"demo/train: {what} arrived")
        assert drain.stop() == 0
    assert "\n".join(drain.error).count("nothing is sent") == 1


def test_while_the_platform_is_away_it_says_so_once_and_says_when_it_is_back(
    journals: Recordings, environment: dict[str, str]
) -> None:
    journals.whole(epochs=1)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with watching({**environment, "ULTRALYTICS_PLATFORM_URL": url, "ULTRALYTICS_API_KEY": KEY}) as drain:
        said = drain.wait_for(f"{url}: not everything arrives; ")
        assert "cannot be reached" in said
        until(lambda: (at_work := drain_at_work(journals.journal.path)) is not None and at_work.warnings != ())
        with scripted_server(port=port):
            drain.wait_for(f"{url}: what waits is sent again")
            drain.wait_for("its end arrived")
            until(lambda: (at_work := drain_at_work(journals.journal.path)) is not None and at_work.warnings == ())
            assert drain.stop() == 0
    assert "".join(drain.error).count("not everything arrives") == 1


def test_with_a_refused_key_it_says_so_once_and_goes_on_with_another(
    journals: Recordings, environment: dict[str, str], server: ScriptedServer, tmp_path: Path
) -> None:
    def script(request: Request) -> Reply:
        is_good = request.headers.get("authorization", "").endswith(KEY) or request.method == "PUT"
        return received(request) if is_good else Reply(401, {"error": "no such key"})

    server.script = script
    log_in(tmp_path, "ul_old_key")
    journals.whole(epochs=1)
    with watching({**environment, "ULTRALYTICS_PLATFORM_URL": server.url}, "--json") as drain:
        drain.wait_for("nothing is sent")
        log_in(tmp_path)
        drain.wait_for("its end arrived")
        assert drain.stop() == 0
    assert json.loads("".join(drain.out))["exit_code"] == 0  # the lines are on the other stream
    assert "".join(drain.error).count("nothing is sent") == 1
    assert "ul_old_key" not in "".join(drain.error)
