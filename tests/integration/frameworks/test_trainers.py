"""Real trainings by each framework: the examples, killed, continued, delivered, compared with a plain loop; and others.

They are in one file, so that one process imports the frameworks.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import pickle
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import framework_trainings
from support.platform_api import Api
from support.recordings import KEY, recordings

import uploader
from uploader.reports.recorded_runs import RecordedJournal
from uploader.server.running import running

ROOT = Path(__file__).parents[3]
IMPORTS = {"lightning": "pytorch_lightning", "transformers": "transformers accelerate", "keras": "keras"}
HERE = [name for name, modules in IMPORTS.items() if all(map(importlib.util.find_spec, modules.split()))]
KILLED_AFTER = {"lightning": 6, "transformers": 6}

pytestmark = [pytest.mark.upstream, pytest.mark.skipif(not HERE, reason="needs the extra `integrations`")]


def each(*names: str) -> Any:
    absent = {name: f"needs {IMPORTS[name]}, of the extra `integrations`" for name in names if name not in HERE}
    marks = {name: pytest.mark.skip(reason=absent[name]) if name in absent else () for name in names}
    return pytest.mark.parametrize("name", [pytest.param(name, marks=marks[name]) for name in names])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The folder of each framework's training, which was killed and went on; all are in one journal."""
    folder = tmp_path_factory.mktemp("frameworks")
    there = {name: folder / name for name in HERE}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UPLOADER_JOURNAL", str(folder / "journal"))
        patch.setenv("UPLOADER_FALLBACK", str(folder / "fallback"))
        patch.setenv("KERAS_BACKEND", "torch")
        paths = os.pathsep.join(map(str, [ROOT, ROOT / "tests", ROOT / "scripts" / "training"]))
        trainings = {name: (str(there[name]), step) for name, step in KILLED_AFTER.items() if name in HERE}
        command = [sys.executable, framework_trainings.__file__, json.dumps(trainings)]
        environment = {**os.environ, "PYTHONPATH": paths}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if "keras" in HERE:  # it would take a process of its own to import it
            with pytest.raises(ValueError, match="broken"):
                framework_trainings.example("keras").train(there["keras"], 3, failing("keras"))
        for name, path in there.items():
            framework_trainings.example(name).train(path, 3)
        yield there


@pytest.fixture(scope="module")
def api(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("platform"), api_key=KEY) as server:
        with recordings(Path(os.environ["UPLOADER_JOURNAL"])) as opened:
            assert opened.drain(server.url).exit_code == 0
        yield Api(server.url, server.api_key)


@pytest.fixture(scope="module")
def losses() -> list[tuple[float, float | None]]:
    """The loss of each step of a plain loop, and after each epoch that of what is not trained."""
    import torch

    torch.manual_seed(0)
    model, x = torch.nn.Linear(1, 1), torch.linspace(0, 1, 64).unsqueeze(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    loss_of = torch.nn.functional.mse_loss
    found = []
    for _ in range(3):
        for batch in x.split(16):
            optimizer.zero_grad()
            loss = loss_of(model(batch), 3 * batch + 1)
            loss.backward()
            optimizer.step()
            found.append((loss.item(), None))
        with torch.no_grad():
            parts = [loss_of(model(batch), 3 * batch + 1) for batch in x.split(16)]
        found[-1] = (found[-1][0], torch.stack(parts).mean().item())
    return found


@each("lightning", "transformers")
def test_each_step_is_that_of_a_plain_loop_in_the_journal_and_on_the_platform(
    folders: dict[str, Path], api: Api, losses: list[tuple[float, float | None]], name: str
) -> None:
    first, validated = {"lightning": (0, "val/loss"), "transformers": (1, "eval/loss")}[name]
    table = uploader.open().run(f"examples/{name}").metrics()
    assert table["epoch"] == [*range(first, first + 12)]
    assert table["train/loss"] == [loss for loss, _ in losses]
    after = {step: loss for step, (_, loss) in enumerate(losses) if loss is not None}
    told = {step: loss for step, loss in enumerate(table[validated]) if loss is not None}
    assert told == pytest.approx(after, rel=1e-6)  # sums in another order
    shown = api.model(name, "examples")["trainResults"]
    assert [each["epoch"] for each in shown] == table["epoch"]
    for metric in ("train/loss", validated):
        assert [each["metrics"].get(metric) for each in shown] == table[metric]


@each("keras")
def test_each_epoch_is_in_the_journal_and_on_the_platform(folders: dict[str, Path], api: Api, name: str) -> None:
    table = uploader.open().run(f"examples/{name}").metrics()
    assert table["epoch"] == [0, 1, 2]
    shown = api.model(name, "examples")["trainResults"]
    assert [each["metrics"] for each in shown] == [
        {metric: table[metric][epoch] for metric in ("loss", "val_loss")} for epoch in range(3)
    ]


@each("lightning", "transformers", "keras")
def test_a_training_that_was_cut_off_goes_on_as_one_run(folders: dict[str, Path], api: Api, name: str) -> None:
    run = uploader.open().run(f"examples/{name}")
    assert run.status().state == "finished"
    assert (run.times().sessions, run.times().is_live) == (2, False)
    models = api.get("/api/models/local/examples")["models"]
    assert [model["status"] for model in models if model["name"] == name] == ["completed"]
    kept = {each.role: each for each in run.checkpoints()}
    roles = {"keras": {"last", "final"}}.get(name, {"last", "best", "final"})
    assert kept.keys() == roles
    assert api.model(name, "examples")["file"]["sha256"] == kept["final"].sha256


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedJournal:
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "journal"))
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    monkeypatch.chdir(tmp_path)
    with recordings(tmp_path / "journal"):  # it is made
        return uploader.open()


def fit(logger: Any, *callbacks: Any, epochs: int = 1, **options: Any) -> Any:
    """Train by Lightning, and return the trainer and the model."""
    import pytorch_lightning as pl

    lightning = framework_trainings.example("lightning")
    quiet = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    keep = {"logger": logger, "log_every_n_steps": 1, "callbacks": [*callbacks]}
    trainer = pl.Trainer(max_epochs=epochs, **{**quiet, **keep, **options})
    model = lightning.Line(lr=0.3)
    trainer.fit(model, lightning.data(), lightning.data())
    return trainer, model


def offline(name: str, **options: Any) -> Any:
    module = importlib.import_module(f"uploader.frameworks.{name}")
    return getattr(module, "OfflineLogger" if name == "lightning" else "OfflineCallback")(project="demo", **options)


def failing(name: str) -> Any:
    """Return a callback of a framework that raises in its first step, or epoch by Keras."""

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("broken")

    hook = {"lightning": "on_train_batch_end", "transformers": "on_step_end", "keras": "on_epoch_end"}[name]
    return framework_trainings.callback(name, **{hook: fail})


def states(journal: RecordedJournal) -> list[tuple[str, int, str | None]]:
    """Return the state of each run, its sessions and its error."""
    found = []
    for run in journal.runs():
        times = run.times()
        found.append((times.state, times.sessions, times.error))
    return found


def test_importing_ours_imports_no_framework() -> None:
    code = (
        "import sys, uploader; uploader.start_run; print(sorted({'keras', 'torch', 'transformers'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "hidden", "package"),
    [
        ("lightning", "lightning.pytorch pytorch_lightning", "pip install lightning"),
        ("transformers", "transformers", "pip install 'transformers[torch]'"),
        ("keras", "keras.callbacks", "pip install keras"),
    ],
)
def test_a_framework_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, hidden: str, package: str
) -> None:
    for module in [module for module in sys.modules if module.startswith(f"uploader.frameworks.{name}")]:
        monkeypatch.delitem(sys.modules, module)
    for module in hidden.split():
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.setitem(sys.modules, f"{module}.loggers", None)
    with pytest.raises(ImportError, match=re.escape(package)):
        importlib.import_module(f"uploader.frameworks.{name}")


@each("lightning")
def test_what_is_validated_after_a_training_belongs_to_its_run(journal: RecordedJournal, name: str) -> None:
    data = framework_trainings.example(name).data()
    trainer, model = fit(offline(name))
    before = journal.run().metrics()
    assert states(journal) == [("finished", 1, None)]
    trainer.validate(model, data, verbose=False)
    assert states(journal) == [("finished", 2, None)]
    table = journal.run().metrics()
    assert table["train/loss"] == [*before["train/loss"], None]
    assert table["val/loss"][-2:] == [before["val/loss"][-1]] * 2


@each("lightning")
def test_a_training_from_the_beginning_is_another_run_and_one_that_is_longer_is_not(
    journal: RecordedJournal, name: str
) -> None:
    logger, data = offline(name), framework_trainings.example(name).data()
    fit(logger)
    trainer, model = fit([logger], accumulate_grad_batches=2)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(model, data, data)
    assert sorted(states(journal)) == [("finished", 1, None), ("finished", 2, None)]
    assert sorted(len(run.metrics()["epoch"]) for run in journal.runs()) == [4, 4]  # two of two steps each
    assert len({run.run.save_dir for run in journal.runs()}) == 2


@each("lightning")
def test_a_run_begins_with_a_training_or_a_measurement(journal: RecordedJournal, name: str) -> None:
    logger = offline(name)
    trainer, model = fit(logger, fast_dev_run=True)
    trainer.loggers = [logger]
    model.predict_step = lambda batch: None
    trainer.predict(model, framework_trainings.example(name).data())
    assert journal.runs() == []
    trainer.fast_dev_run = False
    trainer.validate(model, framework_trainings.example(name).data(), verbose=False)
    assert states(journal) == [("finished", 1, None)]


@each("lightning")
def test_what_a_training_is_given_is_its_configuration(journal: RecordedJournal, name: str) -> None:
    logger = offline(name, config={"seed": 1})
    fit(logger, limit_train_batches=1, limit_val_batches=0)
    database = sqlite3.connect(journal.path / "journal.db")
    with closing(database):
        (payload,) = database.execute("SELECT payload FROM events WHERE kind = 'training_started'").fetchone()
    assert json.loads(payload)["trainArgs"] == {"seed": "1", "lr": "0.3"}
    assert logger.experiment.folder == Path(logger.save_dir)


@each("lightning")
def test_another_process_of_a_training_records_nothing(
    journal: RecordedJournal, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from lightning_utilities.core.rank_zero import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = offline(name)
    fit(logger, limit_train_batches=1, limit_val_batches=0, enable_checkpointing=False)
    assert (journal.runs(), logger.save_dir, logger.experiment.id) == ([], None, "")


@each("lightning")
def test_a_logger_that_is_sent_to_another_process_records_the_same_run_there(
    journal: RecordedJournal, name: str
) -> None:
    logger = offline(name)
    trainer, model = fit(pickle.loads(pickle.dumps(logger)))
    trainer.loggers = [pickle.loads(pickle.dumps(logger))]
    trainer.validate(model, framework_trainings.example(name).data(), verbose=False)
    assert states(journal) == [("finished", 2, None)]
    fit(pickle.loads(pickle.dumps(logger)))
    assert sorted(states(journal)) == [("finished", 1, None), ("finished", 2, None)]


@each("lightning")
def test_an_error_ends_the_run_as_failed(journal: RecordedJournal, name: str) -> None:
    with pytest.raises(ValueError, match="broken"):
        fit(offline(name), failing(name))
    assert states(journal) == [("failed", 1, "broken")]


@each("transformers")
def test_each_training_is_a_run_and_what_is_evaluated_after_it_belongs_to_it(
    journal: RecordedJournal, tmp_path: Path, name: str
) -> None:
    example = framework_trainings.example(name)
    trainer = example.train(tmp_path / "out", 1)
    before = journal.run().metrics()
    trainer.evaluate()
    trainer.predict(example.data())
    assert states(journal) == [("finished", 3, None)]
    table = journal.run().metrics()
    assert (table["train/loss"], table["eval/loss"]) == (before["train/loss"], before["eval/loss"])
    assert table["test/loss"][-1] == pytest.approx(table["eval/loss"][-1])
    trainer.train()
    assert sorted(states(journal)) == [("finished", 1, None), ("finished", 3, None)]


@each("transformers")
def test_a_training_that_does_not_come_to_its_end_has_failed(
    journal: RecordedJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nobody tells a callback: the next training does, or the end of the program."""
    example, callback = framework_trainings.example(name), offline(name)
    monkeypatch.setattr(example, "OfflineCallback", lambda **_: callback)
    with pytest.raises(ValueError, match="broken"):
        example.train(tmp_path / "out", 1, failing(name))
    example.train(tmp_path / "out", 1)
    assert [error for state, _, error in states(journal) if state == "failed"] == [
        "the training has not come to its end"
    ]


@each("keras")
def test_keras_goes_on_with_a_run_unless_it_trains_from_the_beginning(journal: RecordedJournal, name: str) -> None:
    model = framework_trainings.example(name).train(Path("first"), 1)
    x, callback = np.zeros((4, 1)), offline(name)
    fit = partial(model.fit, x, x, callbacks=[callback], verbose=0)
    fit(epochs=1)
    model.evaluate(x, x, callbacks=[callback], verbose=0)
    fit(epochs=3, initial_epoch=1)
    assert sorted(states(journal)) == [("finished", 1, None), ("finished", 3, None)]
    table = journal.run(str(callback.run.folder)).metrics()
    assert table["epoch"] == [0, 1, 2]
    assert table["test_loss"][0] is not None
    with pytest.raises(ValueError, match="broken"):
        model.fit(x, x, callbacks=[callback, failing(name)], verbose=0)
    fit(epochs=1)
    assert sorted(states(journal))[0] == ("failed", 1, "the training has not come to its end")
