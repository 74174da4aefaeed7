"""Train a model of each task, recorded and delivered; compare its numbers wherever they are shown.

These are the journal's; those of `export` (CSV, results.csv beside the trainer's own, the page as one file); and those
of the pages of `view` and of the local platform, as data and, where there is a Chromium, as a person reads them.

python -m pages [TASK...]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from imports.task_data import MODELS, data_for

import uploader
from pages.numbers import Numbers, differences, of_journal, of_source
from pages.reading import read_pages
from uploader.platforms.registry import DEFAULT
from uploader.server.running import running
from uploader.viewing.journal_source import JournalSource
from uploader.viewing.serving import serving

ROOT = Path(__file__).parents[2]
KEY = "k" * 40


def main() -> None:
    tasks = sys.argv[1:] or list(MODELS)
    with tempfile.TemporaryDirectory(prefix="pages-") as name:
        failed = [task for task in tasks if not _is_same(task, Path(name) / task)]
    sys.exit(f"different: {', '.join(failed)}" if failed else 0)


def _is_same(task: str, folder: Path) -> bool:
    folder.mkdir()
    data, run = data_for(task, folder / "data"), folder / "runs" / task / "train"
    _python(folder, "imports.trains", task, data, run, folder / "journal")
    numbers = of_journal(folder / "journal")
    found = [*_exported(folder, run, numbers), *_shown(folder, numbers)]
    print(f"{task}: {f'same, {len(numbers.epochs)} metrics' if not found else ''}")
    print("".join(f"  {line}\n" for line in found), end="", flush=True)
    return not found


def _exported(folder: Path, run: Path, numbers: Numbers) -> Iterator[str]:
    """Yield what the exports have otherwise."""
    journal = folder / "journal"
    yield from differences("export csv", numbers, Numbers.of_csv(_export(folder, journal, "csv")))
    own, ours = (run / "results.csv").read_text(), _export(folder, journal, "results.csv")
    kept = [name.strip() for name in ours.splitlines()[0].split(",")]
    rows = [dict(zip(own.splitlines()[0].split(","), line.split(","), strict=True)) for line in own.splitlines()[1:]]
    theirs = [",".join(kept), *(",".join(row[name] for name in kept) for row in rows)]
    if theirs != ours.splitlines():
        yield "export results.csv: not the trainer's own file"


def _shown(folder: Path, numbers: Numbers) -> Iterator[str]:
    """Yield what the pages have otherwise."""
    source = JournalSource(folder / "journal")
    key = uploader.open(folder / "journal").run("latest").id
    yield from differences("view, data", numbers, of_source(source.news(key)))
    with serving(source, "token") as address, running(folder / "platform", api_key=KEY) as platform:
        environment = {DEFAULT.url_variable: platform.url, DEFAULT.key_variable: KEY}
        _python(folder, "uploader", "drain", "--journal", folder / "journal", **environment)
        file = folder / "page.html"
        file.write_text(_export(folder, folder / "journal", "html"), "utf-8")
        places = {
            "view": address.replace("/?", f"/runs/{key}?"),
            "serve": uploader.open(folder / "journal").run("latest").times().models[0],
            "export html": file.as_uri(),
        }
        for place, read in read_pages(places):
            yield from differences(f"{place}, page", numbers.as_read(), read)


def _export(folder: Path, journal: Path, how: str) -> str:
    out = folder / f"exported.{how}"
    _python(folder, "uploader", "export", "latest", "--journal", journal, "--format", how, "-o", out, "--force")
    return out.read_text("utf-8")


def _python(folder: Path, module: str, *arguments: object, **more: str) -> None:
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(folder / "config"), **more}
    with (folder / "log").open("a") as output:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        subprocess.run(command, env=environment, cwd=ROOT, stdout=output, stderr=output, check=True)


if __name__ == "__main__":
    main()
