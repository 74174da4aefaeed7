"""Who knows the runs that a dashboard shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from uploader.dashboard.shown import Action, Download, Picture, RunList, RunNews, Trend


class UnknownRun(Exception):
    """The source has no such run, or not any more."""


class SourceUnavailable(Exception):
    """What the source reads cannot be read at the moment, or not without a person; the message says what to do."""


class Refused(Exception):
    """What a person wants done cannot be done; the message says why, and what can be."""


class RunSource(Protocol):
    """Reads runs, briefly each time. Each method may be called by several threads at once.

    Whatever reads may raise `SourceUnavailable`; the next call may work.

    `runs` and `news` are asked twice a second for each page that is open; where nothing has changed, they cost nothing.
    """

    @property
    def title(self) -> str:
        """What is shown, such as a journal's folder, for the head of each page."""

    def has(self, key: str) -> bool:
        """Return whether there is such a run."""

    def runs(self, since: str | None = None) -> RunList:
        """Return the list of runs.

        Args:
            since: The cursor of an earlier call: only what changed after it is returned. None for all.
        """

    def trends(self, keys: Sequence[str]) -> Mapping[str, Trend]:
        """Return how the main metric of some runs went; runs without one are left out."""

    def news(self, key: str, since: str | None = None) -> RunNews:
        """Return what a run's page tells.

        Args:
            key: The run.
            since: The cursor of an earlier call: only what changed after it is returned. None for all, of the console
                the end.

        Raises:
            UnknownRun: It is not there.
        """

    def curves(self, keys: Sequence[str], known: Mapping[str, RunNews]) -> Mapping[str, RunNews]:
        """Return what a comparison shows of runs, and nothing of those that are not there.

        That is their lines, epochs, arguments and environments, and which epoch was best; perhaps there is more.

        Args:
            keys: The runs.
            known: What earlier calls returned, by key: of these, what is known holds as long as nothing changes.
        """

    def curve_news(self, since: Mapping[str, str]) -> Mapping[str, RunNews]:
        """Return what of that is new, perhaps more, and nothing of runs that are not there.

        Args:
            since: The cursor of an earlier call, or of `curves`, by the run's key.
        """

    def pictures(self, key: str) -> Sequence[Picture]:
        """Return its plots, then what was logged, the newest steps first, at most some hundred.

        Raises:
            UnknownRun: It is not there.
        """

    def console(self, key: str) -> Iterator[str]:
        """Yield all that it printed, a part at a time.

        Raises:
            UnknownRun: It is not there.
        """

    def checkpoint(self, key: str, sha256: str) -> tuple[Download, Iterator[bytes]]:
        """Return one of its checkpoints.

        Raises:
            UnknownRun: It is not there, or its bytes are not.
        """

    def archive(self, key: str) -> tuple[Download, Iterator[bytes]]:
        """Return all that is known of it, as a ZIP file that is made on the way.

        Raises:
            UnknownRun: It is not there.
        """

    def act(self, key: str, action: Action, value: Any = None) -> None:
        """Do something to it.

        Raises:
            UnknownRun: It is not there.
            Refused: That cannot be done here, or not with this value.
        """
