"""A file that a command prints to: of limited size, whoever prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.journals import ROOT

CODE = """
import os, pathlib, sys
from uploader.commands import log_file
from uploader.commands.hidden_secrets import HiddenSecrets
from uploader.commands.output_streams import tolerant_streams
log_file.LogFile.__init__.__defaults__ = (100,)
secrets = HiddenSecrets(["s3://u:pass@h"])
with tolerant_streams(secrets), log_file.printing_to(pathlib.Path(sys.argv[1])):
    for number in range(20):
        print(f"line {number:2} \\u00e4")
    print("s3:/u:pass@h")
    os.write(2, b"of C\\n")
"""


def test_it_is_renamed_before_it_is_too_long(tmp_path: Path) -> None:
    log = tmp_path / "drain.log"
    log.write_text("before\n")
    done = subprocess.run([sys.executable, "-c", CODE, log], cwd=ROOT, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    older, newer = Path(f"{log}.1").read_text("utf-8"), log.read_text("utf-8")
    assert len(older.encode()) <= 100
    assert (older + newer).endswith("line 18 ä\nline 19 ä\ns3:/u:***@h\nof C\n")
    assert log.stat().st_mode & 0o077 == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["drain.log", "drain.log.1"]
