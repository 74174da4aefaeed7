from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from uploader.live.guard import guarded


class Callbacks:
    @guarded
    def on_train_end(self, trainer: Any) -> None:
        raise trainer.error


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    logger = logging.getLogger("ultralytics")
    logger.addHandler(caplog.handler)
    monkeypatch.setattr(logger, "propagate", False)  # as upstream has it, which need not be imported here
    caplog.set_level(logging.WARNING, "ultralytics")
    yield caplog
    logger.removeHandler(caplog.handler)


def test_an_error_of_ours_is_said_once_per_callback_and_training(logged: pytest.LogCaptureFixture) -> None:
    trainer = SimpleNamespace(error=RuntimeError("disk on fire"))
    for _ in range(3):
        Callbacks().on_train_end(trainer)
    assert len(logged.messages) == 1
    assert "on_train_end" in logged.messages[0]
    assert "disk on fire" in logged.messages[0]
    Callbacks().on_train_end(SimpleNamespace(error=RuntimeError("another training")))
    assert len(logged.messages) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_meant_for_the_training_passes(error: type[BaseException]) -> None:
    with pytest.raises(error):
        Callbacks().on_train_end(SimpleNamespace(error=error()))
