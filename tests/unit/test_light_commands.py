"""Which commands start without the modules that are slow to import: those that read no journal, and all help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from uploader.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = "asyncio numpy requests rich sqlalchemy sqlite3 starlette torch ultralytics urllib3".split()
LIGHT = [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS), ["where"]]
CODE = """
import json, sys
from click.testing import CliRunner
from uploader.__main__ import main
light, heavy = map(json.loads, sys.argv[1:])
for arguments in light:
    ended = CliRunner().invoke(main, arguments)
    print(json.dumps([arguments, ended.exit_code, sorted(sys.modules.keys() & set(heavy))]), flush=True)
"""


def test_help_and_what_reads_no_journal_import_nothing_heavy(tmp_path: Path) -> None:
    """All in one process: none may import what the others do without."""
    command = [sys.executable, "-c", CODE, json.dumps(LIGHT), json.dumps(HEAVY)]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert told == [[arguments, 0, []] for arguments in LIGHT]


def test_a_drain_of_a_journal_in_a_file_imports_nothing_of_shared_ones(tmp_path: Path) -> None:
    code = """
import sys, uploader, uploader.recorder
from click.testing import CliRunner
from uploader.__main__ import main
import journal
with journal.open(sys.argv[1]) as opened:
    writer = opened.writer()
    run = writer.start_run(project="p", name="n", save_dir=sys.argv[1])
    writer.append(run.id, writer.start_session(run.id), "epoch_end", {"epoch": 0}, "0")
    writer.close()
ended = CliRunner().invoke(main, ["drain", "--journal", sys.argv[1]])
shared = "journal.object_stores.object_client", "journal.postgres", "journal.shared_blobs", "obstore", "psycopg"
print(ended.exit_code, sorted(name for name in shared if name in sys.modules), flush=True)
"""
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code, str(tmp_path / "journal")]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == "5 []\n"
