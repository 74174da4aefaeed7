"""Whether an error has left a training behind, and what it tells."""

from __future__ import annotations

import gc
import weakref

import pytest

from uploader.live.training_failure import escaped_from, failure
from uploader.redacting import Redactor


class Trainer:
    def fail(self) -> None:
        raise ValueError("in its work")

    def handle(self) -> bool:
        """Handle an error of its own, as for a batch that is too large."""
        try:
            self.fail()
        except ValueError as error:
            return escaped_from(error, self)
        return True

    def handled_in_a_callback(self) -> bool:
        return handled_by_somebody(self)


def handled_by_somebody(trainer: Trainer, asked_of: Trainer | None = None) -> bool:
    try:
        trainer.fail()
    except ValueError as error:
        return escaped_from(error, asked_of or trainer)
    raise AssertionError


def test_an_error_that_passed_a_trainer_which_is_done_has_left_it() -> None:
    trainer = Trainer()
    assert handled_by_somebody(trainer)


def test_one_that_is_handled_within_the_trainer_has_not() -> None:
    assert not Trainer().handle()
    assert not Trainer().handled_in_a_callback()


def test_one_of_somebody_elses_has_not() -> None:
    assert not handled_by_somebody(Trainer(), asked_of=Trainer())
    assert not escaped_from(ValueError(), None)
    assert not escaped_from(None, Trainer())


def test_asking_keeps_nothing_alive() -> None:
    def build_and_fail() -> weakref.ref[Trainer]:
        trainer = Trainer()
        assert handled_by_somebody(trainer)
        return weakref.ref(trainer)

    gc.disable()
    try:
        assert build_and_fail()() is None
    finally:
        gc.enable()


def test_the_words_of_an_error_are_told_without_secrets_and_its_class_where_it_has_none() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    redactor = Redactor(["ul_secret_key"])
    assert failure(ValueError("with ul_secret_key"), redactor).payload() == {"error": "with ***", "code": "ValueError"}
    assert failure(KeyboardInterrupt(), redactor).error == "KeyboardInterrupt"
    assert failure(Mute(), redactor).error == "Mute"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_what_is_no_exception_ends_a_training_too(error: BaseException) -> None:
    assert failure(error, Redactor([])).code == type(error).__name__
