"""Datasets and models are fetched from a real platform over loopback, and are there when it is gone."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.platform_api import Api
from support.scripted_server import Reply, Request, ScriptedServer, in_front_of, scripted_server

import uploader
from uploader import prefetching
from uploader.__main__ import main
from uploader.server.running import running

ultralytics = pytest.importorskip("ultralytics", reason="it says where its files are")
pytest.importorskip("aiohttp", reason="Ultralytics fetches images with it")

KEY = "ul_test_key"
MODEL, DATASET = "ul://local/demo/train", "ul://local/datasets/cars"


class Platform:
    """A platform behind a server of the test, which can break what it answers or be away."""

    def __init__(self, folder: Path, url: str, between: ScriptedServer, images: ScriptedServer) -> None:
        self.api, self.between, self.behind = Api(url, KEY), between, between.script
        self.folder, self.images = folder, images

    def weights(self, content: bytes) -> None:
        self.api.request("DELETE", "/api/models/local/demo/train")
        self.api.checkpoint(content, self.api.start())

    def dataset(self) -> None:
        lines: list[Any] = [{"type": "dataset", "task": "detect", "name": "cars", "class_names": {"0": "car"}}]
        for split in ("train", "val"):
            annotations = {"boxes": [[0, 0.5, 0.5, 0.2, 0.2]]}
            url = f"{self.images.url}/{split}.png?signature=s3cret"
            lines.append(
                {"type": "image", "file": f"{split}.png", "url": url, "split": split, "annotations": annotations}
            )
        folder = self.folder / "datasets" / "local"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cars.ndjson").write_text("\n".join(map(json.dumps, lines)), "utf-8")

    def away(self) -> None:
        self.between.script = self.images.script = lambda _: Reply(reset=True)

    def back(self) -> None:
        self.between.script, self.images.script = self.behind, _image


def _image(_: Request) -> Reply:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "PNG")
    return Reply(body=file.getvalue(), headers={"Content-Type": "image/png"})


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    from ultralytics.utils import SETTINGS

    kept = {name: SETTINGS[name] for name in ("weights_dir", "datasets_dir")}
    for name in kept:
        dict.__setitem__(SETTINGS, name, str(tmp_path / name))
    folder = tmp_path / "platform"
    with running(folder, api_key=KEY) as server, scripted_server(_image) as images:
        behind = in_front_of(server.url)

        def between(request: Request) -> Reply:
            reply = behind(request)
            own = server.url.encode()
            body = reply.body.replace(own, f"http://{request.headers['host']}".encode())
            return Reply(reply.status, body, reply.headers)

        with scripted_server(between) as public:
            monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", public.url)
            monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
            yield Platform(folder, server.url, public, images)
    for name, value in kept.items():
        dict.__setitem__(SETTINGS, name, value)


def weights_dir(tmp_path: Path) -> Path:
    return tmp_path / "weights_dir" / "local" / "demo" / "train"


def by_ultralytics(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have Ultralytics look for the model; it asks the platform where it is, and must fetch nothing."""
    pytest.importorskip("ultralytics_platform", reason="Ultralytics asks by the SDK, which needs Python 3.11")
    from ultralytics.utils import SETTINGS, checks

    monkeypatch.setattr(checks, "PLATFORM_URL", platform.between.url)
    before = len(platform.between.requests)
    found = checks.check_file(MODEL, download_dir=SETTINGS["weights_dir"])
    assert not [each.path for each in platform.between.requests[before:] if "/storage/" in each.path]
    return str(found)


def test_a_model_is_where_ultralytics_looks_for_it_also_without_a_network(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.weights(b"weights" * 1000)
    path = uploader.prefetch(MODEL)
    assert (path, path.read_bytes()) == (weights_dir(tmp_path) / "best.pt", b"weights" * 1000)
    assert by_ultralytics(platform, monkeypatch) == str(path)
    platform.away()
    assert uploader.prefetch(MODEL) == path
    path.write_bytes(b"something else of it" * 350)
    with pytest.raises(ConnectionError, match=r"best\.pt is not the file that was fetched"):
        uploader.prefetch(MODEL)
    path.unlink()
    with pytest.raises(ConnectionError, match=r"best\.pt is gone"):
        uploader.prefetch(MODEL)


def test_the_same_weights_are_not_fetched_twice_and_newer_ones_replace_them(platform: Platform) -> None:
    platform.weights(b"a" * 1000)
    path = uploader.prefetch(MODEL)
    fetched = [each.path for each in platform.between.requests if "/storage/" in each.path]
    uploader.prefetch(MODEL)
    assert [each.path for each in platform.between.requests if "/storage/" in each.path] == fetched
    platform.weights(b"b" * 1000)
    assert uploader.prefetch(MODEL).read_bytes() == b"b" * 1000 == path.read_bytes()


@pytest.mark.parametrize("fault", ["cut", "other", "short"])
def test_what_is_not_whole_never_has_the_final_name(platform: Platform, tmp_path: Path, fault: str) -> None:
    platform.weights(b"weights" * 1000)

    def script(request: Request) -> Reply:
        reply = platform.behind(request)
        if "/storage/" not in request.path:
            return reply
        if fault == "cut":
            return Reply(body=reply.body, cut=3000)
        return Reply(body=b"x" * 7000 if fault == "other" else reply.body[:3000])

    platform.between.script = script
    with pytest.raises(ConnectionError if fault == "cut" else RuntimeError):
        uploader.prefetch(MODEL)
    left = [each.name for each in weights_dir(tmp_path).iterdir() if not each.name.endswith(".lock")]
    assert left == []
    (weights_dir(tmp_path) / "tmp123.part").write_bytes(b"wei")  # as SIGKILL leaves it
    platform.back()
    assert hashlib.sha256(uploader.prefetch(MODEL).read_bytes()).digest() == hashlib.sha256(b"weights" * 1000).digest()
    assert not (weights_dir(tmp_path) / "tmp123.part").exists()


def test_a_dataset_is_trained_on_without_a_network(platform: Platform, tmp_path: Path) -> None:
    from ultralytics.data.utils import check_det_dataset

    platform.dataset()
    result = CliRunner().invoke(main, ["prefetch", DATASET, "--json"])
    assert result.exit_code == 0, result.output
    [told] = json.loads(result.output.splitlines()[-1])["prefetched"]
    platform.away()
    path = uploader.prefetch(DATASET)
    assert (str(path), path.name) == (told["path"], "data.yaml")
    data = check_det_dataset(str(path))
    assert data["names"] == {0: "car"}
    assert sorted(each.suffix for each in Path(data["path"]).rglob("*.*") if each.is_file()) == [
        ".png", ".png", ".txt", ".txt", ".yaml",
    ]  # fmt: skip
    signed = [each for each in tmp_path.joinpath("datasets_dir").rglob("*") if each.is_file()]
    assert not [each for each in signed if b"s3cret" in each.read_bytes()]


def test_a_dataset_without_an_image_is_not_taken_for_whole(platform: Platform) -> None:
    platform.dataset()
    platform.images.script = lambda request: Reply(404, b"") if "val" in request.path else _image(request)
    with pytest.raises(RuntimeError, match="1/2"):
        uploader.prefetch(DATASET)
    platform.between.script = lambda _: Reply(reset=True)
    with pytest.raises(ConnectionError):
        uploader.prefetch(DATASET)
    platform.back()
    assert uploader.prefetch(DATASET).is_file()


@pytest.mark.parametrize("is_noted", [True, False], ids=["fetched by this", "by Ultralytics"])
def test_images_that_are_gone_since_are_fetched_again(platform: Platform, tmp_path: Path, is_noted: bool) -> None:
    platform.dataset()
    path = uploader.prefetch(DATASET)
    train, val = sorted(path.parent.joinpath("images").rglob("*.png"))
    content = train.read_bytes()
    train.unlink()
    val.write_bytes(content[:9] if is_noted else b"")
    (path.parent / "labels" / "train.cache").write_bytes(b"of a training")
    before = len(platform.images.requests)
    if not is_noted:
        for note in tmp_path.joinpath("datasets_dir").rglob(".prefetched.json"):
            note.unlink()
    assert uploader.prefetch(DATASET) == path
    assert (train.read_bytes(), val.read_bytes()) == (content, content)
    assert len(platform.images.requests) == before + 2
    uploader.prefetch(DATASET)
    assert len(platform.images.requests) == before + 2


def test_without_a_network_a_dataset_that_lost_an_image_is_said_to(platform: Platform) -> None:
    platform.dataset()
    path = uploader.prefetch(DATASET)
    platform.away()
    train, val = sorted(path.parent.joinpath("images").rglob("*.png"))
    val.write_bytes(val.read_bytes() + b"saved anew by Ultralytics")
    assert uploader.prefetch(DATASET) == path
    train.unlink()
    with pytest.raises(ConnectionError, match=rf"1 of \d+ files of .* are gone or cut short, such as .*/{train.name}"):
        uploader.prefetch(DATASET)


def test_an_older_ultralytics_does_not_pass_off_a_part_as_the_whole(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def convert(listed: Path, root: Path) -> Path:
        """Do what 8.3.245 does when an image cannot be had: warn."""
        folder = Path(root) / listed.stem
        (folder / "images" / "train").mkdir(parents=True, exist_ok=True)
        (folder / "images" / "train" / "train.png").write_bytes(b"png")
        (folder / "data.yaml").write_text("names: {0: car}\n", "utf-8")
        return folder / "data.yaml"

    monkeypatch.setattr("ultralytics.data.converter.convert_ndjson_to_yolo", convert)
    platform.dataset()
    with pytest.raises(RuntimeError, match="1 of 2 images of cars"):
        uploader.prefetch(DATASET)


def test_two_at_once_do_it_one_after_the_other(platform: Platform) -> None:
    platform.weights(b"weights" * 1000)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(uploader.prefetch(MODEL))) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({*found}) == 1
    assert found[0].read_bytes() == b"weights" * 1000


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("ul://local/demo/none", FileNotFoundError),
        ("ul://local/datasets/none", FileNotFoundError),
        ("ul://local/../x", ValueError),
        ("https://example.com/a.pt", ValueError),
    ],
)
def test_what_is_not_there_is_said_so(platform: Platform, uri: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        prefetching.prefetch(uri)
    result = CliRunner().invoke(main, ["prefetch", uri])
    assert (result.exit_code, uri in result.output) == (1, True)


def test_a_wrong_key_is_said_so(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.weights(b"w")
    monkeypatch.setenv("ULTRALYTICS_API_KEY", "ul_other")
    with pytest.raises(ValueError, match="does not accept the API key"):
        uploader.prefetch(MODEL)
