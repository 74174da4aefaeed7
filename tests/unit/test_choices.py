"""What `attach` is given, checked before the training begins."""

from __future__ import annotations

from typing import Any

import pytest

from uploader.choices import choose_options
from uploader.errors import SettingsError


@pytest.mark.parametrize("size", [0, -1, "0", "20 gb", 1.5, float("nan"), True, [], b"20GB"])
def test_what_is_no_size_is_refused_before_the_training(size: Any) -> None:
    with pytest.raises(SettingsError, match=r"^max_size: .* is no size; write a "):
        choose_options(None, "full", (), size)


def test_a_size_is_bytes_or_text() -> None:
    assert [choose_options(None, "full", (), size).max_size for size in (1, "1.5 GiB")] == [1, 3 << 29]
