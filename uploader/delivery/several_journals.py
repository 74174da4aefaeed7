"""Several drains at once, one for each journal: each in a thread of its own, started and joined here."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

from journal.errors import JournalError
from uploader.delivery.drain import Drain
from uploader.delivery.summary import Summary
from uploader.errors import UploaderError

Result = Summary | UploaderError | JournalError


def run_together(drains: Sequence[Drain]) -> list[Result]:
    """Run drains to their ends; return what each came to, or what ended it. A single one needs no thread."""
    if len(drains) == 1:
        return [_run(drains[0])]
    results: dict[int, Result] = {}

    def work(index: int, drain: Drain) -> None:
        results[index] = _run(drain)

    threads = [Thread(target=work, args=each, name=f"drain-{each[0]}") for each in enumerate(drains)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[index] for index in range(len(drains))]


def _run(drain: Drain) -> Result:
    try:
        return drain.run()
    except (UploaderError, JournalError) as error:
        return error
