from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from uploader.live.line_chunks import LineChunks

Made = list[tuple[list[str], Mapping[str, str]]]


def chunks(*texts: str, flush: bool = False) -> Made:
    """Return the lines and the bars of the chunks that are made of these writes."""
    made: Made = []

    def put(content: str, lines: int, chunk_id: int, progress: Mapping[str, str]) -> None:
        told = content.split("\n") if content else []
        assert lines == len(told)
        made.append(([line.removeprefix("[2026-01-02 03:04:05] ") for line in told], progress))

    maker = LineChunks(put, now=lambda: datetime(2026, 1, 2, 3, 4, 5))  # noqa: DTZ001 - as a person's clock shows it
    for text in texts:
        maker.give(text, None, 0.0)
        if flush:
            maker.flush()
    maker.end()
    return made


def test_a_chunk_has_five_lines_and_the_last_one_the_rest() -> None:
    assert chunks(*(f"{number}\n" for number in range(6))) == [(["0", "1", "2", "3", "4"], {}), (["5"], {})]


def test_a_line_may_be_printed_in_parts_and_empty_ones_are_left_out() -> None:
    assert chunks("a", "b\n\n", "c  \nd") == [(["ab", "c", "d"], {})]


def test_of_a_line_that_is_written_over_the_last_frame_counts() -> None:
    assert chunks("\r 10%", "\r 50%", "\r100%\n", "done\n") == [(["100%", "done"], {})]


def test_a_bar_that_moves_is_told_as_progress_until_its_line_ends() -> None:
    assert chunks("a\n\r10%", "\r20%", "\r30%\n", flush=True) == [
        (["a"], {"0": "10%"}),
        ([], {"0": "20%"}),
        (["30%"], {}),
    ]
