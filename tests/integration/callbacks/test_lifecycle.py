"""How a training can begin and end: cancelled, failed, abandoned, killed, resumed, in workers, without a journal."""

from __future__ import annotations

import csv
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.threads import left_threads

import uploader
from uploader.callbacks.trainer_callbacks import recording_of
from uploader.exporting.table_text import as_results

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[3]


class Broken(Exception):
    """What a training dies of here."""


@pytest.fixture
def train(ultralytics: Any, journal: Any, train_arguments: dict[str, Any]) -> Callable[..., Any]:
    """Train in this process, with ours attached and one more callback."""

    def run(event: str = "teardown", callback: Any = None, **changes: Any) -> Any:
        model = uploader.attach(ultralytics.YOLO("yolo11n.yaml"), journal=journal.folder)
        if callback:
            model.add_callback(event, callback)
        model.train(**{**train_arguments, **changes})
        return model

    return run


def in_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, in which torchvision can be imported."""
    prelude = "from torchvision_ops import ensure_torchvision_ops\nensure_torchvision_ops()\n"
    search = os.pathsep.join([str(ROOT), str(ROOT / "scripts" / "training"), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "PYTHONPATH": search, **environment}
    return subprocess.run(
        [sys.executable, "-c", prelude + code], env=variables, cwd=ROOT, capture_output=True, text=True
    )


def said(journal: Any) -> str:
    return "\n".join(chunk["content"] for chunk in journal.events("console_output"))


def raise_in(epoch: int, error: BaseException) -> Callable[[Any], None]:
    def callback(trainer: Any) -> None:
        if trainer.epoch == epoch:
            raise error

    return callback


def test_a_training_that_raises_has_failed_and_raises_as_before(train: Callable[..., Any], journal: Any) -> None:
    stdout = sys.stdout
    error = Broken("no space for token=abc123 left")
    with pytest.raises(Broken):
        train("on_train_epoch_start", raise_in(1, error), epochs=3)
    assert journal.events("training_failed") == [{"error": "no space for token=*** left", "code": "Broken"}]
    assert [epoch["epoch"] for epoch in journal.events("epoch_end")] == [0]
    assert journal.events("training_complete") == []
    assert set(journal.kinds()[journal.kinds().index("training_failed") + 1 :]) <= {"checkpoint"}  # waited for later
    assert journal.outcomes() == ["failed"]
    assert sys.stdout is stdout
    assert left_threads("uploader") == []


def test_the_epoch_at_whose_end_a_callback_raises_is_recorded(train: Callable[..., Any], journal: Any) -> None:
    """As pruners do; ours runs after it."""
    with pytest.raises(Broken):
        train("on_fit_epoch_end", raise_in(1, Broken()), epochs=3)
    epochs = journal.events("epoch_end")
    assert [epoch["epoch"] for epoch in epochs] == [0, 1]
    assert epochs[1]["metrics"].keys() == epochs[0]["metrics"].keys()
    assert journal.kinds().index("training_failed") > max(i for i, k in enumerate(journal.kinds()) if k == "epoch_end")


def test_the_result_is_taken_in_before_its_final_evaluation(
    train: Callable[..., Any], journal: Any, tmp_path: Path
) -> None:
    def die(validator: Any) -> None:
        if not validator.training:
            raise Broken

    with pytest.raises(Broken):
        train("on_val_batch_start", die)
    # An earlier save of it may have been replaced by the stripped one before it was snapshotted.
    assert journal.events("model_saved")[-1]["final"] is True
    newest = [one for one in journal.events("checkpoint") if one["role"] == "best"][-1]
    assert newest["sha256"] == hashlib.sha256((tmp_path / "My Run/weights/best.pt").read_bytes()).hexdigest()


def test_an_interrupted_training_says_so(train: Callable[..., Any], journal: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        train("on_train_epoch_start", raise_in(0, KeyboardInterrupt()))
    assert journal.events("training_failed") == [{"error": "KeyboardInterrupt", "code": "KeyboardInterrupt"}]


def test_a_training_inside_an_error_handler_has_not_failed(train: Callable[..., Any], journal: Any) -> None:
    try:
        raise Broken
    except Broken:  # somebody who tries again with other arguments
        train()
    assert journal.events("training_failed") == []
    assert len(journal.events("training_complete")) == 1


def test_a_cancelled_training_stops_and_keeps_its_results(train: Callable[..., Any], journal: Any) -> None:
    batches = []

    def cancel(trainer: Any) -> None:
        trainer.set_callback("on_train_batch_end", lambda trainer: batches.append(trainer.epoch))
        if trainer.epoch == 1:  # what a drain writes when the platform says so
            (run_id,) = journal.rows("SELECT id FROM runs")[0]
            journal.write("INSERT INTO destinations (id, platform, base_url) VALUES (1, 'ultralytics', 'http://x')")
            journal.write(
                "INSERT INTO signals (run_id, session_id, destination_id, kind, detail, created_at) "
                "VALUES (?, 1, 1, 'cancelled', 'by its owner', '')",
                run_id,
            )

    train("on_train_epoch_start", cancel, epochs=5)
    assert batches == [0, 0, 1]  # as soon as upstream would stop, after the next batch
    assert [epoch["epoch"] for epoch in journal.events("epoch_end")] == [0, 1, 2]  # and the final evaluation
    assert len(journal.events("training_complete")) == 1
    assert journal.outcomes() == ["complete"]
    assert said(journal).count("by its owner") == 1


def test_a_resumed_training_continues_its_run_wherever_its_folder_went(
    train: Callable[..., Any], journal: Any, tmp_path: Path
) -> None:
    with pytest.raises(Broken):
        train("on_train_epoch_start", raise_in(1, Broken()), epochs=2)
    from ultralytics import YOLO

    (tmp_path / "My Run").rename(tmp_path / "moved")
    journal.write("UPDATE runs SET save_dir = 'elsewhere'")  # so that the checkpoint alone can tell
    model = uploader.attach(YOLO(tmp_path / "moved" / "weights" / "last.pt"), journal=journal.folder)
    model.train(resume=True)
    assert journal.runs() == [("my-project", "my-run")]
    assert journal.outcomes() == ["failed", "complete"]
    keys = "SELECT key FROM events WHERE kind = ? ORDER BY id"
    assert journal.rows(keys, "training_started") == [("1",), ("2",)]
    assert journal.rows(keys, "epoch_end") == [("0",), ("1",), ("2",)]
    ids = [chunk["chunkId"] for chunk in journal.events("console_output")]
    assert ids == sorted(set(ids))


def test_a_finished_run_that_is_resumed_stays_finished_unless_it_goes_on(
    train: Callable[..., Any], journal: Any, tmp_path: Path
) -> None:
    from ultralytics import YOLO

    def resume(checkpoint: str) -> None:
        weights = tmp_path / "My Run" / "weights" / checkpoint
        uploader.attach(YOLO(weights), journal=journal.folder).train(resume=True)

    train(epochs=2, save_period=1)
    told = journal.kinds()
    with pytest.raises(AssertionError, match="nothing to resume"):
        resume("epoch1.pt")
    assert (journal.kinds(), journal.outcomes()) == (told, ["complete", "failed"])
    resume("epoch0.pt")
    assert journal.kinds()[len(told)] == "training_started"
    assert [epoch["epoch"] for epoch in journal.events("epoch_end")] == [0, 1, 2, 1, 2]
    assert journal.kinds()[-1] == "training_complete"


def test_a_second_training_is_a_second_run(
    train: Callable[..., Any], train_arguments: dict[str, Any], journal: Any, tmp_path: Path
) -> None:
    model = train()
    model.train(**{**train_arguments, "save_dir": str(tmp_path / "Again"), "project": "Other"})
    assert journal.runs() == [("my-project", "my-run"), ("other", "again")]
    assert journal.outcomes() == ["complete", "complete"]


def test_a_journal_that_cannot_be_written_does_not_touch_the_training(
    train: Callable[..., Any], journal: Any, tmp_path: Path
) -> None:
    journal.folder.mkdir()
    (journal.folder / "blobs").write_text("a file where a folder should be")
    train()
    assert (tmp_path / "My Run" / "weights" / "best.pt").exists()
    assert [path.name for path in journal.folder.iterdir()] == ["blobs"]


def test_an_error_of_ours_does_not_touch_the_training(
    train: Callable[..., Any], journal: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def fail(*arguments: Any) -> None:
        raise Broken("ours")

    monkeypatch.setattr("uploader.callbacks.recording.epoch_payload", fail)
    train(epochs=3)
    assert [epoch["source"] for epoch in journal.events("epoch_end")] == ["results.csv"] * 3  # taken in at the end
    assert len(journal.events("training_complete")) == 1
    assert said(journal).count("on_fit_epoch_end was not recorded in full") == 1


def test_a_script_that_dies_before_it_trains_has_failed(journal: Any, train_arguments: dict[str, Any]) -> None:
    code = f"""
import uploader
from ultralytics import YOLO
model = uploader.attach(YOLO("yolo11n.yaml"), journal={str(journal.folder)!r})
model.train(**{ {**train_arguments, "data": "missing.yaml"}!r})
"""
    assert in_process(code).returncode == 1
    (failed,) = journal.events("training_failed")
    assert "missing.yaml" in failed["error"]
    assert journal.outcomes() == ["failed"]


def test_a_script_that_ends_without_training_is_not_a_failure(journal: Any, train_arguments: dict[str, Any]) -> None:
    code = f"""
import uploader
from ultralytics.models.yolo.detect import DetectionTrainer
trainer = DetectionTrainer(overrides={ {**train_arguments, "model": "yolo11n.yaml"}!r})
uploader.attach(trainer, journal={str(journal.folder)!r})
raise ValueError("of something else")
"""
    assert in_process(code).returncode == 1
    assert journal.events("training_failed") == []
    assert journal.outcomes() == ["abandoned"]


def test_a_forked_child_that_dies_does_not_end_the_session(journal: Any, train_arguments: dict[str, Any]) -> None:
    code = f"""
import os, sqlite3, uploader
from ultralytics import YOLO
def fork(trainer):
    child = os.fork()
    if child == 0:
        raise ValueError  # passes the trainer's teardown, and what runs at exit
    assert os.waitpid(child, 0)[1]
    ((outcome,),) = sqlite3.connect({str(journal.folder / "journal.db")!r}).execute("SELECT outcome FROM sessions")
    assert outcome is None, outcome
model = uploader.attach(YOLO("yolo11n.yaml"), journal={str(journal.folder)!r})
model.add_callback("on_train_start", fork)
model.train(**{train_arguments!r})
"""
    script = in_process(code)
    assert script.returncode == 0, script.stderr
    assert journal.events("training_failed") == []
    assert journal.outcomes() == ["complete"]


def test_a_killed_script_leaves_what_it_has_told(journal: Any, train_arguments: dict[str, Any]) -> None:
    code = f"""
import os, signal, uploader
from ultralytics import YOLO
model = uploader.attach(YOLO("yolo11n.yaml"), journal={str(journal.folder)!r})
model.add_callback("on_train_epoch_start", lambda trainer: trainer.epoch == 1 and os.kill(os.getpid(), signal.SIGKILL))
model.train(**{ {**train_arguments, "epochs": 3}!r})
"""
    assert in_process(code).returncode == -signal.SIGKILL
    assert [epoch["epoch"] for epoch in journal.events("epoch_end")] == [0]
    assert journal.outcomes() == [None]


def test_a_worker_made_as_ddp_makes_them_records(
    build_trainer: Callable[..., Any], journal: Any, ultralytics: Any
) -> None:
    """Upstream pickles the trainer's callbacks into a file that each worker loads; here one worker, on the CPU."""
    from ultralytics.utils.dist import ddp_cleanup, generate_ddp_file

    model = ultralytics.YOLO("yolo11n.yaml")
    trainer = build_trainer(model)
    trainer.ddp = True  # as upstream decides for several GPUs, before any callback runs
    uploader.attach(trainer, journal=journal.folder)
    assert recording_of(trainer) is None
    file = generate_ddp_file(trainer)
    try:
        worker = in_process(f"import runpy; runpy.run_path({file!r}, run_name='__main__')")
        assert worker.returncode == 0, worker.stderr
    finally:
        ddp_cleanup(trainer, file)
    assert journal.runs() == [("my-project", "my-run")]
    assert journal.outcomes() == ["complete"]
    assert len(journal.events("training_complete")) == 1


def test_only_the_first_rank_records(journal: Any, train_arguments: dict[str, Any]) -> None:
    code = f"""
import uploader
from ultralytics.models.yolo.detect import DetectionTrainer
from uploader.callbacks.trainer_callbacks import recording_of
from uploader.exporting.table_text import as_results
trainer = DetectionTrainer(overrides={ {**train_arguments, "model": "yolo11n.yaml"}!r})
uploader.attach(trainer, journal={str(journal.folder)!r})
assert recording_of(trainer) is None
trainer.run_callbacks("on_train_end")
trainer.run_callbacks("teardown")
"""
    second = in_process(code, RANK="1", LOCAL_RANK="1", WORLD_SIZE="2")
    assert second.returncode == 0, second.stderr
    assert not journal.folder.exists()
    first = in_process(code, RANK="0", LOCAL_RANK="0", WORLD_SIZE="2")
    assert "AssertionError" in first.stderr, first.stderr
    assert journal.runs() == [("my-project", "my-run")]


def test_a_final_evaluation_under_the_last_epoch_does_not_replace_it(
    train: Callable[..., Any], journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.engine.trainer import BaseTrainer

    final_eval = BaseTrainer.final_eval

    def as_in_8_3(trainer: Any) -> None:
        trainer.epoch -= 1  # that version does not count up for it
        final_eval(trainer)
        trainer.epoch += 1

    monkeypatch.setattr(BaseTrainer, "final_eval", as_in_8_3)
    train()
    epochs = journal.events("epoch_end")
    assert [epoch["epoch"] for epoch in epochs] == [0, 1]
    assert ["val/box_loss" in epoch["metrics"] for epoch in epochs] == [True, False]


def test_the_batch_size_that_is_trained_with_is_recorded(
    build_trainer: Callable[..., Any], journal: Any, ultralytics: Any
) -> None:
    trainer = build_trainer(uploader.attach(ultralytics.YOLO("yolo11n.yaml"), journal=journal.folder), batch=-1)
    for event, batch in (("on_train_start", 6), ("on_fit_epoch_end", 3), ("on_fit_epoch_end", 3)):
        trainer.args.batch = trainer.batch_size = batch
        trainer.run_callbacks(event)
    trainer.run_callbacks("teardown")
    assert [event["batch"] for event in journal.events("batch")] == [6, 3]
    assert journal.events("training_started")[0]["trainArgs"]["batch"] == "-1"


def test_an_exported_table_is_the_trainers_own(train: Callable[..., Any], journal: Any) -> None:
    model = train(epochs=2)
    columns = uploader.open(journal.folder).run().metrics()
    exported = list(csv.DictReader(as_results(columns).splitlines()))
    trainers = list(csv.DictReader((model.trainer.save_dir / "results.csv").read_text("utf-8").splitlines()))
    own = {"time"} | {name for name in trainers[0] if name.startswith("lr/") and name != "lr/pg0"}
    assert exported == [{name: cell for name, cell in row.items() if name not in own} for row in trainers]
