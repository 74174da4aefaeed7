from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

import uploader
from uploader.callbacks.trainer_callbacks import EVENTS, PlatformCallbacks, recording_of
from uploader.errors import SettingsError
from uploader.recording.journal_options import JournalOptions
from uploader.recording.recorder import Recorder

ROOT = Path(__file__).parents[3]


@pytest.fixture
def model(ultralytics: Any) -> Any:
    return ultralytics.YOLO("yolo11n.yaml")


@pytest.fixture
def streams() -> Iterator[None]:
    """Leave the streams as they were: upstream's captures put back each other's."""
    before = sys.stdout, sys.stderr
    yield
    sys.stdout, sys.stderr = before


def ours(target: Any) -> list[PlatformCallbacks]:
    """Return the owner of each of our callbacks that is active."""
    listed = [callback for event in EVENTS for callback in target.callbacks.get(event, [])]
    return [
        callback.__self__ for callback in listed if isinstance(getattr(callback, "__self__", None), PlatformCallbacks)
    ]


def upstreams(target: Any) -> list[str]:
    """Return the events at which upstream's callback is active."""
    from ultralytics.utils.callbacks.platform import callbacks

    return [event for event, callback in callbacks.items() if callback in list(target.callbacks.get(event, []))]


def platform_events() -> list[str]:
    from ultralytics.utils.callbacks.platform import callbacks

    return list(callbacks)


def test_attaching_again_replaces_and_never_doubles(model: Any) -> None:
    assert uploader.attach(model, name="first") is model
    assert len(ours(model)) == len(EVENTS)
    uploader.attach(model, name="second")
    assert len(ours(model)) == len(EVENTS)
    assert {callbacks.name for callbacks in ours(model)} == {"second"}


def test_detaching_takes_everything_out(model: Any) -> None:
    before = {event: list(listed) for event, listed in model.callbacks.items()}
    assert uploader.detach(uploader.attach(model)) is model
    assert model.callbacks == before
    uploader.detach(model)
    assert model.callbacks == before


def test_a_trainer_of_an_attached_model_records_and_does_not_stream(
    model: Any, journal: Any, build_trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.utils.callbacks import platform

    seen = []
    # Upstream's own start looks whether tests are running; this one tells whether it was called.
    monkeypatch.setitem(platform.callbacks, "on_pretrain_routine_start", lambda trainer: seen.append("upstream"))
    uploader.attach(model, journal=journal.folder)
    model.add_callback("on_pretrain_routine_start", lambda trainer: seen.append("other"))
    trainer = build_trainer(model)
    assert seen == ["other"]  # taken out of the list that is under way, and nobody skipped
    assert upstreams(trainer) == []
    assert trainer.platform is None
    assert len(ours(trainer)) == len(EVENTS)
    uploader.detach(trainer)
    assert journal.runs() == [("my-project", "my-run")]
    assert journal.kinds() == ["training_started"]
    assert journal.outcomes() == ["abandoned"]


def test_a_detached_model_streams_with_upstream_again(
    model: Any, journal: Any, build_trainer: Callable[..., Any]
) -> None:
    uploader.detach(uploader.attach(model, journal=journal.folder))
    trainer = build_trainer(model)
    assert upstreams(trainer) == platform_events()
    assert ours(trainer) == []
    assert recording_of(trainer) is None


def test_a_trainer_that_upstream_has_started_to_stream_is_taken_over(
    journal: Any, build_trainer: Callable[..., Any]
) -> None:
    from ultralytics.utils.logger import ConsoleLogger

    trainer = build_trainer()

    def send(*chunk: Any) -> None:
        """Stand for upstream's, which is known by its module."""

    send.__module__ = "ultralytics.utils.callbacks.platform"
    capture = ConsoleLogger(on_flush=send)  # what upstream's start does when a key is set
    stdout = sys.stdout
    capture.start_capture()
    trainer.platform = {"console_logger": capture, "model_id": "m-7"}

    assert uploader.attach(trainer, journal=journal.folder) is trainer
    assert not capture.active
    assert trainer.platform is None
    assert upstreams(trainer) == []
    assert journal.kinds() == ["training_started"]  # at once: the trainer has run that event already
    assert journal.events("training_started")[0]["environment"]["platformModel"] == "m-7"  # not left an orphan

    uploader.detach(trainer)
    assert sys.stdout is stdout
    assert upstreams(trainer) == platform_events()
    assert ours(trainer) == []


@contextmanager
def streaming(project: str, name: str, *, model: str | None) -> Iterator[Any]:
    """Capture the console as upstream does for a training; yield the capture."""
    from ultralytics.utils.logger import ConsoleLogger

    ctx = {"model_id": model}
    told: list[Any] = []

    def send(*chunk: Any) -> None:
        """Upstream's knows by these names what it sends, and is known by its module."""
        told.append((project, name, ctx, *chunk))

    send.__module__ = "ultralytics.utils.callbacks.platform"
    capture = ConsoleLogger(on_flush=send)
    capture.told = told
    capture.start_capture()
    try:
        yield capture
    finally:
        capture.stop_capture()


@pytest.mark.parametrize("begun", ["before", "afterwards"])
@pytest.mark.parametrize("is_lost", [True, False])
def test_another_training_that_upstream_streams_is_left_alone(
    journal: Any, build_trainer: Callable[..., Any], begun: str, is_lost: bool, streams: None
) -> None:
    trainer = build_trainer()
    mine = streaming("my-project", "my-run", model=None)
    others = streaming("my-project", "my-run-2", model="m-8")
    with ExitStack() as stack:
        if begun == "before":
            theirs, ours = stack.enter_context(others), stack.enter_context(mine)
        else:
            ours, theirs = stack.enter_context(mine), stack.enter_context(others)
        # Versions up to 8.4.100 lose it when the platform does not take the run; 8.3 does not keep it at the trainer.
        trainer.platform = None if is_lost else {"console_logger": ours, "model_id": None}
        uploader.attach(trainer, journal=journal.folder)
        assert not ours.active
        print("of the other one")
        uploader.detach(trainer)
        print("and later")
        assert theirs.active
        theirs._flush_buffer()
        text = "".join(chunk[3] for chunk in theirs.told)
        assert "of the other one" in text
        assert "and later" in text


@pytest.mark.parametrize("project", ["my-project", "another"])
def test_a_training_of_the_same_name_is_told_by_its_model(
    journal: Any, build_trainer: Callable[..., Any], project: str, streams: None
) -> None:
    trainer = build_trainer()
    with streaming(project, "my-run", model="m-8") as theirs:
        uploader.detach(uploader.attach(trainer, journal=journal.folder))
        assert theirs.active


def test_a_detached_trainer_has_upstreams_session_of_hub_again(
    journal: Any, build_trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module is one of 8.3; `test_same_hub_state.py` trains with the real one."""

    def report(trainer: Any) -> None:
        """Stand for upstream's."""

    hub = types.ModuleType("ultralytics.utils.callbacks.hub")
    hub.callbacks = {"on_model_save": report, "on_train_start": report}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, hub.__name__, hub)
    trainer = build_trainer()
    for event in ("on_model_save", "on_train_start"):
        trainer.add_callback(event, report)

    uploader.attach(trainer, journal=journal.folder, platform="hub")
    running = [report in list(trainer.callbacks.get(event)) for event in hub.callbacks]
    assert running == [False, True]  # a usage event stays
    uploader.detach(trainer)
    assert [trainer.callbacks[event].count(report) for event in hub.callbacks] == [1, 1]


def test_a_copy_that_goes_on_is_told_whole(journal: Any, build_trainer: Callable[..., Any], tmp_path: Path) -> None:
    def session(resume: bool, epoch: int) -> str:
        folder = tmp_path / "one"
        recorder = Recorder.start(
            JournalOptions(str(journal.folder)), project=None, name="one", save_dir=folder, resume=resume
        )
        recorder.event("epoch_end", {"epoch": epoch}, str(epoch))
        recorder.finish("failed")
        return recorder.run_id

    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "last.pt").touch()
    first = session(False, 0)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    session(True, 1)
    trainer = build_trainer()
    trainer.args.resume = str(tmp_path / "two" / "last.pt")
    uploader.attach(trainer, journal=journal.folder)
    told = journal.rows("SELECT kind, key FROM events WHERE run_id != ? ORDER BY id", first)
    assert told == [("training_started", "1"), ("epoch_end", "0")]
    assert journal.events("training_started")[-1]["environment"]["uploaderCopyOf"] == first
    uploader.detach(trainer)


def test_a_finished_run_goes_on_with_a_trainer_that_never_says_it_is_set_up(
    journal: Any, build_trainer: Callable[..., Any], tmp_path: Path
) -> None:
    options = JournalOptions(str(journal.folder))
    (tmp_path / "My Run").mkdir()
    first = Recorder.start(options, project=None, name="run", save_dir=tmp_path / "My Run", resume=False)
    first.finish("complete")
    trainer = build_trainer()
    trainer.args.resume, trainer.epoch = True, 0
    uploader.attach(trainer, journal=journal.folder)
    assert journal.kinds() == []
    trainer.run_callbacks("on_model_save")
    assert journal.kinds() == ["training_started", "model_saved"]
    uploader.detach(trainer)


def test_attaching_a_trainer_again_ends_the_first_session(journal: Any, build_trainer: Callable[..., Any]) -> None:
    trainer = build_trainer()
    uploader.attach(trainer, journal=journal.folder, name="first")
    uploader.attach(trainer, journal=journal.folder, name="second")
    assert journal.runs() == [("my-project", "first"), ("my-project", "second")]
    uploader.detach(trainer)
    assert journal.outcomes() == ["abandoned", "abandoned"]


def test_a_trainer_that_starts_workers_records_in_them_only(journal: Any, build_trainer: Callable[..., Any]) -> None:
    trainer = build_trainer()
    trainer.ddp = True
    uploader.attach(trainer, journal=journal.folder)
    assert len(ours(trainer)) == len(EVENTS)
    assert recording_of(trainer) is None
    assert not journal.folder.exists()


def test_a_run_is_recorded_under_the_given_names(journal: Any, build_trainer: Callable[..., Any]) -> None:
    trainer = build_trainer(project=None)
    uploader.detach(uploader.attach(trainer, journal=journal.folder, project="Owner/Bee Nests", name="Run 7"))
    uploader.detach(uploader.attach(trainer, journal=journal.folder))
    assert journal.runs() == [("Owner/bee-nests", "run-7"), (None, "my-run")]


def test_a_run_goes_where_it_was_told_and_nowhere_else(
    journal: Any, build_trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build_trainer()
    uploader.detach(uploader.attach(trainer, journal=journal.folder, name="undecided"))
    uploader.detach(uploader.attach(trainer, journal=journal.folder, name="told", base_url="http://127.0.0.1:9/"))
    monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", "https://example.com")
    uploader.detach(uploader.attach(trainer, journal=journal.folder, name="environment"))
    query = """
        SELECT runs.name, platform, base_url FROM runs
        LEFT JOIN targets ON targets.run_id = runs.id LEFT JOIN destinations ON destinations.id = destination_id
        ORDER BY created_at
    """
    assert journal.rows(query) == [
        ("undecided", None, None),
        ("told", "ultralytics", "http://127.0.0.1:9"),
        ("environment", "ultralytics", "https://example.com"),
    ]


@pytest.mark.parametrize("value", [None, "yolo11n.pt", object(), PlatformCallbacks])
@pytest.mark.parametrize("function", [uploader.attach, uploader.detach])
def test_anything_else_is_a_clear_error(ultralytics: Any, function: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(TypeError, match="expected an Ultralytics model"):
        function(value)


def test_settings_that_cannot_be_used_are_refused_at_once(model: Any) -> None:
    with pytest.raises(ValueError, match="durability"):
        uploader.attach(model, durability="none")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="must not hold"):
        uploader.attach(model, base_url="https://user:secret@example.com")
    assert ours(model) == []


@pytest.mark.parametrize("argument", ["journal", "project", "name", "platform", "base_url", "hub_model"])
def test_an_argument_of_a_wrong_type_is_named_at_once(model: Any, argument: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{argument} must be "):
        uploader.attach(model, **{argument: 3})
    assert ours(model) == []


@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_callbacks_are_pickled_without_what_is_live(model: Any, journal: Any, module: Any) -> None:
    uploader.attach(model, journal=journal.folder, project="p", name="n")
    copied = module.loads(module.dumps(model.callbacks))
    before = {event: [callback.__qualname__ for callback in listed] for event, listed in model.callbacks.items()}
    assert {event: [callback.__qualname__ for callback in listed] for event, listed in copied.items()} == before
    assert copied.recorder == model.callbacks.recorder
    assert not journal.folder.exists()


def test_a_key_is_not_pickled(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ULTRALYTICS_API_KEY", "ul_very_secret")
    uploader.attach(model)
    assert b"ul_very_secret" not in cloudpickle.dumps(dict(model.callbacks))


def test_public_names_are_loaded_when_they_are_used() -> None:
    code = """
import sys, uploader
assert not {"uploader.attach", "uploader.recording.recorder", "journal"} & set(sys.modules)
assert {"attach", "detach", "resolve_platform_uri"} <= set(dir(uploader))
from uploader import attach, detach
assert callable(attach) and callable(detach) and "requests" not in sys.modules
assert callable(uploader.resolve_platform_uri)
try:
    uploader.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
