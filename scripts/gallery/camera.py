"""Takes pictures of pages in Chromium, which asks nobody but the page's own server, and keeps them small."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",
    "--disable-lcd-text",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_COLOURS = 64
"""Of a picture: so many that it has most of, which are the page's own, and as many for the edges of letters."""
SCALE = 1.5
"""Dots of a picture for each of the page: what GitHub shows at a width of 900 stays sharp on finer screens."""


class Camera:
    """Takes pictures.

    Args:
        browser: Chromium, as Playwright has it.
        folder: Where pictures go.
        now: What the pages take for the time.
    """

    def __init__(self, browser: Any, folder: Path, now: datetime) -> None:
        self._browser = browser
        self._folder = folder
        self._now = now

    @contextmanager
    def page(
        self, address: str, width: int, height: int, *, dark: bool = False, past: str | None = None
    ) -> Iterator[Any]:
        """Open a page, light or dark; `past` is an address that has to be visited before."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=SCALE,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            timezone_id="UTC",
            locale="en-GB",
        )
        try:
            page = context.new_page()
            page.clock.set_fixed_time(self._now)
            for each in filter(None, (past, address)):
                page.goto(each)
            yield page
        finally:
            context.close()

    def take(self, page: Any, name: str, *, of: str = "html", margin: int = 0, omit_background: bool = False) -> None:
        """Take a picture of what is in view of a page, or of a part of it; one of ours is to be followed by then."""
        if page.url != "about:blank":
            page.get_by_text("Live", exact=True).wait_for()
        box = page.locator(of).bounding_box() if of != "html" else {"x": 0, "y": 0, **page.viewport_size}
        clip = {
            "x": box["x"] - margin,
            "y": box["y"] - margin,
            "width": box["width"] + 2 * margin,
            "height": box["height"] + 2 * margin,
        }
        taken = page.screenshot(type="png", animations="disabled", clip=clip, omit_background=omit_background)
        _small(Image.open(io.BytesIO(taken))).save(self._folder / f"{name}.png", optimize=True)


def _small(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255):  # its corners are round
        return picture.quantize(2 * _COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    plain = picture.convert("RGB")
    codes, places, counts = np.unique(
        np.asarray(plain, np.int64) @ (1 << 16, 1 << 8, 1), return_inverse=True, return_counts=True
    )
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    often = colours[np.argsort(-counts, kind="stable")[:_COLOURS]]
    between = np.asarray(plain.quantize(_COLOURS, Image.Quantize.MEDIANCUT).getpalette(), np.int64).reshape(-1, 3)
    palette = np.concatenate([often, between[:_COLOURS]])
    nearest = np.square(colours[:, None] - palette).sum(axis=2).argmin(axis=1)  # Pillow's own is not exact
    made = Image.fromarray(nearest[places].reshape(plain.height, plain.width).astype(np.uint8), "P")
    made.putpalette(palette.astype(np.uint8).tobytes())
    return made


@contextmanager
def camera(folder: Path, now: datetime) -> Iterator[Camera]:
    """Yield a camera whose pictures go to a folder.

    Raises:
        SystemExit: There is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise SystemExit("pictures are taken by Chromium, and there is none: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*_FLAGS])
        try:
            yield Camera(browser, folder, now)
        finally:
            browser.close()
