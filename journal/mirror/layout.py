"""How the objects of a mirror are named: by what they hold, so that a name is never used for two contents.

uploader-mirror.json                                          what this is, for whoever finds it
runs/<run>/<session>/<first>-<last>-<digest>.jsonl.gz         a segment
runs/<run>/results/<digest>.json                              what platforms have answered
blobs/<sha256>                                                a small checkpoint's bytes
blobs/<sha256>.json                                           the list of a checkpoint's parts
parts/<sha256>/<number>-<digest>                              a part of it
forgotten/<run>.json                                          a note that a person had the run deleted here
"""

from __future__ import annotations

import re
from typing import NamedTuple

RUNS = "runs/"
BLOBS = "blobs/"
PARTS = "parts/"
FORGOTTEN = "forgotten/"

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SEGMENT = re.compile(rf"runs/({_UUID})/({_UUID})/(\d{{1,16}})-(\d{{1,16}})-([0-9a-f]{{32}})\.jsonl\.gz")
_RESULTS = re.compile(rf"runs/({_UUID})/results/([0-9a-f]{{32}})\.json")
_BLOB = re.compile(r"blobs/([0-9a-f]{64})")
_FORGOTTEN = re.compile(rf"forgotten/({_UUID})\.json")
_LIST = re.compile(r"blobs/([0-9a-f]{64})\.json")
_PART = re.compile(r"parts/([0-9a-f]{64})/\d{1,6}-[0-9a-f]{32}")


class SegmentName(NamedTuple):
    """What the name of a segment says.

    Attributes:
        run: Uuid of the run.
        session: Uuid of the session.
        first: Number of its first event.
        last: Number of its last event; it has all between the two.
        digest: The first half of the sha256 of its content, uncompressed.
    """

    run: str
    session: str
    first: int
    last: int
    digest: str

    def __str__(self) -> str:
        """Return the name."""
        return f"{RUNS}{self.run}/{self.session}/{self.first}-{self.last}-{self.digest}.jsonl.gz"

    def covers(self, other: SegmentName) -> bool:
        """Return whether it has all the events of another segment of its session."""
        return self.first <= other.first and other.last <= self.last

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """Return what a name says; None when it is not a segment's."""
        found = _SEGMENT.fullmatch(name)
        return cls(found[1], found[2], int(found[3]), int(found[4]), found[5]) if found else None


class ResultsName(NamedTuple):
    """What the name of a run's results says.

    Attributes:
        run: Uuid of the run.
        digest: The first half of the sha256 of their content.
    """

    run: str
    digest: str

    def __str__(self) -> str:
        """Return the name."""
        return f"{RUNS}{self.run}/results/{self.digest}.json"

    @classmethod
    def parse(cls, name: str) -> ResultsName | None:
        """Return what a name says; None when it is not that of results."""
        found = _RESULTS.fullmatch(name)
        return cls(found[1], found[2]) if found else None


def blob_name(sha256: str) -> str:
    """Return the name of a checkpoint's bytes."""
    return f"{BLOBS}{sha256}"


def parse_blob(name: str) -> str | None:
    """Return the sha256 that a name says; None when it is not that of a checkpoint's bytes."""
    found = _BLOB.fullmatch(name)
    return found[1] if found else None


def forgotten_name(run: str) -> str:
    """Return the name of the note that a run was forgotten."""
    return f"{FORGOTTEN}{run}.json"


def parse_forgotten(name: str) -> str | None:
    """Return the run that a name says was forgotten; None when it is not that of such a note."""
    found = _FORGOTTEN.fullmatch(name)
    return found[1] if found else None


def list_name(sha256: str) -> str:
    """Return the name of the list of a checkpoint's parts."""
    return f"{BLOBS}{sha256}.json"


def parse_list(name: str) -> str | None:
    """Return the sha256 that a name says; None when it is not that of a list of parts."""
    found = _LIST.fullmatch(name)
    return found[1] if found else None


def parts_of(sha256: str) -> str:
    """Return how the names of a checkpoint's parts begin."""
    return f"{PARTS}{sha256}/"


def part_name(sha256: str, number: int, digest: str) -> str:
    """Return the name of a part, which is counted from 0."""
    return f"{parts_of(sha256)}{number}-{digest}"


def parse_part(name: str) -> str | None:
    """Return the sha256 of the checkpoint that a part is of; None when the name is not a part's."""
    found = _PART.fullmatch(name)
    return found[1] if found else None
