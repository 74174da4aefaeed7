"""A ZIP file that is made on the way."""

from __future__ import annotations

import io
import zipfile

from uploader.dashboard.zip_stream import zipped


def test_it_is_a_zip_file_that_others_read():
    weights = [b"a" * 1000, b"b" * 1000]
    parts = list(zipped([("epochs.csv", [b"epoch\n"]), ("weights/best.pt", iter(weights))]))
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as read:
        assert read.testzip() is None
        assert [one.filename for one in read.infolist()] == ["epochs.csv", "weights/best.pt"]
        assert read.read("weights/best.pt") == b"".join(weights)
        assert read.getinfo("weights/best.pt").compress_type == zipfile.ZIP_STORED


def test_it_hands_out_what_it_has_before_it_reads_on():
    handed = []

    def content():
        for letter in b"abc":
            handed.append(letter)
            yield bytes([letter]) * 100_000

    stream = zipped([("x.pt", content())])
    assert len(next(stream)) >= 100_000
    assert len(handed) == 1
