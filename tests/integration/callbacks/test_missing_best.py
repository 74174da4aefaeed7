"""A training whose best.pt is gone when it ends, as after a resume on a machine that lost its disk."""

from __future__ import annotations

from typing import Any

import pytest

import uploader


@pytest.mark.training
def test_last_pt_takes_its_place_and_that_is_said(
    ultralytics: Any, journal: Any, train_arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    from ultralytics.utils import LOGGER

    def lose_best(trainer: Any) -> None:
        if trainer.epoch == trainer.epochs:  # after the final evaluation
            trainer.best.unlink()

    model = uploader.attach(ultralytics.YOLO("yolo11n.yaml"), journal=journal.folder)
    model.add_callback("on_fit_epoch_end", lose_best)
    LOGGER.addHandler(caplog.handler)
    try:
        model.train(**train_arguments)
    finally:
        LOGGER.removeHandler(caplog.handler)
    final = journal.events("checkpoint")[-1]
    assert (final["role"], final["filename"], final["isBest"]) == ("final", "last.pt", False)
    assert [record.levelname for record in caplog.records if "best.pt is missing" in record.message] == ["WARNING"]
