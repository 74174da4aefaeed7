"""A training that nobody recorded comes in from its folder: once, with its own times, and nothing is written there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from filelock import FileLock
from support.journals import python
from support.run_folders import ARGUMENTS, BEGAN, HEAD, age, checkpoint, contents, epoch_times, results, row, run_folder

from journal.checkpoints.blobs import digest
from journal.clock import to_text
from journal.errors import JournalBusy
from journal.writing.writer import Writer
from uploader.__main__ import main

Imports = Any
EPOCHS = "SELECT key, created_at FROM events WHERE kind = 'epoch_end' ORDER BY id"


def test_a_finished_training_comes_in_whole(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "runs" / "detect" / "first")
    [told] = imports(tmp_path / "runs")
    assert (told["how"], told["state"], told["steps"], told["checkpoints"]) == ("new", "complete", 3, 1)
    assert imports.rows("SELECT name, save_dir, created_at FROM runs") == [("first", str(folder), to_text(BEGAN))]
    [start] = imports.events("training_started")
    assert start["trainArgs"]["data"] == "coco8.yaml"
    assert start["epochs"] == 3
    assert start["environment"]["gitCommit"] == "0123456789ab"
    assert [each["metrics"]["lr"] for each in imports.events("epoch_end")] == [0.01] * 3
    assert epoch_times(imports.rows(EPOCHS)) == [60, 120, 180]
    [weights] = imports.events("checkpoint")
    assert (weights["role"], weights["epoch"], weights["publish"]) == ("final", 2, True)
    assert weights["sha256"] == digest(folder / "weights" / "best.pt")
    [end] = imports.events("training_complete")
    assert end["results"] == {
        "metrics": {"metrics/mAP50(B)": 0.03, "fitness": 0.03},
        "bestEpoch": 2,
        "bestFitness": 0.03,
    }
    assert imports.rows("SELECT outcome FROM sessions") == [("complete",)]


def test_importing_twice_changes_nothing_and_nothing_is_written_into_the_folder(
    imports: Imports, tmp_path: Path
) -> None:
    folder = run_folder(tmp_path / "run")
    before = contents(folder)
    folder.chmod(0o555)
    imports(folder)
    there = imports.everything()
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "copy"))
    assert [told["how"] for told in [*imports(folder), *imports(moved)]] == ["known", "known"]
    assert imports.everything() == there
    folder.chmod(0o755)
    assert contents(folder) == before


def test_two_journals_that_import_the_same_have_the_same(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    imports(folder)
    other = type(imports)(tmp_path / "other")
    other(folder)
    query = "SELECT s.uuid, e.seq, e.kind, e.key, e.payload FROM events e JOIN sessions s ON s.id = e.session_id"
    assert other.rows(query) == imports.rows(query)


def test_of_a_folder_that_has_grown_what_is_new_is_added(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", epochs=2, total=4)
    [first] = imports(folder)
    assert (first["how"], first["state"], first["checkpoints"]) == ("new", "unknown", 2)
    assert imports.rows("SELECT outcome FROM sessions") == [("exited",)]
    run_folder(folder, epochs=4)
    [told] = imports(folder)
    assert (told["how"], told["run"], told["steps"], told["state"]) == ("grown", first["run"], 2, "complete")
    assert [key for key, _ in imports.rows(EPOCHS)] == ["0", "1", "2", "3"]
    assert epoch_times(imports.rows(EPOCHS)) == [60, 120, 180, 240]
    assert len(imports.events("training_complete")) == 1
    sessions = [start["environment"]["uploaderSession"] for start in imports.events("training_started")]
    assert [session["generation"] for session in sessions] == [1, 2]
    assert [told["how"] for told in imports(folder)] == ["known"]


def test_a_training_at_work_is_told_and_its_rest_comes_later(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", epochs=2, total=3)
    with (folder / "results.csv").open("a") as opened:
        opened.write(row(3)[:9])  # is being written at this moment
    done = CliRunner().invoke(main, ["import", str(folder), "--journal", str(imports.journal)])
    assert done.exit_code == 0
    assert "2 epochs, 2 checkpoints; it seems to be trained still: import it again later" in done.output
    assert "training_complete" not in dict(imports.rows("SELECT kind, key FROM events"))
    run_folder(folder, epochs=3)
    assert [(told["how"], told["steps"]) for told in imports(folder)] == [("grown", 1)]


def test_an_epoch_that_was_trained_again_counts_as_it_was_last(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    resumed = row(2, 30.0, shift=0.5) + row(3, 60.0, shift=0.5)
    (folder / "results.csv").write_text(results(3) + resumed)
    age(folder)
    [told] = imports(folder)
    assert told["steps"] == 3
    assert [each["metrics"]["train/box_loss"] for each in imports.events("epoch_end")] == [
        1,
        1.0,
        pytest.approx(0.8333, abs=1e-4),
    ]
    assert epoch_times(imports.rows(EPOCHS)) == [0, 150, 180]


def test_a_tree_comes_in_run_by_run(imports: Imports, tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b/c", "b/d"), 2):
        run_folder(tmp_path / "runs" / name, epochs=number, arguments=ARGUMENTS.replace("first", name[-1]))
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs")
    run_folder(tmp_path / "disk" / "e", epochs=5, arguments=ARGUMENTS.replace("first", "e"))
    (tmp_path / "runs" / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "runs" / "again").symlink_to(tmp_path / "runs" / "b")
    (tmp_path / "runs" / "notes").mkdir()
    done = CliRunner().invoke(main, ["import", str(tmp_path / "runs"), "--journal", str(imports.journal)])
    *lines, end = done.output.splitlines()
    assert [line.removeprefix(f"{tmp_path}/runs/") for line in lines] == [
        "a: a imported: 2 epochs, 1 checkpoint",
        "again/c: c imported: 3 epochs, 1 checkpoint",
        "again/d: d imported: 4 epochs, 1 checkpoint",
        "linked/e: e imported: 5 epochs, 1 checkpoint",
    ]
    assert end.startswith(f"4 runs taken into {imports.journal}; `python -m uploader drain --journal ")


def test_a_dry_run_tells_the_same_and_writes_nothing(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", epochs=2, total=3)
    dry = imports(folder, "--dry-run")
    assert not imports.journal.exists()
    assert imports(folder) == dry
    there = imports.everything()
    run_folder(folder, epochs=3)
    dry = imports(folder, "--dry-run")
    assert imports.everything() == there
    assert imports(folder) == dry


def test_a_person_chooses_the_names(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    [told] = imports(folder, "--project", "My Project", "--name", "The First")
    assert told["name"] == "my-project/the-first"
    run_folder(tmp_path / "two" / "one", epochs=2)
    run_folder(tmp_path / "two" / "other", epochs=4)
    imports(tmp_path / "two", "--name", "both", code=2)


Spoil = Callable[[Path], object]
CASES: dict[str, tuple[Spoil, str, int]] = {
    "a torn last line": (lambda folder: _rewrite(folder, results(2) + row(3)[:12]), "last line", 2),
    "two lines that read as one": (
        lambda folder: _rewrite(folder, results(2) + row(3)[:8] + row(3)),
        "1 of its lines tell no epoch",
        2,
    ),
    "bytes that are no text": (
        lambda folder: (folder / "results.csv").write_bytes(results(3).encode() + b"\xff\xfe,\x80\n"),
        "1 of its lines",
        3,
    ),
    "no arguments": (lambda folder: (folder / "args.yaml").unlink(), "those of its checkpoint were taken", 3),
    "arguments that are none": (lambda folder: (folder / "args.yaml").write_bytes(b"\xff: [\n"), "args.yaml", 3),
    "half a checkpoint": (lambda folder: _halve(folder / "weights" / "best.pt"), "it is not whole", 3),
    "an empty checkpoint": (lambda folder: (folder / "weights" / "best.pt").write_bytes(b""), "it is not whole", 3),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_read_is_named_and_all_else_comes_in(imports: Imports, tmp_path: Path, case: str) -> None:
    spoil, named, epochs = CASES[case]
    folder = run_folder(tmp_path / "run")
    spoil(folder)
    age(folder)
    [told] = imports(folder, code=4)
    assert told["steps"] == len(imports.events("epoch_end")) == epochs
    assert any(named in f"{each['what']} {each['why']}" for each in told["problems"])
    assert told["checkpoints"] == 1
    assert [told["how"] for told in imports(folder, code=4)] == ["known"]


def _rewrite(folder: Path, text: str) -> None:
    (folder / "results.csv").write_text(text)


def _halve(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def test_without_its_weights_a_run_has_its_metrics(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    shutil.rmtree(folder / "weights")
    [told] = imports(folder)
    assert (told["steps"], told["checkpoints"], told["state"]) == (3, 0, "complete")


def test_folders_without_a_run_are_told(imports: Imports, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    imports(tmp_path / "empty", code=2)
    imports(tmp_path / "missing", code=2)
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "args.yaml").write_text(ARGUMENTS.format(epochs=3))
    (begun / "results.csv").write_text(HEAD)
    [told] = imports(begun, code=4)
    assert told["error"].startswith("no epoch of it is in a results.csv")
    imports(imports.journal, code=2)  # a journal is no folder of runs
    (begun / "args.yaml").write_text("mode: torn")
    (begun / "results.csv").write_bytes(b"\0" * 9)
    [told] = imports(begun, code=4)
    assert told["error"].startswith("no epoch of it is in a results.csv")


def test_who_names_a_file_is_told_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    done = CliRunner().invoke(main, ["import", str(tmp_path / "mlflow.db")])
    assert done.exit_code == 2
    assert f"is a file; name its folder, {tmp_path}" in done.output.replace("\n", " ")


def test_a_checkpoint_runs_no_code_when_it_is_read(imports: Imports, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "harmed",))

    folder = run_folder(tmp_path / "run")
    checkpoint(folder / "weights" / "best.pt", 3, stripped=True, harmful=Harmful(), model=Harmful())
    age(folder)
    assert [told["checkpoints"] for told in imports(folder)] == [1]
    assert not (tmp_path / "harmed").exists()


def test_secrets_of_the_arguments_stay_out(imports: Imports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULTRALYTICS_API_KEY", "ul_0123456789abcdef0123456789abcdef01234567")
    folder = run_folder(tmp_path / "run", arguments=ARGUMENTS + "source: ul_0123456789abcdef0123456789abcdef01234567\n")
    imports(folder)
    assert "0123456789abcdef0123456789" not in json.dumps(imports.everything())


@pytest.mark.parametrize(("where", "missing"), [("add_checkpoint", 1), ("_evict_superseded", 0)])
def test_an_import_that_was_killed_is_completed_by_the_next(
    imports: Imports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, missing: int
) -> None:
    folder = run_folder(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(Writer, where, interrupted)
        assert "Aborted" in CliRunner().invoke(main, ["import", str(folder), "--journal", str(imports.journal)]).output
    assert imports.events("training_complete") == []
    [told] = imports(folder)
    assert (told["how"], told["steps"], told["checkpoints"]) == ("grown", 0, missing)
    assert [len(imports.events(kind)) for kind in ("epoch_end", "checkpoint", "training_complete")] == [3, 1, 1]


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_two_imports_of_one_folder_at_once_add_it_once(imports: Imports, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    imports.journal.mkdir()
    with FileLock(imports.journal / "import.lock"):
        other = python(IMPORT, folder, imports.journal)
        assert other.stdout is not None
        assert other.stdout.readline() == "begins\n"
        assert other.poll() is None
    assert other.wait() == 0
    other.stdout.close()
    assert [told["how"] for told in imports(folder)] == ["known"]


IMPORT = """
import sys
from filelock import FileLock
from journal.errors import JournalBusy
from journal.writing.writer import Writer
from uploader.__main__ import main
acquire = FileLock.acquire
def tell(*arguments, **options):
    print("begins", flush=True)
    return acquire(*arguments, **options)
FileLock.acquire = tell
main(["import", sys.argv[1], "--journal", sys.argv[2], "--json"])
"""


def test_weights_for_which_the_journal_has_no_room_come_in_later(
    imports: Imports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setenv("UPLOADER_MAX_SIZE", "1kB")
        [told] = imports(folder, code=4)
    assert (told["steps"], told["checkpoints"]) == (3, 0)
    assert "would exceed its limit of 1 kB" in told["problems"][0]["why"]
    assert [(told["how"], told["checkpoints"]) for told in imports(folder)] == [("grown", 1)]
    assert imports.rows("SELECT last_milestone FROM run_overview") == [("training_complete",)]


def test_an_import_waits_for_others_that_write(
    imports: Imports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, start = run_folder(tmp_path / "run"), Writer.start_run
    answers = [JournalBusy("somebody else writes"), None]

    def start_run(*arguments: Any, **options: Any) -> Any:
        if answers and (error := answers.pop(0)):
            raise error
        return start(*arguments, **options)

    monkeypatch.setattr(Writer, "start_run", start_run)
    assert [told["how"] for told in imports(folder)] == ["new"]
    assert answers == []


def test_names_that_are_no_text_and_files_to_wait_for_stop_no_import(imports: Imports, tmp_path: Path) -> None:
    named = ARGUMENTS + 'description: "\\ud800"\nproject: "p\\udcff"\n'
    run_folder(Path(os.fsdecode(os.fsencode(tmp_path / "runs" / "no text ") + b"\xff")), arguments=named)
    pipe = run_folder(tmp_path / "runs" / "pipe")
    for name in ("args.yaml", "weights/last.pt", "weights/best.pt"):
        (pipe / name).unlink()
        os.mkfifo(pipe / name)
    [first, second] = imports(tmp_path / "runs", code=4)
    assert (first["steps"], first["checkpoints"]) == (3, 1)
    assert (second["steps"], second["problems"][0]["what"]) == (3, "args.yaml")
    assert [told["how"] for told in imports(tmp_path / "runs", code=4)] == ["known", "known"]
