"""What SQLite and PostgreSQL write differently, said once.

All statements of this package are written for both. Most differences are bridged in PostgreSQL, by functions there with
the names and meanings of SQLite's (`journal/postgres/0001_initial.sql`); these cannot be.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Connection, Insert, bindparam, cast, func, select
from sqlalchemy.dialects.sqlite.dml import Insert as _SqliteInsert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ColumnElement, FromClause
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import String, Text


class Upsert(_SqliteInsert):
    """An INSERT with what to do where the row is there already; the two have the same words for it."""

    inherit_cache = True

    def on_conflict_do_nothing(self, *arguments: Any, **named: Any) -> Upsert:
        """Leave the row that is there as it is."""
        return _for_both(super().on_conflict_do_nothing(*arguments, **named))

    def on_conflict_do_update(self, *arguments: Any, **named: Any) -> Upsert:
        """Change the row that is there."""
        return _for_both(super().on_conflict_do_update(*arguments, **named))


def _for_both(made: Any) -> Upsert:
    made._post_values_clause.constraint_target = None  # PostgreSQL's compiler looks whether a constraint is named
    changed: Upsert = made
    return changed


def upsert(table: FromClause) -> Upsert:
    """Return the INSERT into a table, to which `on_conflict_…` adds what happens to a row that is there."""
    return Upsert(table)  # type: ignore[arg-type]  # as `sqlalchemy.insert` takes it


def is_in_a_file(connection: Connection) -> bool:
    """Return whether the journal is in a file, so that its trainings run here; else many machines share it."""
    return connection.dialect.name == "sqlite"


def inserted_id(connection: Connection, statement: Insert, table: FromClause) -> int:
    """Insert one row; return the id that it was given.

    The SQLite of old clusters cannot answer an INSERT with rows, and PostgreSQL has no other way.
    """
    if is_in_a_file(connection):
        return int(connection.execute(statement).lastrowid)
    return int(connection.execute(statement.returning(table.c.id)).scalar_one())


def number(text: str) -> str:
    """Return the SQL for the number that a text begins with, 0 where it begins with none; NULL of NULL.

    Args:
        text: SQL for the text, or for a value of JSON that may be a number.
    """
    return f"CAST(round({text}) AS BIGINT)"


def begins_with_digit(text: str) -> str:
    """Return the condition, in SQL, that a text begins with a digit.

    Args:
        text: SQL for the text.
    """
    return f"substr({text}, 1, 1) BETWEEN '0' AND '9'"


class larger(FunctionElement[Any]):  # noqa: N801 - a function
    """The larger of two values."""

    inherit_cache = True


@compiles(larger)
def _larger(element: larger, compiler: SQLCompiler, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


@compiles(larger, "postgresql")
def _larger_there(element: larger, compiler: SQLCompiler, **options: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


def is_named(column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """Return the condition that a column's value is one of a JSON list: one parameter, so one statement for all.

    Args:
        column: Of text, or of numbers.
        parameter: Name of the parameter that is the list.
    """
    value = func.json_each(bindparam(parameter)).table_valued("value").c.value
    return column.in_(select(value if isinstance(column.type, String) else cast(value, BigInteger)))


class json_list(FunctionElement[str]):  # noqa: N801 - a function
    """The values of all rows as a JSON list, in one order with the other lists of a statement; NULL of no rows."""

    type = Text()
    inherit_cache = True


@compiles(json_list)
def _json_list(element: json_list, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_group_array({compiler.process(element.clauses, **options)})"


@compiles(json_list, "postgresql")
def _json_list_there(element: json_list, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(json_agg({compiler.process(element.clauses, **options)}) AS TEXT)"


class json_texts(FunctionElement[str]):  # noqa: N801 - a function
    """The same of values that are JSON texts; NULL of no rows."""

    type = Text()
    inherit_cache = True


@compiles(json_texts)
def _json_texts(element: json_texts, compiler: SQLCompiler, **options: Any) -> str:
    return f"'[' || group_concat({compiler.process(element.clauses, **options)}) || ']'"


@compiles(json_texts, "postgresql")
def _json_texts_there(element: json_texts, compiler: SQLCompiler, **options: Any) -> str:
    return f"'[' || string_agg({compiler.process(element.clauses, **options)}, ',') || ']'"
