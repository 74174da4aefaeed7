"""What a person sees of an upload."""

from __future__ import annotations

import subprocess
import sys

from support.journals import ROOT

# Every step is drawn, not only one in a tenth of a second.
UPLOAD = """
import functools
import tqdm
tqdm.tqdm.__init__ = functools.partialmethod(tqdm.tqdm.__init__, mininterval=0, miniters=0)
from uploader.commands.progress_bars import Bars
bars = Bars()
with bars.upload("train/best.pt", 200) as sent:
    for size in (50, 150, 200, 0, 100):  # in the middle a new attempt begins
        sent(size)
bars.settled(1)
bars.close()
"""


def test_an_upload_has_a_bar_that_fills() -> None:
    command = [sys.executable, "-c", UPLOAD]
    drawn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr
    told = [part for part in drawn.splitlines() if part.startswith("train/best.pt")]
    assert [part.partition("%")[0].split()[-1] for part in told] == ["0", "25", "75", "100", "0", "50"]
    assert "deliveries" in drawn
