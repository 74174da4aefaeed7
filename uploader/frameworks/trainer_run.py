"""The run that a framework's trainer records, in as many parts as somebody has it train, validate and test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uploader.live.active_run import ActiveRun
from uploader.live.run_facts import configuration
from uploader.live.starting import check_arguments, new_folder, start_run
from uploader.run_folder.run_file import KnownRun


class TrainerRun:
    """A run that begins when there is something to record, and goes on when there is more after it has ended.

    A trainer says when it ends, not whether it will be asked to validate, to test or to train on. So each end ends the
    run, and what is recorded after that is another session of it.

    Attributes:
        config: The configuration that the run is to be recorded with.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Record nothing yet.

        Args:
            options: For `uploader.start_run`.

        Raises:
            SettingsError: One of them cannot be used.
            TypeError: There is no such option.
        """
        check_arguments(**options)
        self._options = dict(options)
        self.config: dict[str, Any] = configuration(self._options.pop("config", None))
        self._run: ActiveRun | None = None
        self._chosen: Path | None = None
        self._is_over = False
        self._is_sent = False
        self._trains = False

    @property
    def current(self) -> ActiveRun | None:
        """The run; None before it begins."""
        return self._run

    @property
    def is_open(self) -> bool:
        """Whether there is a run that has not ended."""
        return self._run is not None and not self._is_over

    @property
    def trains(self) -> bool:
        """Whether a training has begun that has not ended."""
        return self._trains

    def folder(self) -> Path:
        """Return the run's folder, which is chosen now if it was not."""
        if self._run is not None:
            return self._run.folder
        if isinstance(self._options.get("resume", False), bool):
            named, project, name = (self._options.get(each) for each in ("folder", "project", "name"))
            self._chosen = self._chosen or new_folder(named, project, name)
            return self._chosen
        return self.open().folder

    def open(self, config: Mapping[str, Any] | None = None, **defaults: Any) -> ActiveRun:
        """Return the run, which begins or goes on now if it has to.

        Args:
            config: What the framework tells of its configuration.
            defaults: For `uploader.start_run`, where nobody has given another option.
        """
        if self._run is not None and not self._is_over:
            return self._run
        chosen = {"folder": self._chosen} if self._chosen else {}
        options = {**defaults, **self._options, **chosen, "config": {**(config or {}), **self.config}}
        if before := self._run:
            options.update(folder=before.folder, resume=True)
        self._run = start_run(**options)
        if before:
            self._run.take_over(before)
        self._is_over = False
        return self._run

    def begin_anew(self) -> None:
        """Have what is recorded next begin another run, if there was one."""
        self.abandon()
        was_recorded = self._is_sent and self._chosen is not None and KnownRun.read(self._chosen) is not None
        if self._run is not None or was_recorded:
            self.end()
            self._options.pop("resume", None)
            self._run, self._chosen, self._is_over = None, None, False

    def begin_training(self, config: Mapping[str, Any] | None = None, **defaults: Any) -> ActiveRun:
        """Return the run, opened, for a training; if that does not come to its end, it has failed."""
        self.abandon()
        run = self.open(config, **defaults)
        run.fails_unless_ended("the training has not come to its end")
        self._trains = True
        return run

    def end(self, error: BaseException | str | None = None) -> None:
        """End the run, if it is open; it may go on."""
        if self.is_open and self._run is not None:
            self._run.finish(error)
            self._trains, self._is_over = False, True

    def abandon(self) -> None:
        """End a run whose training has not come to its end."""
        if self._trains and self._run is not None:
            self._run.abandon()
            self._trains, self._is_over = False, True

    def __getstate__(self) -> dict[str, Any]:
        """Be sent to a process that trains; what is sent again goes on with the run of the folder."""
        chosen = self.folder()
        is_ours = self._run is not None or "folder" not in self._options
        options = {**self._options, "resume": True} if is_ours else self._options
        fresh = {"_run": None, "_is_over": False, "_trains": False}
        return {**vars(self), **fresh, "_options": options, "_chosen": chosen, "_is_sent": True}
