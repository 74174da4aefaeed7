"""Results as tables for the terminal, as JSON, and as sections of docs/performance.md."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from benches.measure import Result, Row, Table, Target

HEADINGS = ("", "p50", "p95", "worst", "readings", "ratio")


def as_markdown(result: Result) -> str:
    """Return a result as Markdown that also reads well in a terminal."""
    parts = [_table(table) for table in result.tables]
    parts += ["\n".join(_target(target) for target in result.targets)] if result.targets else []
    parts += ["\n".join(f"- {note}" for note in result.notes)] if result.notes else []
    return "\n\n".join(parts)


def as_json(results: Mapping[str, Result], machine: Mapping[str, str]) -> str:
    """Return results with the machine that they were measured on."""
    found = {name: asdict(result) for name, result in results.items()}
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return json.dumps({"at": when, "machine": dict(machine), "benches": found}, indent=2, ensure_ascii=False)


def write_sections(document: Path, results: Mapping[str, Result], machine: Mapping[str, str]) -> None:
    """Replace the sections of these benches in a document; text outside the markers stays.

    Raises:
        ValueError: The document has no section for a bench.
    """
    text = document.read_text("utf-8")
    for name, result in results.items():
        begin, end = f"<!-- bench {name} -->", f"<!-- end of bench {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        section = "\n\n".join((begin, _origin(name, machine), as_markdown(result), end))
        text, count = pattern.subn(lambda _, section=section: section, text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"{document} has no section between {begin} and {end}")
    document.write_text(text, "utf-8")


def _origin(name: str, machine: Mapping[str, str]) -> str:
    facts = " · ".join(f"{fact} {value}" if fact != "CPU" else value for fact, value in machine.items())
    return f"`scripts/bench {name}`, {datetime.now(timezone.utc):%Y-%m-%d}, {facts}"


def _table(table: Table) -> str:
    cells = [HEADINGS, *(_cells(row) for row in table.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    lines = [_line(cells[0], widths), f"|{rule}|", *(_line(row, widths) for row in cells[1:])]
    return "\n".join([f"**{table.title}** ({table.unit})", "", *lines])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        _figure(row.p50),
        _figure(row.p95),
        _figure(row.worst),
        str(row.count),
        f"{row.ratio:.2f}",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cells[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
    ]
    return f"| {' | '.join(padded)} |"


def _target(target: Target) -> str:
    sign = "≥" if target.at_least else "≤"
    verdict = "met" if target.met else "**missed**"
    return f"- {target.text}: {_figure(target.value)} (target {sign} {_figure(target.limit)}): {verdict}"


def _figure(value: float) -> str:
    """Format with three significant digits; whole numbers from a hundred on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
