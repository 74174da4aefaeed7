from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uploader.live.images import LARGEST_IMAGE, image_file
from uploader.live.plot_values import MOST_POINTS, curves


def pixels(png: bytes) -> tuple[tuple[int, int], int, list[int]]:
    """Return size, colour type and values of a PNG whose rows are not filtered."""
    chunks, at = {}, 8
    while at < len(png):
        (size,), name = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        data = png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size]) == (zlib.crc32(name + data),)
        chunks[name], at = data, at + 12 + size
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    rows = zlib.decompress(chunks[b"IDAT"])
    length = len(rows) // height
    assert depth == 8
    assert {rows[row * length] for row in range(height)} == {0}
    return (width, height), colour, [*b"".join(rows[row * length + 1 : (row + 1) * length] for row in range(height))]


class Tensor:
    """Like torch's: an array comes out step by step."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return self.array

    def tolist(self) -> Any:
        return self.array.tolist()


RGB = [[[1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 0, 0], [1, 1, 1]]]


@pytest.mark.parametrize(
    ("image", "size", "colour", "values"),
    [
        (np.array([[0, 255], [7, 300], [-5, 1]]), (2, 3), 0, [0, 255, 7, 255, 0, 1]),
        (np.array([[0.0, 1.0], [0.5, np.nan]], "float32"), (2, 2), 0, [0, 255, 128, 0]),
        (np.array([[True, False]]), (2, 1), 0, [255, 0]),
        (np.array(RGB, "uint8"), (5, 1), 2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 1, 1, 1]),
        (Tensor(np.array(RGB).transpose(2, 0, 1)), (5, 1), 2, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 1, 1, 1]),
        (np.zeros((1, 2, 4), "uint8"), (2, 1), 6, [0] * 8),
    ],
)
def test_an_array_becomes_a_png(image: Any, size: tuple[int, int], colour: int, values: list[int]) -> None:
    mime, content = image_file(image)
    assert (mime, pixels(content)) == ("image/png", (size, colour, values))


class Figure:
    """Like Matplotlib's."""

    def savefig(self, into: Any, **_: str) -> None:
        into.write(b"\x89PNG\r\n\x1a\n of a figure")


class Picture:
    """Like Pillow's."""

    mode = "L"

    def save(self, into: Any, **_: str) -> None:
        into.write(b"\xff\xd8\xff of a picture")


def test_files_figures_and_pictures_are_taken_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "a.webp"
    file.write_bytes(b"RIFF....WEBP")
    assert image_file(file) == image_file(str(file)) == ("image/webp", b"RIFF....WEBP")
    assert image_file(b"GIF89a") == ("image/gif", b"GIF89a")
    assert image_file(Figure()) == ("image/png", b"\x89PNG\r\n\x1a\n of a figure")
    assert image_file(Picture()) == ("image/jpeg", b"\xff\xd8\xff of a picture")


@pytest.mark.parametrize("image", [b"text", 3, np.zeros(4), np.zeros((2, 2, 5)), np.zeros((0, 2)), [[1]], None])
def test_what_is_no_image_is_refused(image: Any) -> None:
    with pytest.raises(ValueError, match="image"):
        image_file(image)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    with file.open("wb") as large:
        large.write(b"\x89PNG\r\n\x1a\n")
        large.truncate(LARGEST_IMAGE + 1)
    with pytest.raises(ValueError, match="at most 8 MiB"):
        image_file(file)


def test_a_plot_has_one_curve_or_several_by_name() -> None:
    assert curves([0, 1], np.array([0.5, np.nan])) == {"x": [0.0, 1.0], "y": {"": [0.5, None]}}
    several = curves(range(2), {"a": (1, 2), "b": Tensor(np.array([3, 4]))})
    assert several == {"x": [0.0, 1.0], "y": {"a": [1.0, 2.0], "b": [3.0, 4.0]}}
    assert curves([], []) == {"x": [], "y": {"": []}}


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    kept = curves(range(3 * MOST_POINTS), range(3 * MOST_POINTS))
    assert len(kept["x"]) == MOST_POINTS + 1
    assert (kept["x"][:2], kept["x"][-1], kept["x"]) == ([0.0, 3.0], 3.0 * MOST_POINTS - 1, kept["y"][""])


@pytest.mark.parametrize(("x", "y"), [([1], [1, 2]), ([1], ["a"]), ([1], {"a": [1], "b": []}), ([[1]], [1])])
def test_what_is_no_plot_is_refused(x: Any, y: Any) -> None:
    with pytest.raises(ValueError, match="plot"):
        curves(x, y)
