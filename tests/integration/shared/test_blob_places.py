"""Where a shared journal keeps its checkpoints: decided once, known to all, and emptied of what is removed."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from support.postgres_server import change, empty_journal

from journal.errors import BlobsUnavailable
from journal.folder import Journal
from journal.opening import open_shared
from journal.shared_blobs.blob_places import decide
from journal.shared_blobs.shared_store import NOTE

NOBODY = "nobody has said where postgresql://"


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    with open_shared(url) as opened:
        yield opened


def put(journal: Journal, content: bytes, state: str = "present") -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    journal.shared_blobs.put(io.BytesIO(content), sha256, len(content))
    row = {"sha256": sha256, "size": len(content), "state": state}
    with journal.begin() as connection:
        connection.execute(text("INSERT INTO blobs VALUES (:sha256, :size, :state, '2026-01-01T00:00:00.000Z')"), row)
    return sha256


def facts(journal: Journal) -> list[str]:
    with journal.begin(read_only=True) as connection:
        return list(connection.execute(text("SELECT value FROM facts WHERE name = 'blobs'")).scalars())


def test_as_long_as_nothing_is_decided_nothing_is_missing(journal: Journal) -> None:
    assert journal.blobs.names() == []
    for attempt in (lambda: journal.blobs.find("0" * 64), lambda: put(journal, b"weights")):
        with pytest.raises(BlobsUnavailable, match=NOBODY):
            attempt()


def test_it_is_decided_once_and_known_to_whoever_has_the_journal_open(
    url: str, journal: Journal, tmp_path: Path
) -> None:
    place = str(tmp_path / "shared")
    with open_shared(url) as other:
        with pytest.raises(BlobsUnavailable, match=NOBODY):
            other.blobs.find("0" * 64)
        assert journal.shared_blobs.decide(place) == journal.shared_blobs.decide(f"{place}/") == place
        sha256 = put(journal, b"weights")
        with other.blobs.find(sha256).open("rb") as file:
            assert file.read(10) == b"weights"
        with pytest.raises(ValueError, match=f"keeps its checkpoints in {place}, which is decided once"):
            other.shared_blobs.decide(str(tmp_path / "elsewhere"))
    with journal.begin() as connection:
        assert decide(connection, str(tmp_path / "elsewhere")) == place  # of two at the same moment, the later one
    assert (facts(journal), (tmp_path / "elsewhere").exists()) == ([place], False)


def test_a_place_that_cannot_be_used_is_not_decided_on(journal: Journal, tmp_path: Path) -> None:
    with empty_journal() as another, open_shared(another) as other:
        other.shared_blobs.decide(str(tmp_path / "others"))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / NOTE).write_text("{")
    for place, why in (("others", "another journal"), ("not/mounted", "as /.*/not is not there"), ("torn", "damaged")):
        with pytest.raises(BlobsUnavailable, match=why):
            journal.shared_blobs.decide(str(tmp_path / place))
    with pytest.raises(ValueError, match="credentials do not belong"):
        journal.shared_blobs.decide("s3://key:s3cret@bucket/blobs")
    assert facts(journal) == []


def test_what_is_removed_goes_from_the_store_a_few_at_a_time(journal: Journal, tmp_path: Path) -> None:
    journal.shared_blobs.decide(str(tmp_path / "shared"))
    for number in range(45):
        put(journal, b"gone %d" % number, "removed")
    kept = put(journal, b"kept")
    journal._sweep()
    assert journal.blobs.names() == [kept]
    assert sorted(file.name for file in (tmp_path / "shared").iterdir()) == sorted([NOTE, kept])


def test_a_journal_in_a_file_has_them_in_its_folder(tmp_path: Path) -> None:
    import journal as package

    with package.open(tmp_path / "journal") as opened:
        assert opened.shared_blobs is None
        assert opened.blobs is opened.local_blobs


def test_one_that_was_named_wrongly_is_corrected_as_the_page_says(url: str, tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "scale-out.md").read_text("utf-8")
    [correct, forget] = re.findall(r"^psql \S+ -c \"(.+ name = 'blobs')\"", page, re.MULTILINE)
    wrong, right = tmp_path / "wrong", tmp_path / "right"
    with open_shared(url) as opened:
        opened.shared_blobs.decide(str(wrong))
        sha256 = put(opened, b"weights")
    wrong.rename(right)
    change(url, correct.replace("s3://lab-checkpoints/uploader", str(right)), ())
    with open_shared(url) as opened:
        assert opened.blobs.names() == [sha256]
    change(url, forget, ())
    with open_shared(url) as opened:
        assert opened.shared_blobs.decide(str(tmp_path / "new")) == str(tmp_path / "new")
