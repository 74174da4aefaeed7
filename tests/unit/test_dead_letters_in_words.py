"""Dead letters in a line: those together that have the same reason."""

from __future__ import annotations

from journal.reading.remaining import DeadLetter
from uploader.commands.phrases import letters_in_words


def test_each_reason_is_said_once_beside_its_own() -> None:
    letters = [DeadLetter(n, "dataset", why) for n, why in ((1, "gone"), (2, "changed"), (3, "gone"), (4, None))]
    assert letters_in_words(letters) == "1 (dataset), 3 (dataset): gone; 2 (dataset): changed; 4 (dataset)"


def test_of_many_some_are_named() -> None:
    letters = [DeadLetter(n, "epoch_end", "no" if n < 5 else f"no {n}") for n in range(9)]
    named = "0 (epoch_end), 1 (epoch_end), 2 (epoch_end) and 2 more: no"
    assert (
        letters_in_words(letters) == f"{named}; 5 (epoch_end): no 5; 6 (epoch_end): no 6; and 2 more for other reasons"
    )
