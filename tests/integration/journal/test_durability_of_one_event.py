"""One event may be written with less durability than its journal; the ones after it are not."""

from __future__ import annotations

from pathlib import Path

import journal


def test_the_journals_own_durability_returns_after_one_relaxed_event(tmp_path: Path) -> None:
    with journal.open(tmp_path / "j", durability="strict") as opened:
        writer = opened.writer()
        run = writer.start_run(project=None, name="t", save_dir="/")
        session = writer.start_session(run.id)
        seen: list[int] = []
        driver = writer._raw()
        driver.set_trace_callback(lambda _: seen.append(0))
        writer.append(run.id, session, "model_saved", {"epoch": 0}, durability="process")
        driver.set_trace_callback(None)
        assert len(seen) > 1  # the setting was changed around the insertion
        assert driver.execute("PRAGMA synchronous").fetchone() == (2,)
        writer.append(run.id, session, "epoch_end", {"epoch": 0})
        writer.close()
