"""A new kind of events takes a row in `kinds.py`, who records it, and the planner of a platform that is sent it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# What a person would write. The third file is the one that records it: `RECORDS`.
CHANGED = {
    "journal/kinds.py": (
        "        Kind(BATCH),\n",
        '        Kind(BATCH),\n        Kind("sample", superseded_by="key", evicted_as="samples"),\n',
    ),
    "uploader/platforms/ultralytics/planner.py": ("MESSAGES = frozenset({", 'MESSAGES = frozenset({"sample", '),
}
RECORDS = """
import json, sys
from contextlib import closing
from pathlib import Path
from support.journals import backlog, bench
from journal.sessions import order
from uploader.platforms.ultralytics.planner import plan

with bench(Path(sys.argv[1])) as at:
    later = at.writer.start_session(at.run.id)
    first, newer = (at.writer.append(at.run.id, later, "sample", {"text": "x" * 50_000}, key) for key in "12")
    late = at.event("sample", {}, "1")  # of the older session: the newer one has told of the same
    other = at.event("sample", {}, "3")
    events = backlog(at.outbox, at.run.id, after=0, limit=10).events
    with at.outbox.begin(read_only=True) as connection:
        overtaken = order.overtaken(connection, at.run.id, events, None)
    told = {
        "planned": [delivery.kind for delivery in plan(events, 0).deliveries],
        "overtaken": [event == late for event in sorted(overtaken)],
        "unplanned": at.journal.report()[0].targets[0].unplanned,
    }
    with closing(at.journal.writer()) as writer:
        writer.space(at.writer.size().total - 60_000).for_events()
    told["left"] = [event.key for event in backlog(at.outbox, at.run.id, after=0, limit=10).events if event.id <= other]
    told["lost"] = [
        item["what"]
        for event in backlog(at.outbox, at.run.id, after=0, limit=10, kinds=["given_up"]).events
        for item in json.loads(event.payload)["items"]
    ]
    print(json.dumps(told))
"""


def test_a_new_kind_takes_three_files(tmp_path: Path) -> None:
    for package in ("journal", "uploader"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (before, after) in CHANGED.items():
        source = (tmp_path / name).read_text("utf-8")
        assert before in source
        (tmp_path / name).write_text(source.replace(before, after, 1), "utf-8")
    assert len(CHANGED) + 1 <= 3
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", RECORDS, str(tmp_path / "at" / "journal")]
    told = json.loads(subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    assert told == {
        "planned": ["sample"] * 4,
        "overtaken": [True],
        "unplanned": 4,
        "left": ["1", "3"],
        "lost": ["samples"],
    }
