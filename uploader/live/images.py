"""What is logged as an image: the bytes of an image file, and the event that holds them."""

from __future__ import annotations

import io
import os
import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uploader.live.logged_values import in_text

LARGEST_IMAGE = 8 << 20
"""Most bytes of an image file: an event holds it as text, which is a third longer."""
PNG = "image/png"
_MARKS = {b"\x89PNG\r\n\x1a\n": PNG, b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""The colour types of PNG by the number of values in a pixel: grey, grey and alpha, RGB, RGB and alpha."""
_FIRST = frozenset({1, 3, 4})
"""So many values may come before height and width."""


def medium(name: Any, step: int, content: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return payload and key of the event of an image or a plot: of one name in one step, the last one counts.

    Args:
        name: What it shows.
        step: The step that it belongs to, from 0.
        content: From `image_content`, or the curves of a plot, with its `form`.
    """
    payload = {"name": in_text(name), "step": step, **content}
    return payload, f"{step} {payload['name']}"


def image_content(image: Any) -> dict[str, str]:
    """Return what the event of an image holds of it.

    Args:
        image: See `image_file`.

    Raises:
        ValueError: It is no image, or is too large.
    """
    mime, content = image_file(image)
    return {"form": "image", "mime": mime, "data": b64encode(content).decode()}


def image_file(image: Any) -> tuple[str, bytes]:
    """Return an image as its type and the bytes of its file; an array becomes a PNG.

    Args:
        image: The bytes or the path of an image file; an image of Pillow; a figure of Matplotlib; or an array of
            numpy or torch, of the form (height, width), (height, width, values) or (values, height, width). Whole
            numbers are 0 to 255, others 0 to 1.

    Raises:
        ValueError: It is none of these, or is too large.
    """
    content = _content(image)
    if len(content) > LARGEST_IMAGE:
        raise ValueError(f"an image file has at most {LARGEST_IMAGE >> 20} MiB, and this one has {len(content)} bytes")
    return _type_of(content), content


def _content(image: Any) -> bytes:
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        if path.exists() and not path.is_file():  # one of a named pipe would be waited for
            raise ValueError(f"{path} is no file")
        with path.open("rb") as file:
            return file.read(LARGEST_IMAGE + 1)
    into = io.BytesIO()
    if hasattr(image, "savefig"):
        image.savefig(into, format="png")
    elif hasattr(image, "save") and hasattr(image, "mode"):
        image.save(into, format="PNG")
    else:
        return _of_array(image)
    return into.getvalue()


def _type_of(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            return name
    raise ValueError("an image file is a PNG, a JPEG, a GIF or a WebP")


def _of_array(image: Any) -> bytes:
    if hasattr(image, "detach"):
        image = image.detach().cpu().numpy()
    if not hasattr(image, "__array__"):
        raise ValueError(
            f"an image is a file, a picture of Pillow, a figure or an array, and not {type(image).__name__}"
        )
    import numpy as np  # only who has arrays has it

    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim == 3 and pixels.shape[2] not in _COLOURS and pixels.shape[0] in _FIRST:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim != 3 or pixels.shape[2] not in _COLOURS or not pixels.size:
        raise ValueError(f"an array of the form {pixels.shape} is no image")
    if pixels.dtype.kind not in "iub":
        pixels = np.nan_to_num(pixels.astype(float)) * 255
    elif pixels.dtype.kind == "b":
        pixels = pixels * 255
    return _png(np.clip(pixels, 0, 255).round().astype(np.uint8))


def _png(pixels: Any) -> bytes:
    """Return bytes of the form (height, width, values) as a PNG."""
    height, width, values = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[values], 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
