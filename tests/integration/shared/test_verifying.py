"""A user who may only look reads runs of a shared journal back: what is found is told, and not kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.journals import url_of
from support.recordings import KEY, recordings
from support.settings import settings

from journal.opening import open_shared
from uploader.server.running import running
from uploader.verification.runs import chosen_targets, verify_targets


def test_what_is_found_by_who_may_only_look_is_told_and_not_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with recordings(tmp_path / "journal", "postgres") as shared, running(tmp_path / "there", api_key=KEY) as server:
        for name in ("one", "other"):
            training = shared.begin(name)
            training.started()
            training.complete()
            training.end()
        assert shared.drain(server.url).exit_code == 0
        with shared.journal.begin() as connection:
            connection.exec_driver_sql("CREATE ROLE reader LOGIN")
            connection.exec_driver_sql("GRANT USAGE ON SCHEMA uploader TO reader")
            connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA uploader TO reader")
        try:
            with open_shared(url_of(shared.journal).replace("//postgres", "//reader", 1)) as opened:
                chosen = chosen_targets(opened, (), None)
                found = list(verify_targets(opened, chosen, settings=settings(KEY, server.url)))
                assert [one.is_right for one in found] == [True, True]
                assert opened.verifications([one.run.id for one in chosen]) == []
        finally:
            with shared.journal.begin() as connection:
                connection.exec_driver_sql("DROP OWNED BY reader")
                connection.exec_driver_sql("DROP ROLE reader")
    [said] = [record.getMessage() for record in caplog.records if "is not kept" in record.getMessage()]
    assert "refuses this (permission denied for table verifications)" in said
