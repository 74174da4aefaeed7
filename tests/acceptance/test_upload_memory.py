"""A drain's memory does not grow with what it uploads."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benches import upload
from benches.servers import local_platform


def test_uploading_500_megabytes_to_hub_takes_as_much_memory_as_uploading_five() -> None:
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
        local_platform(Path(folder) / "platform") as url,
    ):
        found = upload.compare(Path(folder), url, "hub", (upload.SMALL, upload.LARGE), rounds=1)
    assert found.rows[-1].ratio < 1.1
