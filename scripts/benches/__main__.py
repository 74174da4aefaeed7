"""The command line: run the chosen benches, print their results, and store them."""

from __future__ import annotations

import argparse
import importlib
import tempfile
from pathlib import Path

from benches import machine, report
from benches.measure import Result, Setting

BENCHES = (
    "append",
    "callback",
    "training",
    "checkpoint",
    "drain",
    "startup",
    "proof",
    "memory",
    "upload",
    "restore",
    "dashboard",
    "scale",
)
# Survives a reboot by its definition, so it is a disk: on a tmpfs, as /tmp often is, an fsync costs nothing.
DISK = "/var/tmp"
DOCUMENT = machine.ROOT / "docs" / "performance.md"


def main() -> None:
    """Run the benches that the command line names."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the figures of docs/performance.md.")
    parser.add_argument("bench", nargs="*", help=f"what to measure: {', '.join(BENCHES)}; by default all")
    parser.add_argument("--folder", type=Path, default=Path(DISK), help=f"measure on this disk (default {DISK})")
    parser.add_argument("--quick", action="store_true", help="a single round, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--write", action="store_true", help="update the figures in docs/performance.md")
    options = parser.parse_args()
    if unknown := set(options.bench) - set(BENCHES):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    if options.quick and options.write:
        parser.error("figures from --quick mean nothing and must not be written")

    facts = machine.facts(options.folder.resolve())
    print(*(f"{fact}: {value}" for fact, value in facts.items()), sep="\n")
    results = {name: _run(name, options.folder, options.quick) for name in options.bench or BENCHES}
    if options.json:
        options.json.write_text(report.as_json(results, facts), "utf-8")
    if options.write:
        report.write_sections(DOCUMENT, results, facts)


def _run(name: str, disk: Path, quick: bool) -> Result:
    print(f"\n=== {name}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="uploader-bench-", dir=disk) as folder:
        result: Result = importlib.import_module(f"benches.{name}").run(Setting(Path(folder), quick))
    print(report.as_markdown(result), flush=True)
    return result


if __name__ == "__main__":
    main()
