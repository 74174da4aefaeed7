from __future__ import annotations

import subprocess
import sys

import pytest

import uploader


@pytest.mark.parametrize("first", uploader.__all__)
def test_every_public_name_can_be_the_first_one_used(first: str) -> None:
    code = (
        f"import uploader; uploader.{first}; print([n for n in uploader.__all__ if not callable(getattr(uploader, n))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
