from __future__ import annotations

import pytest

from journal.errors import JournalError
from journal.locations import DEFAULT_MAX_SIZE, default_max_size
from journal.quantities import epoch_in_words, parse_size, readable


@pytest.mark.parametrize(
    ("text", "size"),
    [("20GB", 20 * 10**9), ("1.5 GiB", 3 << 29), ("1B", 1), ("500 kB", 500_000), (" 2TB ", 2 * 10**12)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "20", "20 gb", "GB", "-1GB", "1e3MB", "0GB", "0.1B", "20GB of it", "٢GB", "1,5GB"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size; write a number and one of B, kB, MB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1_200_000, "1 MB"), (1.25e9, "1.2 GB"), (5e12, "5000.0 GB")]
)
def test_sizes_are_written(size: float, text: str) -> None:
    assert readable(size) == text


def test_the_environment_chooses_the_limit() -> None:
    assert default_max_size({}) == default_max_size({"UPLOADER_MAX_SIZE": " "}) == DEFAULT_MAX_SIZE
    assert default_max_size({"UPLOADER_MAX_SIZE": "20GB"}) == 20 * 10**9
    with pytest.raises(JournalError, match="UPLOADER_MAX_SIZE: '20' is not a size"):
        default_max_size({"UPLOADER_MAX_SIZE": "20"})


@pytest.mark.parametrize(("number", "words"), [(0, "epoch 1"), (299, "epoch 300"), (None, ""), ("3", ""), (1.5, "")])
def test_people_count_epochs_from_1_and_what_is_no_number_is_none(number: object, words: str) -> None:
    assert epoch_in_words(number) == words
