"""The rights that docs/scale-out.md names are enough for whoever collects into a shared journal and drains it."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

from support.journals import PLATFORM, ROOT, URL, Bench, writer_of
from support.postgres_server import empty_journal

from journal.doctor import examine_shared
from journal.opening import open_shared
from journal.records import Outcome

SCALE_OUT = (ROOT / "docs" / "scale-out.md").read_text("utf-8")


def _statements(role: str) -> list[str]:
    """Return what the page has a database's owner run for a role."""
    blocks = re.findall(r"```sql\n(.*?)```", SCALE_OUT, re.DOTALL)
    [block] = [one for one in blocks if f"CREATE ROLE {role} " in one]
    return [one.strip() for one in block.replace("FOR ROLE uploader ", "").split(";") if one.strip()]


def test_a_worker_collects_plans_claims_and_settles(tmp_path: Path) -> None:
    with empty_journal() as url:
        with open_shared(url) as owned, owned.begin() as connection:
            for one in _statements("worker"):
                connection.exec_driver_sql(one)
        try:
            worker = url.replace("//postgres", "//worker", 1)
            with open_shared(worker) as opened, closing(opened.outbox()) as outbox:
                writer = writer_of(opened)
                run = writer.start_run(project="demo", name="run", save_dir=str(tmp_path))
                session = writer.start_session(run.id)
                destination = outbox.routes.add_destination(PLATFORM, URL)
                outbox.routes.add(run.id, destination.id)
                at = Bench(opened, writer, outbox, run, session, destination)
                at.register()
                at.plan(at.message(stage=2))
                at.record(*(Outcome(claim, "delivered") for claim in at.claim()))
                assert [each.delivered for each in opened.report()[0].targets] == [2]
                outbox.drains.beat("id", host="h", pid=1, version="", told="{}", now=outbox.now())
                outbox.drains.end("id")
            assert not {one.code for one in examine_shared(worker).findings} & {"rights-missing", "read-only"}
        finally:
            with open_shared(url) as owned, owned.begin() as connection:
                connection.exec_driver_sql("DROP OWNED BY worker")
                connection.exec_driver_sql("DROP ROLE worker")
