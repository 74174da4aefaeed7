"""The files that pages load, as browsers get them."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from uploader.dashboard.shortening import shorter_script, shorter_style

ASSETS = Path(__file__).parent / "assets"
_KEPT = 100
_MAKING = threading.Lock()  # threads that make files at once would only hold each other up, or make the same ones


class AssetFiles(StaticFiles):
    """Answers with the assets: scripts and styles of ours shortened, others as they are."""

    def __init__(self) -> None:
        """Answer with what is in the package."""
        super().__init__(directory=ASSETS)

    def file_response(
        self, full_path: Any, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return a file, or what says that the client has it already."""
        found = super().file_response(full_path, stat_result, scope, status_code)
        if not isinstance(found, FileResponse):
            return found
        headers = {name: found.headers[name] for name in ("etag", "last-modified")}
        return Response(_content(Path(full_path), stat_result.st_mtime_ns), status_code, headers, found.media_type)


def content(name: str) -> bytes:
    """Return a file of the assets as a browser gets it."""
    file = ASSETS / name
    return _content(file, file.stat().st_mtime_ns)


def prepare() -> None:
    """Make all files, which takes a tenth of a second, before a browser asks for them."""
    for file in ASSETS.iterdir():
        if file.is_file():
            content(file.name)


def _content(file: Path, changed: int) -> bytes:
    with _MAKING:
        return _made(file, changed)


@lru_cache(maxsize=_KEPT)
def _made(file: Path, _: int) -> bytes:
    """Return it, made again when it has changed."""
    shorter = {".js": shorter_script, ".css": shorter_style}.get(file.suffix)
    if shorter is None or file.parent != ASSETS:
        return file.read_bytes()
    return shorter(file.read_text("utf-8")).encode()
