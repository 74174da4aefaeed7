"""Looking a journal over, and salvaging one that is damaged.

Not on the path that training imports. `examine` changes nothing; `recover_journal` writes a new journal and leaves the
old one; `close_to_others` is the one repair in place.
"""

from __future__ import annotations

from journal.doctor.environment_checks import close_to_others
from journal.doctor.epoch_checks import SALVAGEABLE
from journal.doctor.examination import Examination, examine
from journal.doctor.findings import Finding
from journal.doctor.repair import Recovery, recover_journal
from journal.doctor.row_checks import DAMAGE
from journal.doctor.shared_examination import examine_shared

__all__ = [
    "DAMAGE",
    "SALVAGEABLE",
    "Examination",
    "Finding",
    "Recovery",
    "close_to_others",
    "examine",
    "examine_shared",
    "recover_journal",
]
