"""The table of `uploader status`: as many columns as fit the terminal, and no cell broken over two lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from uploader.commands.screen import STATE_STYLES, Line
from uploader.commands.status_rows import Row
from uploader.commands.terminal_text import width as width_of
from uploader.reports.standing import Standing

_GAP = 2
_SHORTEST_NAME = 16
_LONGEST_NAME = 80  # also in a file or a pipe, which have room for any: one name would widen the lines of all
_STANDINGS = {Standing.TROUBLE: "bold red", Standing.WAITING: "yellow", Standing.DELIVERED: "green"}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: Its head.
        cell: What it says of a run.
        style: How that looks, in rich's words.
        dropped: When it goes where the terminal is narrow: the highest first; 0 for never.
    """

    title: str
    cell: Callable[[Row], str]
    style: Callable[[Row], str] = lambda _: ""
    dropped: int = 0


def table(rows: Sequence[Row], width: int) -> list[Line]:
    """Return the lines of the table, its head first.

    Args:
        rows: The runs.
        width: Columns of the terminal.
    """
    columns = [one for one in _columns(rows) if any(one.cell(row) for row in rows)]
    while (room := width - _width(columns, rows)) < 0 and (least := max(columns, key=lambda one: one.dropped)).dropped:
        columns.remove(least)
    names = _names(rows, room)
    widths = [max(len("RUN"), *map(width_of, names)), *(_cells(column, rows) for column in columns)]
    titles = _line("RUN", "dim", [(column.title, "dim") for column in columns], widths)
    cells = ([(column.cell(row), column.style(row)) for column in columns] for row in rows)
    lines = (_line(name, _mark(row), each, widths) for name, row, each in zip(names, rows, cells, strict=True))
    return [titles, *lines]


def _columns(rows: Sequence[Row]) -> Sequence[Column]:
    metrics = {_metric(row) for row in rows if row.metric}
    shared = metrics.pop() if len(metrics) == 1 else ""
    return (
        Column("STATE", lambda row: row.state, lambda row: STATE_STYLES.get(row.state, "")),
        Column("EPOCHS", lambda row: row.epochs, dropped=1),
        Column(
            shared or "METRIC", lambda row: row.value if shared else f"{_metric(row)} {row.value}".strip(), dropped=3
        ),
        Column("SEEN", lambda row: row.seen, dropped=2),
        Column("DELIVERY", lambda row: row.delivery, lambda row: _STANDINGS.get(row.standing, "")),
        Column("PLATFORM", lambda row: row.platform, dropped=4),
        Column("LINK", lambda row: row.page, dropped=5),
    )


def _width(columns: Sequence[Column], rows: Sequence[Row]) -> int:
    """Return how wide the table is at least."""
    shortest = min(_SHORTEST_NAME, max(width_of(row.name) for row in rows))
    return shortest + sum(_GAP + _cells(column, rows) for column in columns)


def _cells(column: Column, rows: Sequence[Row]) -> int:
    return max(width_of(column.title), *(width_of(column.cell(row)) for row in rows))


def _names(rows: Sequence[Row], room: int) -> list[str]:
    """Return the runs' names, none wider than there is room for beyond the shortest."""
    longest = max(len("RUN"), min(_SHORTEST_NAME, max(width_of(row.name) for row in rows)) + max(room, 0))
    return [_shortened(row.name, min(longest, _LONGEST_NAME)) for row in rows]


def _metric(row: Row) -> str:
    return _shortened(row.metric, _LONGEST_NAME // 2)


def _shortened(name: str, longest: int) -> str:
    """Return a name without its project, or without its middle, where it is too long."""
    if width_of(name) <= longest or width_of(name := name.rpartition("/")[2]) <= longest:
        return name
    end = (longest - 2) * 2 // 3  # what tells runs apart is mostly at the end: train-17
    return f"{_beginning(name, longest - 2 - end)}..{_beginning(name[::-1], end)[::-1]}"


def _beginning(name: str, longest: int) -> str:
    while width_of(name) > longest:
        name = name[:-1]
    return name


def _mark(row: Row) -> str:
    page = f"link {row.page}" if row.page else ""
    return f"{'bold red ' if row.standing is Standing.TROUBLE else ''}{page}".strip()


def _line(name: str, style: str, cells: Sequence[tuple[str, str]], widths: Sequence[int]) -> Line:
    parts = [(name, style), *cells]
    gaps = [*(" " * (width - width_of(text) + _GAP) for (text, _), width in zip(parts, widths, strict=True))]
    gaps[-1] = ""
    return Line(tuple(each for part, gap in zip(parts, gaps, strict=True) for each in (part, (gap, ""))))
