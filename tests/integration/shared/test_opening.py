"""A journal in a PostgreSQL database: made, opened again, and refused where a later version has made it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from support.postgres_server import shared_journal

from journal.errors import JournalAway, JournalError, JournalUnwritable, NewerJournal
from journal.opening import open_shared
from journal.postgres import postgres_steps
from journal.schema import tables

psycopg = pytest.importorskip("psycopg")


def test_is_made_once_by_many_and_stays_the_same() -> None:
    url = shared_journal()

    def uuid(_: int) -> str | None:
        with open_shared(url) as journal:
            return journal.uuid

    with ThreadPoolExecutor(4) as threads:
        uuids = set(threads.map(uuid, range(4)))

    assert len(uuids) == 1
    assert None not in uuids


def test_of_the_first_version_is_brought_up_to_date_by_who_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    url, [first, *_] = shared_journal(), postgres_steps._steps()
    with monkeypatch.context() as then:
        then.setattr(postgres_steps, "NEWEST_VERSION", 1)
        then.setattr(postgres_steps, "_steps", lambda: [first])
        views = {name: select.replace("m.atom", "m.value") for name, select in tables.VIEWS.items()}
        then.setattr(postgres_steps, "VIEWS", views)
        with open_shared(url) as journal, journal.begin() as connection:
            connection.execute(text("INSERT INTO facts VALUES ('kept', 'as it was')"))

    with pytest.raises(JournalError, match="schema version 1, this version reads 2; `collect` or a drain"):
        open_shared(url, make=False)
    with open_shared(url) as journal, journal.begin() as connection:
        assert connection.execute(text("SELECT value FROM facts WHERE name = 'kept'")).scalar() == "as it was"
        assert connection.execute(text("SELECT sum(value) FROM metrics")).scalar() is None  # it is of numbers
        versions = connection.execute(text("SELECT version FROM schema_migrations ORDER BY version")).scalars()
        assert [*versions] == [1, 2]


def test_of_a_later_version_is_refused() -> None:
    url = shared_journal()
    with open_shared(url) as journal, journal.begin() as connection:
        connection.execute(text("INSERT INTO schema_migrations VALUES (1000, 'later', '')"))

    with pytest.raises(NewerJournal, match="schema version 1000"):
        open_shared(url)


def test_says_what_is_wrong_without_the_password() -> None:
    url = shared_journal()
    with pytest.raises(JournalUnwritable, match="no_such_database"):
        open_shared(url.replace("/journal_", "/no_such_database_"))
    with pytest.raises(JournalAway, match="cannot be reached") as away:
        open_shared("postgresql://somebody:hidden@127.0.0.1:1/database")
    assert "hidden" not in str(away.value)
    with pytest.raises(JournalError, match="names no database"):
        open_shared("postgresql://127.0.0.1")


@pytest.mark.parametrize("make", [True, False])
def test_what_somebody_else_keeps_in_a_schema_of_that_name_is_left(*, make: bool) -> None:
    url = shared_journal()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA uploader")
        connection.execute("CREATE TABLE uploader.runs (mine INTEGER)")
    with pytest.raises(JournalUnwritable, match="has a schema uploader that is no journal's"):
        open_shared(url, make=make)


def test_who_may_not_make_the_tables_is_told_who_does() -> None:
    url = shared_journal()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE ROLE newcomer LOGIN")
        try:
            connection.commit()
            with pytest.raises(JournalUnwritable, match="this user may not make its tables; let the owner"):
                open_shared(url.replace("//postgres", "//newcomer", 1))
        finally:
            connection.execute("DROP ROLE newcomer")
