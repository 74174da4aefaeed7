"""How checkpoints are divided into parts, and these compressed."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.errors import DamagedMirror, LibraryMissing
from journal.mirror import parts
from journal.mirror.parts import PartList, decoder, encode, part_size

compressing = pytest.mark.skipif(not parts.coding(), reason="zstandard is not installed")


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1 << 20, 128 << 10), (5_400_000, 128 << 10), (100 << 20, 512 << 10), (1 << 30, 4 << 20), (5 << 30, 4 << 20)],
)
def test_a_part_is_a_256th_of_a_file_within_bounds(size: int, expected: int) -> None:
    assert part_size(size) == expected


@given(st.binary(max_size=2000))
def test_a_piece_comes_back_to_the_byte(piece: bytes) -> None:
    assert decoder(parts.coding())(encode(piece), len(piece)) == piece


@compressing
@pytest.mark.parametrize(("form", "most"), [("e", 0.85), ("f", 0.86)], ids=["half precision", "full precision"])
def test_weights_become_smaller(form: str, most: float) -> None:
    numbers = random.Random(1)
    piece = struct.pack(f"<{1 << 15}{form}", *(numbers.gauss(0, 0.02) for _ in range(1 << 15)))
    stored = encode(piece)
    assert len(stored) < most * len(piece)
    assert decoder(parts.PLANES)(stored, len(piece)) == piece


@compressing
def test_noise_becomes_hardly_larger() -> None:
    piece = random.Random(1).randbytes(1 << 17)
    assert len(encode(piece)) < len(piece) + 32


@compressing
@pytest.mark.parametrize(
    "harm",
    [
        lambda stored: b"",
        lambda stored: b"\x03" + stored[1:],
        lambda stored: stored[:3],
        lambda stored: stored[:-1],
        lambda stored: b"\x01" + struct.pack("<?I", True, 4) + b"none",
    ],
    ids=["empty", "another width", "no plane", "cut short", "not compressed"],
)
def test_what_is_no_part_is_not_decoded(harm: Callable[[bytes], bytes]) -> None:
    stored = encode(bytes(range(256)) * 4)
    with pytest.raises(ValueError, match=r"."):
        decoder(parts.PLANES)(harm(stored), 1024)


@compressing
def test_a_plane_that_claims_to_be_longer_is_not_unpacked() -> None:
    import zstandard

    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 24))
    with pytest.raises(ValueError, match="another length"):
        decoder(parts.PLANES)(b"\x01" + struct.pack("<?I", True, len(bomb)) + bomb, 1024)


def test_without_the_library_parts_are_pieces_of_the_file_and_others_name_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "library", lambda: None)
    assert (parts.coding(), encode(b"weights")) == ("", b"weights")
    with pytest.raises(LibraryMissing, match=r"pip install 'offline-uploader\[mirror\]'"):
        decoder(parts.PLANES)


def test_a_list_tells_the_length_of_each_part() -> None:
    listed = PartList(10, 4, "", ("a", "b", "c"))
    assert PartList.from_bytes("x", listed.to_bytes()) == listed
    assert list(listed.lengths()) == [4, 4, 2]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"digests": ["a"]}, "do not make the file"),
        ({"part": 0}, "do not make the file"),
        ({"part": 1 << 30, "digests": ["a"]}, "do not make the file"),
        ({"coding": "new"}, "later version"),
        ({"format": 2}, "later version"),
        ({"size": "many"}, "no list of parts"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(change: dict[str, object], why: str) -> None:
    values = json.loads(PartList(10, 4, "", ("a", "b", "c")).to_bytes())
    with pytest.raises(DamagedMirror, match=why):
        PartList.from_bytes("x", json.dumps({**values, **change}).encode())
