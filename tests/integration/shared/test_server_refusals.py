"""What a server refuses, and why, is said with the next step, by all commands alike; `doctor` says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.journals import bench
from support.postgres_server import change

from journal.errors import JournalAway, JournalReadOnly
from uploader.__main__ import main
from uploader.commands.drain_runner import Ended


@pytest.fixture
def node(tmp_path: Path) -> Path:
    with bench(tmp_path / "node") as at:
        at.event("training_started")
        return at.journal.path


@pytest.fixture
def read_only(url: str) -> Iterator[str]:
    name = re.search(r"/(journal_\d+)", url)
    assert name
    change(url, f"ALTER DATABASE {name[1]} SET default_transaction_read_only = on", [])
    yield url
    other = re.sub(r"/journal_\d+", "/postgres", url)
    change(other, f"ALTER DATABASE {name[1]} RESET default_transaction_read_only", [])


@pytest.fixture
def stranger(url: str) -> Iterator[str]:
    """The URL for a user without any right."""
    change(url, "CREATE ROLE stranger LOGIN", [])
    yield url.replace("//postgres", "//stranger", 1)
    change(url, "DROP ROLE stranger", [])


def told(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


def found_by_doctor(url: str) -> str:
    code, printed = told("doctor", "--journal", url, "--json")
    [finding] = json.loads(printed)["findings"]
    assert code == 1
    code, printed = told("doctor", "--journal", url)
    assert printed.count(finding["detail"]) == printed.count(finding["next_step"]) == 1
    assert "0 events" not in printed or finding["code"] == "server-read-only"
    return f"{finding['detail']}; {finding['next_step']}"


def test_a_database_that_takes_no_writes_is_no_primary(read_only: str, node: Path) -> None:
    code, printed = told("collect", str(node), "--into", read_only)
    assert code == 1
    assert "is a standby, or read-only (cannot execute" in printed
    assert "name the primary server" in printed
    assert "is a standby, or this database is read-only" in found_by_doctor(read_only)
    assert told("status", "--journal", read_only)[0] == 0  # it only looks


def test_a_drain_of_a_standby_ends_as_one_of_a_journal_that_cannot_be_used() -> None:
    ends = [Ended(Path("/journal"), error).exit_code for error in (JournalReadOnly("x"), JournalAway("x"))]
    assert ends == [1, 3]


def test_a_user_without_rights_is_told_which(stranger: str) -> None:
    code, printed = told("status", "--journal", stranger)
    assert code == 1
    assert "refuses this (permission denied for schema uploader); docs/scale-out.md names the rights" in printed
    assert "first of all USAGE on the schema uploader" in printed
    assert "first of all USAGE on the schema" in found_by_doctor(stranger)


def test_who_may_not_come_in_is_told_so(url: str, stranger: str) -> None:
    change(url, "ALTER ROLE stranger NOLOGIN", [])
    for named in (stranger, url.replace("//postgres", "//nobody", 1)):
        code, printed = told("status", "--journal", named)
        assert code == 1
        assert "does not let us in" in printed
        assert "check the user, that it may log in" in printed


def test_a_database_that_is_not_there_is_to_be_made(url: str, node: Path) -> None:
    none = re.sub(r"/journal_\d+", "/none_1", url)
    for arguments in (["status", "--journal", none], ["collect", str(node), "--into", none]):
        code, printed = told(*arguments)
        assert code == 1
        assert "make it on its server: createdb none_1" in printed
    assert "createdb none_1" in found_by_doctor(none)
